//! A listener with a small service, and a client that speaks raw bytes.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hookaido_http::{
    Body, BodyError, ByteBudget, Drain, Drained, Handler, ListenerLimits, ListenerOptions, Peer, PrefixMux, Problem,
    Protocol, Reply, Request, Response, bind, read_body, serve,
};
use hookaido_model::SystemClock;
use hookaido_model::config::{AccessLog as AccessConfig, Front, LogOutput, RuntimeLog};
use hookaido_telemetry::{AccessLog, LogHandles, Metrics, build_logs};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest body that `/echo` takes.
pub(crate) const LIMIT: u64 = 100_000;

/// What the service of these tests does, by path.
pub(crate) struct Service {
    pub(crate) budget: ByteBudget,
    pub(crate) body_deadline: Duration,
    /// `/wait` answers when this is notified.
    pub(crate) go: Arc<Notify>,
    /// Notified when `/wait` has begun.
    pub(crate) begun: Arc<Notify>,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            budget: ByteBudget::new(1 << 20),
            body_deadline: Duration::from_secs(30),
            go: Arc::default(),
            begun: Arc::default(),
        }
    }
}

impl Handler for Service {
    fn handle(&self, request: Request, peer: &Arc<Peer>) -> Reply {
        match request.uri().path() {
            "/echo" => {
                let (budget, deadline) = (self.budget.clone(), self.body_deadline);
                Reply::later(async move {
                    match read_body(request.into_body(), LIMIT, deadline, &budget).await {
                        Ok(bytes) => Response::new(Body::full(bytes)),
                        Err(error) => refused(&error),
                    }
                })
            }
            "/wait" => {
                let (go, begun) = (Arc::clone(&self.go), Arc::clone(&self.begun));
                Reply::later(async move {
                    begun.notify_one();
                    go.notified().await;
                    Response::new(Body::full("waited"))
                })
            }
            "/stream" => {
                let go = Arc::clone(&self.go);
                self.begun.notify_one();
                Reply::ready(Response::new(Body::stream(TwoParts { go, sent: 0, waiting: None })))
            }
            "/trailers" => Reply::ready(Response::new(Body::stream(Trailed { sent: 0 }))),
            "/boom" => panic!("boom"),
            "/boom-later" => Reply::later(async { panic!("boom later") }),
            "/peer" => Reply::ready(Response::new(Body::full(peer.addr.to_string()))),
            other => Reply::ready(Response::new(Body::full(other.to_owned()))),
        }
    }
}

fn refused(error: &BodyError) -> Response {
    let (status, code) = match error {
        BodyError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
        BodyError::TimedOut => (StatusCode::REQUEST_TIMEOUT, "body_timeout"),
        BodyError::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
        BodyError::Broken(_) => (StatusCode::BAD_REQUEST, "body_broken"),
    };
    Problem::new(status, code, error.to_string()).into_response()
}

/// `one`, then `two` once notified.
struct TwoParts {
    go: Arc<Notify>,
    sent: u8,
    waiting: Option<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl http_body::Body for TwoParts {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        let text = match self.sent {
            0 => "one",
            1 => {
                let go = Arc::clone(&self.go);
                let waiting = self.waiting.get_or_insert_with(|| Box::pin(async move { go.notified().await }));
                std::task::ready!(waiting.as_mut().poll(cx));
                "two"
            }
            _ => return std::task::Poll::Ready(None),
        };
        self.sent += 1;
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(text.into()))))
    }
}

/// A message, then trailers, as gRPC answers.
struct Trailed {
    sent: u8,
}

impl http_body::Body for Trailed {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        self.sent += 1;
        std::task::Poll::Ready(match self.sent {
            1 => Some(Ok(http_body::Frame::data("message".into()))),
            2 => {
                let trailers = [(http::HeaderName::from_static("grpc-status"), http::HeaderValue::from_static("5"))];
                Some(Ok(http_body::Frame::trailers(trailers.into_iter().collect())))
            }
            _ => None,
        })
    }
}

