//! What stands between a page and the pull API: serves the page, takes its reports, and passes calls on, with a token if asked to.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use e2e::ports;
use serde_json::Value;

/// The proxy; its threads end with the test.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pull: SocketAddr,
    page: &'static str,
    told: Mutex<VecDeque<(String, Value)>>,
    streams: AtomicUsize,
}

impl Proxy {
    pub(crate) fn start(pull: SocketAddr, page: &'static str) -> io::Result<Self> {
        let listener = TcpListener::bind(ports::local(0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { pull, page, told: Mutex::default(), streams: AtomicUsize::new(0) });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&serving);
                thread::spawn(move || drop(shared.serve(&connection)));
            }
        });
        Ok(Self { address, shared })
    }

    /// The oldest report to this path that was not looked at.
    pub(crate) fn told(&self, path: &str) -> Option<Value> {
        let mut told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        let at = told.iter().position(|(to, _)| to == path)?;
        told.remove(at).map(|(_, value)| value)
    }

    /// Streams that were opened with a token.
    pub(crate) fn streams(&self) -> usize {
        self.shared.streams.load(Ordering::SeqCst)
    }
}

impl Shared {
    /// One request; the connection closes after its answer.
    fn serve(&self, mut connection: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(connection);
        let mut lines = vec![];
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let first = lines.first().cloned().unwrap_or_default();
        let header = |name: &str| {
            let mut values = lines.iter().filter_map(|line| line.split_once(':'));
            values.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
        };
        let mut body = vec![0; header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
        reader.read_exact(&mut body)?;
        let (method, path) = first.split_once(' ').unwrap_or_default();
        let path = path.split(' ').next().unwrap_or_default();
        let target = path.strip_prefix("/with-token").map(|path| (path, Some("Bearer tok".to_owned())));
        if let Some((path, token)) =
            target.or_else(|| path.strip_prefix("/plain").map(|path| (path, header("authorization"))))
        {
            self.streams.fetch_add(usize::from(path.ends_with("/stream")), Ordering::SeqCst);
            return self.pass_on(connection, &format!("{method} {path}"), token.as_deref(), &body);
        }
        let (status, answer) = match (method, path) {
            ("GET", "/") => ("200 OK", self.page),
            ("POST", _) => {
                let value = serde_json::from_slice(&body).unwrap_or_default();
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                told.push_back((path.to_owned(), value));
                ("200 OK", "")
            }
            _ => ("404 Not Found", ""),
        };
        let kind = "Content-Type: text/html; charset=utf-8\r\nConnection: close\r\n";
        let head = format!("HTTP/1.1 {status}\r\n{kind}Content-Length: {}\r\n\r\n", answer.len());
        connection.write_all(&[head.as_bytes(), answer.as_bytes()].concat())
    }

    /// Sends a request to the pull API and copies the answer as it comes.
    fn pass_on(&self, mut to: &TcpStream, request: &str, token: Option<&str>, body: &[u8]) -> io::Result<()> {
        let mut upstream = TcpStream::connect(self.pull)?;
        let token = token.map(|token| format!("Authorization: {token}\r\n")).unwrap_or_default();
        let head = format!("{request} HTTP/1.1\r\nHost: {}\r\n{token}Connection: close\r\n", self.pull);
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        upstream.write_all(&[head.as_bytes(), length.as_bytes(), b"\r\n", body].concat())?;
        let (page, api) = (to.try_clone()?, upstream.try_clone()?);
        thread::spawn(move || {
            // A page that goes away must not leave a stream behind that takes messages.
            while matches!((&page).read(&mut [0; 256]), Ok(1..)) {}
            drop(api.shutdown(Shutdown::Both));
        });
        let copied = io::copy(&mut upstream, &mut to);
        to.shutdown(Shutdown::Both)?;
        copied.map(drop)
    }
}
