//! A client of the gRPC worker API that shows what is on the wire: HTTP/2 of hyper, framing of our own.
//!
//! Calls block the thread that makes them; one that is [`Grpc::start`]ed runs beside it and can be cancelled, as clients do.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::fail::{Attempt, Fail, fail};
use crate::{ports, tls};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
const SERVICE: &str = "/hookaido.worker.v1.WorkerService/";

/// A connection and the token that its calls carry.
#[derive(Debug)]
pub struct Grpc {
    runtime: Arc<Runtime>,
    sender: http2::SendRequest<Full<Bytes>>,
    metadata: Vec<(String, String)>,
}

/// How a call ended that did not end well: code and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Number of the code.
    pub code: u16,
    /// For people.
    pub message: String,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// Head and trailers.
    pub headers: HeaderMap,
    /// The message with its frame; empty where there is none.
    pub body: Bytes,
}

/// A call under way.
#[derive(Debug)]
pub struct Call(JoinHandle<Attempt<Answer>>);

/// How to connect.
#[derive(Debug, Clone, Copy, Default)]
pub struct Connect<'a> {
    /// `true`, or the names of files in the folder as `ca`, `cert` and `key`.
    pub tls: Option<(&'a Value, &'a Path)>,
    /// Bytes of an answer that the server may send unasked; as the library likes it where `None`.
    pub window: Option<u32>,
}

impl Grpc {
    /// Connects in cleartext.
    pub fn connect(port: u16) -> Attempt<Self> {
        Self::connect_with(port, Connect::default())
    }

    /// Connects.
    pub fn connect_with(port: u16, how: Connect<'_>) -> Attempt<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let config = how.tls.map(|(wanted, dir)| tls::client(wanted, dir)).transpose()?.flatten();
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(ports::local(port)).await?;
            let Some(config) = config else { return handshake(stream, how.window).await };
            let mut config = Arc::unwrap_or_clone(config);
            config.alpn_protocols = vec![b"h2".to_vec()];
            let name = ServerName::try_from("localhost").map_err(|error| Fail(error.to_string()))?;
            handshake(TlsConnector::from(Arc::new(config)).connect(name, stream).await?, how.window).await
        })?;
        Ok(Self { runtime: Arc::new(runtime), sender, metadata: vec![] })
    }

    /// Sends this with every call.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.metadata.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends a bearer token with every call.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// Makes a call of the service and waits for what comes of it.
    pub fn call<M: Message + Default>(&self, method: &str, request: &impl Message) -> Attempt<Result<M, Refusal>> {
        self.start(method, request).end()
    }

    /// Makes a call and does not wait.
    pub fn start(&self, method: &str, request: &impl Message) -> Running {
        let body = framed(&request.encode_to_vec(), false);
        Running { runtime: Arc::clone(&self.runtime), call: self.send(&format!("{SERVICE}{method}"), body, &[]) }
    }

    /// Sends any request and waits for the answer; `headers` replace those that it would have.
    pub fn raw(&self, path: &str, body: Bytes, headers: &[(&str, &str)]) -> Attempt<Answer> {
        let call = self.send(path, body, headers);
        self.runtime.block_on(call.0).map_err(|error| Fail(error.to_string()))?
    }

    fn send(&self, path: &str, body: Bytes, headers: &[(&str, &str)]) -> Call {
        let mut sender = self.sender.clone();
        let fixed = [("content-type", "application/grpc"), ("te", "trailers")];
        let own = self.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let method = headers.iter().find(|(name, _)| *name == ":method").map_or("POST", |(_, value)| value);
        let mut request = http::Request::builder().method(method).uri(format!("http://localhost{path}"));
        let replaced = |name: &str| headers.iter().any(|(other, _)| *other == name);
        for (name, value) in fixed.into_iter().chain(own).filter(|(name, _)| !replaced(name)) {
            request = request.header(name, value);
        }
        for (name, value) in headers.iter().filter(|(name, value)| *name != ":method" && !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body));
        Call(self.runtime.spawn(async move {
            let request = request.map_err(|error| Fail(error.to_string()))?;
            sender.ready().await.map_err(|error| broken(&error))?;
            let answer = tokio::time::timeout(PATIENCE, receive(sender, request)).await;
            answer.unwrap_or_else(|_elapsed| fail("no answer in time"))
        }))
    }

    /// Sends a call, reads the head of its answer and no more, then cancels it.
    pub fn cancel_at_head(&self, method: &str, request: &impl Message, meanwhile: impl FnOnce()) -> Attempt<()> {
        let mut sender = self.sender.clone();
        let mut head = http::Request::post(format!("http://localhost{SERVICE}{method}"));
        head = head.header("content-type", "application/grpc").header("te", "trailers");
        for (name, value) in &self.metadata {
            head = head.header(name, value);
        }
        let request = head.body(Full::new(framed(&request.encode_to_vec(), false)));
        let request = request.map_err(|error| Fail(error.to_string()))?;
        let answer = self.runtime.block_on(sender.send_request(request)).map_err(|error| broken(&error))?;
        meanwhile();
        drop(answer);
        Ok(())
    }
}

/// A call that runs beside the test.
#[derive(Debug)]
pub struct Running {
    runtime: Arc<Runtime>,
    call: Call,
}

impl Running {
    /// Waits for what comes of it.
    pub fn end<M: Message + Default>(self) -> Attempt<Result<M, Refusal>> {
        let answer = self.runtime.block_on(self.call.0).map_err(|error| Fail(error.to_string()))??;
        answer.message()
    }

    /// Resets the stream.
    pub fn cancel(self) {
        self.call.0.abort();
        drop(self.runtime.block_on(self.call.0));
    }
}

impl Answer {
    /// What came of the call.
    pub fn message<M: Message + Default>(self) -> Attempt<Result<M, Refusal>> {
        let text =
            |name: &str| self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let Some(code) = text("grpc-status").and_then(|code| code.parse().ok()) else {
            return fail(format!("status {} and no grpc-status: {:?}", self.status, self.body));
        };
        if code != 0 {
            let message = text("grpc-message").unwrap_or_default().replace("%20", " ").replace("%22", "\"");
            return Ok(Err(Refusal { code, message }));
        }
        let mut body = self.body;
        if body.len() < 5 || body.get_u8() != 0 || body.get_u32() as usize != body.len() {
            return fail("the answer is not one message");
        }
        M::decode(body).map(Ok).map_err(|error| Fail(error.to_string()))
    }
}

/// A message with its frame.
pub fn framed(message: &[u8], compressed: bool) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[u8::from(compressed)], &length[..], message].concat().into()
}

async fn handshake<S>(stream: S, window: Option<u32>) -> Attempt<http2::SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window.unwrap_or(64 << 20)).initial_connection_window_size(64 << 20);
    let (sender, conn) = builder.handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    tokio::runtime::Handle::current().spawn(conn);
    Ok(sender)
}

async fn receive(mut sender: http2::SendRequest<Full<Bytes>>, request: http::Request<Full<Bytes>>) -> Attempt<Answer> {
    let (head, body) = sender.send_request(request).await.map_err(|error| broken(&error))?.into_parts();
    let collected = body.collect().await.map_err(|error| broken(&error))?;
    let mut headers = head.headers;
    headers.extend(collected.trailers().cloned().unwrap_or_default());
    Ok(Answer { status: head.status.as_u16(), headers, body: collected.to_bytes() })
}

fn broken(error: &hyper::Error) -> Fail {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    Fail(format!("HTTP/2: {error}: {source}"))
}
