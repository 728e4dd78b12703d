//! A web server that takes the deliveries and other calls of the server under test, remembers them, and answers as
//! the scenario says.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::clock;
use crate::conn::latin1;
use crate::fail::Attempt;
use crate::http::joined;
use crate::names::{Names, plain};
use crate::ports;

/// One request that the sink took.
#[derive(Debug, Clone)]
pub struct Taken {
    /// `method`, `path`, `headers`, `body`.
    pub seen: Value,
    /// The body as it came.
    pub raw: Vec<u8>,
    /// When its body was complete.
    pub at: Instant,
}

/// The server; it stops when dropped, and its connections with it.
#[derive(Debug)]
pub struct Sink {
    shared: Arc<Shared>,
    port: u16,
    acceptor: Option<JoinHandle<()>>,
    /// How many requests earlier steps have looked at.
    used: usize,
}

#[derive(Debug)]
struct Shared {
    /// Answers by path; `*` for all others.
    answers: Map<String, Value>,
    names: Names,
    stopped: AtomicBool,
    state: Mutex<State>,
    /// Told when answers that are held may go.
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: Vec<Taken>,
    answered: HashMap<String, usize>,
    /// Answers with `hold` wait for this.
    release: bool,
    connections: Vec<TcpStream>,
}

struct Call {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Sink {
    /// Listens on the sink port. `spec` is a list of answers, or such lists by path.
    pub fn start(spec: Option<&Value>, names: &Names) -> Attempt<Self> {
        let port = names.port("sink")?;
        let listener = TcpListener::bind(ports::local(port))?;
        let answers = match spec {
            Some(Value::Object(by_path)) => by_path.clone(),
            Some(list) => Map::from_iter([("*".to_owned(), list.clone())]),
            None => Map::from_iter([("*".to_owned(), json!([{"status": 200}]))]),
        };
        let shared = Arc::new(Shared {
            answers,
            names: names.clone(),
            stopped: AtomicBool::new(false),
            state: Mutex::default(),
            released: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || accepting.accept(&listener));
        Ok(Self { shared, port, acceptor: Some(acceptor), used: 0 })
    }

    /// The next requests: as soon as there are `count`, or what there is after `within`. With a time to `settle` for
    /// strays, or with a `count` of none, all that came.
    pub fn take(&mut self, count: usize, within: Duration, settle: Duration) -> Vec<Taken> {
        let wanted = self.used + count;
        // Polled rather than notified: by then the server mostly has its answer, and the next step finds it settled.
        clock::poll(within, clock::POLL, || (count > 0 && self.shared.state().taken.len() >= wanted).then_some(()));
        if !settle.is_zero() {
            clock::pause(settle);
        }
        let state = self.shared.state();
        let all = !settle.is_zero() || count == 0;
        let most = if all { usize::MAX } else { count };
        let taken: Vec<Taken> = state.taken.iter().skip(self.used).take(most).cloned().collect();
        drop(state);
        self.used += taken.len();
        taken
    }

    /// Everything that came so far.
    pub fn all(&self) -> Vec<Taken> {
        self.shared.state().taken.clone()
    }

    /// Lets the answers with `hold` go, those of now and those to come.
    pub fn release(&self) {
        self.shared.state().release = true;
        self.shared.released.notify_all();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.release();
        // Wakes the acceptor.
        drop(TcpStream::connect(ports::local(self.port)));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
        for connection in &self.shared.state().connections {
            drop(connection.shutdown(Shutdown::Both));
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let shared = Arc::clone(self);
            shared.state().connections.extend(stream.try_clone());
            // Ends with its connection, at the latest when the server under test is gone.
            std::thread::spawn(move || drop(shared.serve(stream)));
        }
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut answering = stream.try_clone()?;
        let mut reader = BufReader::new(stream);
        while let Some(call) = read_call(&mut reader, &mut answering)? {
            let last = call.headers.iter().any(|(name, value)| name == "connection" && value == "close");
            let head_only = call.method == "HEAD";
            let answer = self.remember(call);
            if let Some(delay) = answer.get("delay_ms").and_then(Value::as_u64) {
                clock::pause(Duration::from_millis(delay));
            }
            if answer.get("hold").and_then(Value::as_bool) == Some(true) {
                let waiting = self.released.wait_while(self.state(), |state| !state.release);
                drop(waiting.unwrap_or_else(PoisonError::into_inner));
            }
            if answer.get("close").and_then(Value::as_bool) == Some(true) {
                break;
            }
            answering.write_all(&self.render(&answer, head_only)?)?;
            if last {
                break;
            }
        }
        Ok(())
    }

    /// Keeps the call and picks the answer: those of a path in order, the last one again and again.
    fn remember(&self, call: Call) -> Value {
        let path = call.path.split('?').next().unwrap_or_default();
        let key = if self.answers.contains_key(path) { path } else { "*" }.to_owned();
        let seen = json!({
            "method": call.method,
            "path": call.path,
            "headers": joined(&call.headers),
            "body": String::from_utf8_lossy(&call.body),
        });
        let mut state = self.state();
        state.taken.push(Taken { seen, raw: call.body, at: Instant::now() });
        let before = state.answered.entry(key.clone()).or_default();
        let turn = *before;
        *before += 1;
        drop(state);
        let list = self.answers.get(&key).and_then(Value::as_array).filter(|list| !list.is_empty());
        let answer = list.and_then(|list| list.get(turn).or(list.last()));
        answer.cloned().unwrap_or_else(|| json!({"status": 404}))
    }

    fn render(&self, answer: &Value, head_only: bool) -> io::Result<Vec<u8>> {
        let expand = |text: &str| self.names.expand(text, 0).map_err(io::Error::other);
        let body = expand(answer.get("body").and_then(Value::as_str).unwrap_or_default())?;
        let status = answer.get("status").and_then(Value::as_u64).unwrap_or(200);
        let mut head = format!("HTTP/1.1 {status} Answer\r\n");
        let mut sized = false;
        for (name, value) in answer.get("headers").and_then(Value::as_object).into_iter().flatten() {
            head += &format!("{name}: {}\r\n", expand(&plain(value))?);
            sized |= name.eq_ignore_ascii_case("content-length");
        }
        if !sized {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        if !head_only {
            head += &body;
        }
        Ok(head.into_bytes())
    }
}

/// The next request of a connection; none when it is closed.
fn read_call(reader: &mut BufReader<TcpStream>, answering: &mut TcpStream) -> io::Result<Option<Call>> {
    let first = line(reader)?;
    let mut words = first.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = vec![];
    loop {
        let line = line(reader)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_lowercase());
    if header("expect").is_some_and(|value| value == "100-continue") {
        answering.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = vec![];
    if header("transfer-encoding").is_some_and(|encoding| encoding.contains("chunked")) {
        loop {
            let size = line(reader)?;
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
            if size == 0 {
                while !line(reader)?.is_empty() {}
                break;
            }
            reader.by_ref().take(size).read_to_end(&mut body)?;
            line(reader)?;
        }
    } else {
        let size = header("content-length").and_then(|size| size.parse().ok()).unwrap_or(0);
        reader.by_ref().take(size).read_to_end(&mut body)?;
    }
    Ok(Some(Call { method: method.to_owned(), path: path.to_owned(), headers, body }))
}

fn line(reader: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut bytes = vec![];
    reader.read_until(b'\n', &mut bytes)?;
    Ok(latin1(&bytes).trim_end_matches(['\r', '\n']).to_owned())
}
