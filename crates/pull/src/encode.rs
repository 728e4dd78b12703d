//! Answers, written straight into one buffer: payloads become base64 there, headers and trace are JSON text already.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookaido_model::Envelope;
use hookaido_model::content::push_string;

/// `{"items":[...]}` and a newline.
pub(crate) fn items(envelopes: &[Envelope]) -> Vec<u8> {
    let size = envelopes.iter().map(size).sum::<usize>() + 16;
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(b"{\"items\":[");
    for (index, envelope) in envelopes.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        item(&mut out, envelope);
    }
    out.extend_from_slice(b"]}\n");
    out
}

/// About how many bytes an item takes.
fn size(envelope: &Envelope) -> usize {
    let content = envelope.content.as_ref().map_or(0, |content| {
        content.payload.len() / 3 * 4 + content.headers.as_bytes().len() + content.trace.as_bytes().len()
    });
    content + envelope.lane.route.len() + 320
}

/// One message, as dequeue and streams show it.
pub(crate) fn item(out: &mut Vec<u8>, envelope: &Envelope) {
    text(out, b"{\"id\":", &envelope.id.to_string());
    if let Some(lease) = envelope.lease {
        let _infallible = write!(out, ",\"lease_id\":\"{lease}\"");
    }
    text(out, b",\"route\":", &envelope.lane.route);
    let _infallible = write!(
        out,
        ",\"received_at\":\"{}\",\"attempt\":{},\"next_run_at\":\"{}\"",
        envelope.received_at, envelope.attempt, envelope.next_run_at
    );
    out.extend_from_slice(b",\"payload_b64\":\"");
    if let Some(content) = &envelope.content {
        payload(out, &content.payload);
    }
    out.push(b'"');
    if let Some(content) = &envelope.content {
        for (name, map) in [(&b",\"headers\":"[..], &content.headers), (&b",\"trace\":"[..], &content.trace)] {
            if !map.is_empty() {
                out.extend_from_slice(name);
                out.extend_from_slice(map.as_json());
            }
        }
    }
    out.push(b'}');
}

fn text(out: &mut Vec<u8>, name: &[u8], value: &str) {
    out.extend_from_slice(name);
    push_string(out, value);
}

fn payload(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let written = STANDARD.encode_slice(bytes, room).unwrap_or_default();
    out.truncate(start + written);
}

/// The events of a stream.
pub(crate) fn events(envelopes: &[Envelope]) -> Vec<u8> {
    let mut out = Vec::with_capacity(envelopes.iter().map(|envelope| size(envelope) + 80).sum());
    for envelope in envelopes {
        if let Some(lease) = envelope.lease {
            let _infallible = writeln!(out, "id: {lease}");
        }
        out.extend_from_slice(b"event: message\ndata: ");
        item(&mut out, envelope);
        out.extend_from_slice(b"\n\n");
    }
    out
}
