//! A client that keeps its connection: plain requests, and those of a worker.
//!
//! Never sends anything twice by itself: whoever counts what was accepted must know what became of each request.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::conn::{Conn, ConnError, RawAnswer, last};
use crate::fail::{Attempt, fail};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client of one listener.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    headers: String,
    conn: Option<Conn>,
}

/// A message that a worker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// Of the message.
    pub id: String,
    /// Of the lease.
    pub lease: String,
    /// How often it was handed out, this time included.
    pub attempt: u64,
    /// The body as text.
    pub body: String,
}

impl Client {
    /// Connects with the first request.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, headers: String::new(), conn: None }
    }

    /// Sends this header with every request.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }

    /// Sends a bearer token with every request.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.with("Authorization", &format!("Bearer {token}"))
    }

    /// The bytes of a request.
    pub fn bytes(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let Self { address, headers, .. } = self;
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    /// Sends a request and waits for its answer. After a failure, and when the server asks for it, the next request goes
    /// over a new connection.
    pub fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Result<RawAnswer, ConnError> {
        self.send(method, path, body)?;
        self.answer(method)
    }

    /// The first half of [`Client::call`].
    pub fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Result<(), ConnError> {
        let bytes = self.bytes(method, path, body);
        self.raw()?.send(&bytes)
    }

    /// The second half of [`Client::call`].
    pub fn answer(&mut self, method: &str) -> Result<RawAnswer, ConnError> {
        let mut conn = self.conn.take().ok_or(ConnError::Closed)?;
        conn.within(PATIENCE);
        let answer = conn.answer(method)?;
        if last(&answer.headers, "connection") != Some("close") {
            self.conn = Some(conn);
        }
        Ok(answer)
    }

    /// The connection, for bytes that are no whole request.
    pub fn raw(&mut self) -> Result<&mut Conn, ConnError> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => Conn::open(self.address, PATIENCE, None)?,
        };
        let conn = self.conn.insert(conn);
        conn.within(PATIENCE);
        Ok(conn)
    }

    /// The status of a POST.
    pub fn post(&mut self, path: &str, body: &str) -> Attempt<u16> {
        Ok(self.call("POST", path, body.as_bytes())?.status)
    }

    /// Status and JSON of a GET; the body as a text if it is not JSON.
    pub fn get(&mut self, path: &str) -> Attempt<(u16, Value)> {
        let answer = self.call("GET", path, b"")?;
        Ok((answer.status, json_of(&answer)))
    }

    /// Status and JSON of a POST with a JSON body.
    pub fn ask(&mut self, path: &str, body: &Value) -> Attempt<(u16, Value)> {
        let answer = self.call("POST", path, body.to_string().as_bytes())?;
        Ok((answer.status, json_of(&answer)))
    }

    /// Dequeues from an endpoint of the pull API.
    pub fn dequeue(&mut self, endpoint: &str, batch: u32, lease_ttl: &str, max_wait: &str) -> Attempt<Vec<Pulled>> {
        let wish = json!({"batch": batch, "lease_ttl": lease_ttl, "max_wait": max_wait});
        let (status, answer) = self.ask(&format!("{endpoint}/dequeue"), &wish)?;
        match answer.get("items").and_then(Value::as_array) {
            Some(items) if status == 200 => Ok(items.iter().map(pulled).collect()),
            _ => fail(format!("dequeue from {endpoint}: {status} {answer}")),
        }
    }

    /// Acks leases and yields the status.
    pub fn ack(&mut self, endpoint: &str, leases: &[&str]) -> Attempt<u16> {
        Ok(self.ask(&format!("{endpoint}/ack"), &json!({"lease_ids": leases}))?.0)
    }

    /// Dequeues and acks until nothing comes for `max_wait`; yields the bodies.
    pub fn drain(&mut self, endpoint: &str, max_wait: &str) -> Attempt<Vec<String>> {
        let mut bodies = vec![];
        loop {
            let batch = self.dequeue(endpoint, 100, "30s", max_wait)?;
            if batch.is_empty() {
                return Ok(bodies);
            }
            let leases: Vec<&str> = batch.iter().map(|message| message.lease.as_str()).collect();
            let status = self.ack(endpoint, &leases)?;
            if status != 200 {
                return fail(format!("ack at {endpoint}: {status}"));
            }
            bodies.extend(batch.into_iter().map(|message| message.body));
        }
    }
}

/// The body of an answer.
pub fn json_of(answer: &RawAnswer) -> Value {
    serde_json::from_slice(&answer.body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&answer.body).into_owned()))
}

fn pulled(item: &Value) -> Pulled {
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let body = STANDARD.decode(text("payload_b64")).unwrap_or_default();
    Pulled {
        id: text("id"),
        lease: text("lease_id"),
        attempt: item.get("attempt").and_then(Value::as_u64).unwrap_or(0),
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}
