//! Steps on bare sockets: raw bytes, event streams, and ports where nothing may listen.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::calls::expected;
use crate::clock;
use crate::conn::{Conn, ConnError};
use crate::expect::{Seen, diff_answer};
use crate::fail::{Attempt, Fail, fail};
use crate::http;
use crate::ports;
use crate::run::Run;
use crate::sse::{Stream, Wanted};
use crate::step::Step;

/// Sends bytes as they are and reads the answers.
pub(super) fn raw(run: &Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    let address = ports::local(run.names.port(step.to())?);
    let mut conn = Conn::open(address, step.millis("timeout_ms", 3_000), None)?;
    send_parts(run, step, &mut conn)?;
    let (mut answers, mut closed) = (vec![], false);
    while answers.len() < step.count("responses").unwrap_or(1) {
        match conn.answer(step.text("method").unwrap_or("GET")) {
            Ok(answer) => answers.push(http::observe(&answer)),
            Err(ConnError::Closed) => {
                closed = true;
                break;
            }
            Err(ConnError::Timeout) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if step.flag("await_close") && !closed {
        closed = wait_for_close(&mut conn)?;
    }
    let statuses: Vec<Value> = answers.iter().filter_map(|seen| seen.get("status")).cloned().collect();
    let mut seen = answers.into_iter().next().unwrap_or_else(http::nothing);
    seen.insert("statuses".to_owned(), statuses.into());
    seen.insert("closed".to_owned(), closed.into());
    Ok(diff_answer(&expected(run, step, 0)?, &seen))
}

fn send_parts(run: &Run<'_>, step: &Step, conn: &mut Conn) -> Attempt<()> {
    let parts = match step.get("send") {
        Some(Value::Array(parts)) => parts.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            clock::pause(step.millis("gap_ms", 50));
        }
        let text = run.names.expand(part.as_str().unwrap_or_default(), 0)?;
        let byte = |c| u8::try_from(c).map_err(|error| Fail(format!("raw: {c:?}: {error}")));
        conn.send(&text.chars().map(byte).collect::<Attempt<Vec<u8>>>()?)?;
    }
    if step.flag("half_close") {
        conn.half_close()?;
    }
    Ok(())
}

fn wait_for_close(conn: &mut Conn) -> Attempt<bool> {
    loop {
        match conn.fill() {
            Ok(true) => {}
            Ok(false) => return Ok(true),
            Err(ConnError::Timeout) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens an event stream or goes on with an open one, and reads events.
pub(super) fn stream(run: &mut Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    let within = step.millis("within_ms", 4_000);
    let mut stream = match step.text("use") {
        Some(name) => run.streams.remove(name).ok_or_else(|| Fail(format!("no stream {name}")))?,
        None => open_stream(run, step, within)?,
    };
    let events = stream.read(Wanted {
        count: step.count("count").unwrap_or(0),
        within,
        comments: step.flag("comments"),
        until_close: step.flag("until_close"),
    })?;
    let seen = observe(&stream, &events);
    if step.flag("close") {
        stream.close();
    }
    if let Some(name) = step.text("use").or(step.text("open")) {
        run.streams.insert(name.to_owned(), stream);
    }
    let diffs = diff_answer(&expected(run, step, 0)?, &seen);
    if diffs.is_empty() {
        run.names.save_from(step.get("save"), &events.into())?;
    }
    Ok(diffs)
}

fn open_stream(run: &Run<'_>, step: &Step, within: Duration) -> Attempt<Stream> {
    let (_, bytes) = http::message(step, &run.names, 0)?;
    let mut conn = Conn::open(ports::local(run.names.port(step.to())?), within, None)?;
    conn.send(&bytes)?;
    match Stream::open(conn) {
        Err(ConnError::Timeout | ConnError::Closed) => {
            fail(format!("stream: no response headers within {} ms", within.as_millis()))
        }
        other => Ok(other?),
    }
}

fn observe(stream: &Stream, events: &[Value]) -> Seen {
    let mut seen = http::nothing();
    if let (true, Ok(value)) = (stream.status != 200, serde_json::from_str::<Value>(&stream.text)) {
        seen.insert("json".to_owned(), value);
    }
    for (key, value) in [
        ("status", json!(stream.status)),
        ("headers", http::joined(&stream.headers).into()),
        ("events", events.to_vec().into()),
        ("closed", stream.closed.into()),
        ("text", stream.text.clone().into()),
    ] {
        seen.insert(key.to_owned(), value);
    }
    seen
}

/// Checks that nothing listens on a port.
pub(super) fn refused(run: &Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    let address = ports::local(run.names.port(step.to())?);
    match TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
        Ok(_) => Ok(vec![format!("{} accepts connections", step.to())]),
        Err(_) => Ok(vec![]),
    }
}
