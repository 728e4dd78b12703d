//! Answers, written straight into one buffer: payloads become base64 there, headers and trace are JSON text already.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookaido_model::content::push_string;
use hookaido_model::{Envelope, EnvelopeId};

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
fn item(out: &mut Vec<u8>, envelope: &Envelope) {
    match &envelope.id {
        // Plain hexadecimal digits, which need no escapes.
        EnvelopeId::Made(_) => shown(out, format_args!("{{\"id\":\"{}\"", envelope.id)),
        EnvelopeId::Given(id) => text(out, b"{\"id\":", id),
    }
    if let Some(lease) = envelope.lease {
        shown(out, format_args!(",\"lease_id\":\"{lease}\""));
    }
    text(out, b",\"route\":", &envelope.lane.route);
    shown(out, format_args!(",\"received_at\":\"{}\",\"attempt\":{}", envelope.received_at, envelope.attempt));
    shown(out, format_args!(",\"next_run_at\":\"{}\",\"payload_b64\":\"", envelope.next_run_at));
    let Some(content) = &envelope.content else {
        out.extend_from_slice(b"\"}");
        return;
    };
    payload(out, &content.payload);
    out.push(b'"');
    for (name, map) in [(&b",\"headers\":"[..], &content.headers), (&b",\"trace\":"[..], &content.trace)] {
        if !map.is_empty() {
            out.extend_from_slice(name);
            out.extend_from_slice(map.as_json());
        }
    }
    out.push(b'}');
}

/// Writing to a vector cannot fail.
fn shown(out: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    let _infallible = out.write_fmt(what);
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
            shown(&mut out, format_args!("id: {lease}\n"));
        }
        out.extend_from_slice(b"event: message\ndata: ");
        item(&mut out, envelope);
        out.extend_from_slice(b"\n\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hookaido_model::{Content, JsonMap, Lane, LaneId, LeaseId, Seq, State, UnixMillis};
    use serde_json::{Value, json};

    use super::*;

    fn envelope(id: EnvelopeId, content: Option<Content>) -> Envelope {
        Envelope {
            id,
            lane: Arc::new(Lane { id: LaneId(1), route: "/a\"b".into(), target: "pull".into() }),
            state: State::Leased,
            received_at: UnixMillis(1),
            next_run_at: UnixMillis(2000),
            attempt: 7,
            lease: Some(LeaseId { seq: Seq(5), token: 6 }),
            lease_until: None,
            dead_reason: None,
            content: content.map(Arc::new),
        }
    }

    #[test]
    fn items_are_json_whatever_they_hold() {
        let made = EnvelopeId::made(Seq(9 << 20), 1);
        let content = |payload: &'static [u8]| Content {
            payload: payload.into(),
            headers: JsonMap::from_pairs([("X", "\"\u{fc}\n")]),
            trace: JsonMap::default(),
        };
        let envelopes = [
            envelope(EnvelopeId::from("a\"\\\u{1}\u{fc}"), Some(content(b"\0\xff\xfe!"))),
            envelope(made.clone(), Some(content(b""))),
            envelope(made.clone(), None),
        ];
        let got: Value = serde_json::from_slice(&items(&envelopes)).unwrap();
        let item = |id: &str, payload: &str| {
            json!({
                "id": id, "lease_id": "lease_00000000000000050000000000000006", "route": "/a\"b", "attempt": 7,
                "received_at": "1970-01-01T00:00:00.001Z", "next_run_at": "1970-01-01T00:00:02Z", "payload_b64": payload,
                "headers": {"X": "\"\u{fc}\n"},
            })
        };
        let mut bare = item(&made.to_string(), "");
        bare.as_object_mut().unwrap().remove("headers");
        let want = [item("a\"\\\u{1}\u{fc}", "AP/+IQ=="), item(&made.to_string(), ""), bare];
        assert_eq!(got, json!({ "items": want }));
        assert_eq!(items(&[]), b"{\"items\":[]}\n");
    }
}
