//! Reads a server-sent event stream.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::conn::{Conn, ConnError, last};
use crate::fail::{Attempt, Fail};

/// An open stream, or the answer that refused to open one.
#[derive(Debug)]
pub struct Stream {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body of a refusal.
    pub text: String,
    /// Nothing more can come.
    pub closed: bool,
    conn: Option<Conn>,
    chunked: bool,
    data: Vec<u8>,
}

/// What to read.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// So many events.
    pub count: usize,
    /// For so long at most.
    pub within: Duration,
    /// Comments count as events.
    pub comments: bool,
    /// All until the server closes the stream, whatever the count.
    pub until_close: bool,
}

impl Stream {
    /// Reads the head of the answer on a connection on which the request was sent.
    pub fn open(mut conn: Conn) -> Result<Self, ConnError> {
        let (status, headers) = conn.head()?;
        let chunked = last(&headers, "transfer-encoding").is_some_and(|encoding| encoding.contains("chunked"));
        let mut stream =
            Self { status, headers, text: String::new(), closed: false, conn: None, chunked, data: vec![] };
        if status == 200 {
            stream.conn = Some(conn);
        } else {
            let length = last(&stream.headers, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            let mut body = vec![];
            while body.len() < length {
                let part = conn.some()?;
                if part.is_empty() {
                    return Err(ConnError::Closed);
                }
                body.extend(part);
            }
            stream.text = String::from_utf8_lossy(&body).into_owned();
            stream.closed = true;
        }
        Ok(stream)
    }

    /// The next events.
    pub fn read(&mut self, wanted: Wanted) -> Attempt<Vec<Value>> {
        let mut events = vec![];
        if let Some(conn) = &mut self.conn {
            conn.within(wanted.within);
        }
        while wanted.until_close || events.len() < wanted.count {
            match self.next_block() {
                Some(block) => events.extend(event(&block, wanted.comments)),
                None if self.closed => break,
                None => match self.more() {
                    Err(ConnError::Timeout) => break,
                    other => other.map_err(Fail::from)?,
                },
            }
        }
        Ok(events)
    }

    /// Drops the connection.
    pub fn close(&mut self) {
        self.closed = true;
        self.conn = None;
    }

    fn next_block(&mut self) -> Option<String> {
        let end = self.data.windows(2).position(|pair| pair == b"\n\n")?;
        let block: Vec<u8> = self.data.drain(..end + 2).take(end).collect();
        Some(String::from_utf8_lossy(&block).into_owned())
    }

    fn more(&mut self) -> Result<(), ConnError> {
        let Some(conn) = &mut self.conn else {
            self.closed = true;
            return Ok(());
        };
        let part = if self.chunked { conn.chunk() } else { conn.some() };
        match part {
            Ok(part) if part.is_empty() => self.closed = true,
            Ok(part) => self.data.extend(part),
            Err(ConnError::Closed) => self.closed = true,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// One event as an object; its `data` is parsed where it is JSON. Nothing if there is nothing in it.
fn event(block: &str, comments: bool) -> Option<Value> {
    let (mut found, mut data) = (Map::new(), vec![]);
    for line in block.split('\n') {
        if let Some(comment) = line.strip_prefix(':') {
            if comments {
                found.insert("comment".to_owned(), comment.trim().into());
            }
            continue;
        }
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match key {
            "" => {}
            "data" => data.push(value),
            _ => drop(found.insert(key.to_owned(), value.into())),
        }
    }
    if !data.is_empty() {
        let text = data.join("\n");
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        found.insert("data".to_owned(), value);
    }
    (!found.is_empty()).then_some(Value::Object(found))
}

#[cfg(test)]
mod tests {
    use super::event;
    use serde_json::json;

    #[test]
    fn blocks_become_events() {
        let block = "id: 7\nevent: message\ndata: {\"a\":\ndata: 1}";
        assert_eq!(event(block, false), Some(json!({"id": "7", "event": "message", "data": {"a": 1}})));
        assert_eq!(event(": keepalive", false), None);
        assert_eq!(event(": keepalive", true), Some(json!({"comment": "keepalive"})));
        assert_eq!(event("data: gone", true), Some(json!({"data": "gone"})));
    }
}
