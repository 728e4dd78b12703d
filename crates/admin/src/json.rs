//! Answers: small ones as values, lists written straight into one buffer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookaido_http::{Body, Response};
use hookaido_model::content::push_string;
use hookaido_model::{Attempt, Envelope, JsonMap};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::Value;

/// `200` with this value.
pub(crate) fn ok(value: &Value) -> Response {
    let mut text = value.to_string();
    text.push('\n');
    respond(StatusCode::OK, text.into_bytes())
}

/// An answer with a body that is JSON already.
pub(crate) fn respond(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What a list shows besides the usual.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Include {
    pub(crate) payload: bool,
    pub(crate) headers: bool,
    pub(crate) trace: bool,
    /// State and next run; a list of dead letters leaves them out.
    pub(crate) state: bool,
}

impl Include {
    pub(crate) fn content(self) -> bool {
        self.payload || self.headers || self.trace
    }
}

/// `{"items":[...]}`.
pub(crate) fn items<T>(entries: &[T], mut write: impl FnMut(&mut Members<'_>, &T)) -> Response {
    let mut out = Vec::with_capacity(32 + entries.len() * 256);
    out.extend_from_slice(b"{\"items\":[");
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let mut members = Members::open(&mut out);
        write(&mut members, entry);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}\n");
    respond(StatusCode::OK, out)
}

/// Members of an object that is being written.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    out: &'a mut Vec<u8>,
    any: bool,
}

impl<'a> Members<'a> {
    fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, any: false }
    }

    fn name(&mut self, name: &'static str) {
        if self.any {
            self.out.push(b',');
        }
        self.any = true;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.name(name);
        push_string(self.out, value);
    }

    fn shown(&mut self, name: &'static str, value: impl std::fmt::Display) {
        self.text(name, &value.to_string());
    }

    fn number(&mut self, name: &'static str, value: impl Into<u64>) {
        self.name(name);
        self.out.extend_from_slice(value.into().to_string().as_bytes());
    }

    fn map(&mut self, name: &'static str, map: &JsonMap) {
        if !map.is_empty() {
            self.name(name);
            self.out.extend_from_slice(map.as_json());
        }
    }

    fn base64(&mut self, name: &'static str, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.name(name);
        self.out.push(b'"');
        let start = self.out.len();
        let room = base64::encoded_len(bytes.len(), true).unwrap_or_default();
        self.out.resize(start + room, 0);
        let written = self.out.get_mut(start..).and_then(|room| STANDARD.encode_slice(bytes, room).ok());
        self.out.truncate(start + written.unwrap_or_default());
        self.out.push(b'"');
    }

    /// One message.
    pub(crate) fn envelope(&mut self, envelope: &Envelope, include: Include) {
        self.shown("id", &envelope.id);
        self.text("route", &envelope.lane.route);
        self.text("target", &envelope.lane.target);
        if include.state {
            self.text("state", envelope.state.as_str());
        }
        self.shown("received_at", envelope.received_at);
        self.number("attempt", envelope.attempt);
        if include.state {
            self.shown("next_run_at", envelope.next_run_at);
        }
        if let Some(reason) = &envelope.dead_reason {
            self.text("dead_reason", reason.as_str());
        }
        let Some(content) = &envelope.content else { return };
        if include.payload {
            self.base64("payload_b64", &content.payload);
        }
        if include.headers {
            self.map("headers", &content.headers);
        }
        if include.trace {
            self.map("trace", &content.trace);
        }
    }

    /// One try.
    pub(crate) fn attempt(&mut self, attempt: &Attempt) {
        self.shown("id", attempt.id);
        self.shown("event_id", &attempt.event_id);
        self.text("route", &attempt.lane.route);
        self.text("target", &attempt.lane.target);
        self.number("attempt", attempt.attempt);
        if let Some(status) = attempt.status_code {
            self.number("status_code", status);
        }
        if let Some(error) = &attempt.error {
            self.text("error", error);
        }
        self.text("outcome", attempt.outcome.as_str());
        if let Some(reason) = &attempt.dead_reason {
            self.text("dead_reason", reason.as_str());
        }
        self.shown("created_at", attempt.created_at);
    }
}