/// A listener that is being served.
pub(crate) struct Site {
    pub(crate) addr: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) served: JoinHandle<Drained>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) mux: Arc<ArcSwap<PrefixMux>>,
}

/// How to start a [`Site`].
pub(crate) struct Start {
    pub(crate) addr: &'static str,
    pub(crate) service: Service,
    pub(crate) limits: ListenerLimits,
    pub(crate) budget: Duration,
    pub(crate) protocol: Protocol,
    pub(crate) access_log: Arc<AccessLog>,
    pub(crate) front: Front,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            addr: "127.0.0.1:0",
            service: Service::default(),
            limits: ListenerLimits::default(),
            budget: Duration::from_secs(10),
            protocol: Protocol::Http,
            access_log: Arc::new(AccessLog::disabled()),
            front: Front::default(),
        }
    }
}

impl Start {
    pub(crate) fn go(self) -> Site {
        let listener = bind(self.addr).unwrap();
        let addr = listener.addr();
        let mux = Arc::new(ArcSwap::from_pointee(
            PrefixMux::new("ingress", Arc::new(self.service)).behind(hookaido_http::Front::new(&self.front)),
        ));
        let metrics = Metrics::new().0;
        let options = ListenerOptions {
            protocol: self.protocol,
            limits: self.limits,
            tls: None,
            access_log: self.access_log,
            metrics: Arc::clone(&metrics),
        };
        let stop = CancellationToken::new();
        let drain = Drain { stop: stop.clone(), budget: self.budget };
        let served = tokio::runtime::Handle::current().spawn(serve(listener, Arc::clone(&mux), options, drain));
        Site { addr, stop, served, metrics, mux }
    }
}

impl Site {
    pub(crate) fn start() -> Self {
        Start::default().go()
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::over(TcpStream::connect(self.addr).await.unwrap())
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(&self, request: &str) -> Answer {
        let mut client = self.connect().await;
        client.send(request).await;
        client.answer().await.expect_one()
    }
}

/// Logs into a file.
pub(crate) fn access_log_into(path: &Path) -> LogHandles {
    let output = LogOutput::File(path.to_str().unwrap().to_owned());
    let runtime = RuntimeLog { level: None, output: output.clone() };
    build_logs(&runtime, &AccessConfig { enabled: true, output }, None, Arc::new(SystemClock)).unwrap().0
}

/// One connection of a client.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

/// One answer of a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) trait ExpectOne {
    fn expect_one(self) -> Answer;
}

impl ExpectOne for Option<Answer> {
    fn expect_one(self) -> Answer {
        match self {
            Some(answer) => answer,
            None => panic!("the connection ended without an answer"),
        }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

impl Client {
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next answer with its body; `None` when the connection ends before one.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let head = self.until(b"\r\n\r\n").await?;
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1)?.parse().unwrap();
        let mut answer = Answer { status, head, body: String::new() };
        let len: usize = answer.header("content-length").map_or(0, |value| value.parse().unwrap());
        if status >= 200 {
            while self.buffer.len() < len {
                assert!(self.more().await, "the body ended early");
            }
            answer.body = String::from_utf8(self.buffer.drain(..len).collect()).unwrap();
        }
        Some(answer)
    }

    /// Everything up to and with `end`.
    pub(crate) async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                return Some(self.buffer.drain(..at + end.len()).collect());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Whether the server closed the connection without sending anything more.
    pub(crate) async fn closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.more().await
    }

    async fn more(&mut self) -> bool {
        let mut part = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(20), self.stream.read(&mut part));
        match read.await {
            Ok(Ok(0)) => false,
            Ok(Ok(n)) => {
                self.buffer.extend(part.iter().take(n));
                true
            }
            Ok(Err(_reset)) => false,
            Err(_elapsed) => panic!("nothing arrived"),
        }
    }
}
