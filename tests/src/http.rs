//! HTTP requests as scenarios describe them: what is sent, byte by byte, and the answer as an expectation sees it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ClientConfig;
use serde_json::{Map, Value, json};

use crate::clock;
use crate::conn::{Conn, ConnError, RawAnswer};
use crate::expect::{Seen, media_type};
use crate::fail::{Attempt, Fail, fail};
use crate::names::{Names, plain};
use crate::ports;
use crate::sign;
use crate::step::Step;
use crate::tls;

/// How long an answer may take unless the step says otherwise.
const PATIENCE_MS: u64 = 8_000;

/// One request, ready to be sent from any thread.
#[derive(Debug, Clone)]
pub struct Request {
    to: String,
    port: u16,
    method: String,
    bytes: Vec<u8>,
    timeout: Duration,
    tls: Option<Arc<ClientConfig>>,
}

impl Request {
    /// The request of a step; `index` is what `{{i}}` stands for.
    pub fn new(step: &Step, names: &Names, index: usize) -> Attempt<Self> {
        let (method, bytes) = message(step, names, index)?;
        Ok(Self {
            to: step.to().to_owned(),
            port: names.port(step.to())?,
            method,
            bytes,
            timeout: step.millis("timeout_ms", PATIENCE_MS),
            tls: step.get("tls").map_or(Ok(None), |wanted| tls::client(wanted, names.dir()))?,
        })
    }

    /// Sends it and waits for the answer. A refused TLS handshake is an answer with the status null.
    pub fn send(&self) -> Attempt<Seen> {
        let started = Instant::now();
        let answer = match Conn::open(ports::local(self.port), self.timeout, self.tls.clone()) {
            Ok(mut conn) => conn.send(&self.bytes).and_then(|()| conn.answer(&self.method)),
            Err(ConnError::Io(error)) => return fail(format!("cannot connect to {}: {error}", self.to)),
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                let mut seen = observe(&answer);
                seen.insert("ms".to_owned(), clock::millis_since(started).into());
                Ok(seen)
            }
            Err(ConnError::Tls(_)) => Ok(nothing()),
            Err(ConnError::Closed) if self.tls.is_some() => Ok(nothing()),
            Err(ConnError::Timeout) => fail(format!("no answer within {} ms", self.timeout.as_millis())),
            Err(error) => Err(error.into()),
        }
    }
}

