//! One line a request.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use hookaido_model::{Clock, SystemClock};

use super::json;
use super::sink::Sink;

/// Longest path that is written.
const MAX_PATH: usize = 2048;
/// Longest text of a client certificate that is written.
const MAX_CERT: usize = 512;

/// What is said about a request.
#[derive(Clone, Copy, Debug)]
pub struct AccessLine<'a> {
    /// `ingress`, `pull_api`, `worker_grpc`, `admin_api` or `metrics`.
    pub component: &'a str,
    /// As sent.
    pub method: &'a str,
    /// Its escapes undone, with its prefix, without the query. Cut after 2,048 bytes.
    pub path: &'a str,
    /// Of the answer.
    pub status: u16,
    /// The status that counts with gRPC, whose answers are all 200.
    pub grpc_status: Option<u16>,
    /// Of the answer's body.
    pub bytes: u64,
    /// From the end of the request head to the answer.
    pub duration: Duration,
    /// The client. Port 0 stands for one that is not known, and is left out.
    pub remote: SocketAddr,
    /// The proxy or balancer that the request came through, where `remote` is what that has told.
    pub via: Option<SocketAddr>,
    /// The client certificate.
    pub client: ClientLine<'a>,
}

/// What is said about a client certificate.
#[derive(Clone, Copy, Debug, Default)]
pub enum ClientLine<'a> {
    /// There is none.
    #[default]
    None,
    /// There is one that nobody has checked; what it says is worth nothing, so none of it is written.
    Unverified,
    /// There is one of the CAs of the listener. Texts are cut after 512 bytes.
    Verified {
        /// Distinguished name.
        subject: &'a str,
        /// Alternative names with their kinds.
        names: &'a [String],
        /// SHA-256, in hexadecimal digits.
        fingerprint: &'a str,
    },
}

/// The access log. Shared by all listeners; whether and where it writes may change at any time.
#[derive(Debug)]
pub struct AccessLog {
    pub(crate) sink: ArcSwapOption<Sink>,
    pub(crate) dropped: AtomicU64,
    clock: Arc<dyn Clock>,
}

/// The start of a line, kept for as long as the millisecond lasts, and the line.
struct Scratch {
    at: i64,
    head: Vec<u8>,
    line: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch { at: i64::MIN, head: Vec::new(), line: Vec::new() }) };
}

impl AccessLog {
    /// A log that writes nothing.
    #[must_use]
    pub fn disabled() -> Self {
        Self::new(None, Arc::new(SystemClock))
    }

    pub(crate) fn new(sink: Option<Arc<Sink>>, clock: Arc<dyn Clock>) -> Self {
        Self { sink: ArcSwapOption::new(sink), dropped: AtomicU64::new(0), clock }
    }

    /// Whether lines are wanted; asked before any work is done for one.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.sink.load().is_some()
    }

    /// Writes one line. Never waits: without room the line is dropped and counted.
    pub fn write(&self, line: &AccessLine<'_>) {
        let sink = self.sink.load();
        let Some(sink) = sink.as_ref() else { return };
        let now = self.clock.now();
        let pushed = SCRATCH.with_borrow_mut(|scratch| {
            if scratch.at != now.0 || scratch.head.is_empty() {
                scratch.at = now.0;
                scratch.head.clear();
                json::head(&mut scratch.head, now, "INFO");
                scratch.head.extend_from_slice(b"\"http_request\",\"component\":\"");
            }
            let out = &mut scratch.line;
            out.clear();
            out.extend_from_slice(&scratch.head);
            line.format(out);
            sink.push(out, false)
        });
        if !pushed {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl AccessLine<'_> {
    /// Everything behind `"component":"`.
    fn format(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.component.as_bytes());
        out.extend_from_slice(b"\",\"method\":");
        json::string(out, self.method);
        out.extend_from_slice(b",\"path\":");
        json::string(out, cut(self.path, MAX_PATH));
        out.extend_from_slice(b",\"status\":");
        json::number(out, self.status);
        if let Some(status) = self.grpc_status {
            out.extend_from_slice(b",\"grpc_status\":");
            json::number(out, status);
        }
        out.extend_from_slice(b",\"bytes\":");
        json::number(out, self.bytes);
        out.extend_from_slice(b",\"duration\":");
        json::number(out, u64::try_from(self.duration.as_nanos()).unwrap_or(u64::MAX));
        out.extend_from_slice(b",\"remote_addr\":");
        match self.remote.port() {
            0 => json::display(out, self.remote.ip()),
            _ => json::display(out, self.remote),
        }
        if let Some(via) = self.via {
            out.extend_from_slice(b",\"via\":");
            json::display(out, via);
        }
        self.client.format(out);
        out.extend_from_slice(b"}\n");
    }
}

impl ClientLine<'_> {
    fn format(&self, out: &mut Vec<u8>) {
        let (subject, names, fingerprint) = match *self {
            Self::None => return,
            Self::Unverified => return out.extend_from_slice(b",\"client_cert\":\"unverified\""),
            Self::Verified { subject, names, fingerprint } => (subject, names, fingerprint),
        };
        out.extend_from_slice(b",\"client_cert\":\"verified\",\"client_subject\":");
        json::string(out, cut(subject, MAX_CERT));
        out.extend_from_slice(b",\"client_san\":[");
        for (at, name) in names.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            json::string(out, cut(name, MAX_CERT));
        }
        out.extend_from_slice(b"],\"client_fingerprint\":");
        json::string(out, fingerprint);
    }
}

fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}