/// No answer at all.
pub fn nothing() -> Seen {
    let members = [("status", Value::Null), ("headers", json!({})), ("text", json!(""))];
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// An answer as expectations see it: repeated headers joined, a JSON body parsed.
pub fn observe(answer: &RawAnswer) -> Seen {
    let headers = joined(&answer.headers);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let mut seen = nothing();
    let media = headers.get("content-type").and_then(Value::as_str).map(media_type).unwrap_or_default();
    if let (true, Ok(value)) = (media.ends_with("json"), serde_json::from_str::<Value>(&text)) {
        seen.insert("json".to_owned(), value);
    }
    seen.insert("status".to_owned(), answer.status.into());
    seen.insert("headers".to_owned(), Value::Object(headers));
    seen.insert("text".to_owned(), text.into());
    seen
}

/// Headers by name; the values of a repeated one are joined with a comma.
pub fn joined(headers: &[(String, String)]) -> Map<String, Value> {
    let mut found: Map<String, Value> = Map::new();
    for (name, value) in headers {
        let value = match found.get(name).and_then(Value::as_str) {
            Some(before) => format!("{before}, {value}"),
            None => value.clone(),
        };
        found.insert(name.clone(), value.into());
    }
    found
}

/// Method and bytes of the request of a step.
pub fn message(step: &Step, names: &Names, index: usize) -> Attempt<(String, Vec<u8>)> {
    let step = expanded(step, names, index)?;
    let method = step.text("method").unwrap_or(if step.kind() == "stream" { "GET" } else { "POST" });
    let path = step.text("path").unwrap_or("/");
    let mut headers = headers(&step);
    let body = body(&step)?;
    let has = |headers: &[(String, String)], name: &str| headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    if step.get("json").is_some() && step.get("body_b64").is_none() && !has(&headers, "content-type") {
        headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    }
    for how in signatures(&step) {
        headers.extend(sign::headers(how, method, path, body.as_deref().unwrap_or_default())?);
    }
    if let Some(token) = step.text("token") {
        headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
    }
    if let Some(pair) = step.text("basic") {
        headers.push(("Authorization".to_owned(), format!("Basic {}", STANDARD.encode(pair))));
    }
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !has(&headers, "host") {
        head += &format!("Host: {}\r\n", ports::local(names.port(step.to())?));
    }
    for (name, value) in &headers {
        head += &format!("{name}: {value}\r\n");
    }
    let with_body = body.is_some() || matches!(method, "POST" | "PUT" | "PATCH");
    let body = body.unwrap_or_default();
    if step.flag("chunked") {
        let size = step.count("chunked").filter(|size| *size > 1).unwrap_or(body.len().max(1));
        let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        return Ok((method.to_owned(), [head, chunked(&body, size)].concat()));
    }
    if with_body && !has(&headers, "content-length") {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    Ok((method.to_owned(), [head.as_bytes(), b"\r\n", &body].concat()))
}

fn expanded(step: &Step, names: &Names, index: usize) -> Attempt<Step> {
    let members = step.members().iter().filter(|(key, _)| !matches!(key.as_str(), "expect" | "save"));
    let members = members.map(|(key, value)| Ok((key.clone(), names.deep(value, index)?)));
    Ok(Step::new(members.collect::<Attempt<_>>()?))
}

fn headers(step: &Step) -> Vec<(String, String)> {
    let pair = |pair: &Value| Some((plain(pair.get(0)?), plain(pair.get(1)?)));
    match step.get("headers") {
        Some(Value::Object(members)) => members.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        Some(Value::Array(pairs)) => pairs.iter().filter_map(pair).collect(),
        _ => vec![],
    }
}

fn signatures(step: &Step) -> &[Value] {
    match step.get("sign") {
        Some(Value::Array(several)) => several,
        Some(one) => std::slice::from_ref(one),
        None => &[],
    }
}

fn body(step: &Step) -> Attempt<Option<Vec<u8>>> {
    if let Some(text) = step.text("body_b64") {
        return STANDARD.decode(text).map(Some).map_err(|error| Fail(format!("body_b64: {error}")));
    }
    let text = match step.members().get("json") {
        Some(value) => Some(ascii(&value.to_string())),
        None => step.text("body").map(str::to_owned),
    };
    Ok(text.map(String::into_bytes))
}

/// JSON with everything beyond ASCII escaped, which proxies and old clients send.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut out = vec![];
    for part in body.chunks(size) {
        out.extend(format!("{:x}\r\n", part.len()).into_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn bytes(step: Value) -> String {
        let names = Names::new("", Path::new("/d")).unwrap();
        let (_, bytes) = message(&Step::new(step.as_object().cloned().unwrap()), &names, 3).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn requests_are_exact() {
        assert_eq!(
            bytes(json!({"path": "/a/{{i}}", "headers": {"host": "h"}, "json": {"a": "é"}, "token": "t"})),
            "POST /a/3 HTTP/1.1\r\nhost: h\r\nContent-Type: application/json\r\nAuthorization: Bearer t\r\n\
             Content-Length: 14\r\n\r\n{\"a\":\"\\u00e9\"}"
        );
        assert_eq!(
            bytes(json!({"headers": [["Host", "h"], ["A", "1"], ["A", "2"]], "body": "hello", "chunked": 3})),
            "POST / HTTP/1.1\r\nHost: h\r\nA: 1\r\nA: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
        );
        assert_eq!(
            bytes(json!({"method": "GET", "headers": {"Host": "h"}, "basic": "u:p"})),
            "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\n\r\n"
        );
    }
}
