//! One request: the checks hyper leaves out, the service, the access log.

mod judged;

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::Bytes;
use hookaido_telemetry::{AccessLine, AccessLog, ClientLine, Metrics};
use http::header::{CONNECTION, EXPECT, HOST};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

pub(crate) use self::judged::Judged;
use crate::conn::{ConnState, InFlight};
use crate::guard::MARKER;
use crate::mux::Answer;
use crate::path::escapes_are_valid;
use crate::{Body, BoxError, ClientCert, Peer, PrefixMux, Problem, RequestBody, Response};

/// What the connections of a listener share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) site: Arc<ArcSwap<PrefixMux>>,
    pub(crate) access_log: Arc<AccessLog>,
    pub(crate) metrics: Arc<Metrics>,
}

/// hyper's view of a connection's services.
#[derive(Clone, Debug)]
pub(crate) struct ConnService {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Arc<Peer>,
    /// The other end of the socket.
    pub(crate) socket: SocketAddr,
    pub(crate) state: Arc<ConnState>,
    /// On connections whose client has shown a certificate that was verified.
    pub(crate) judged: Option<Arc<Judged>>,
}

impl hyper::service::Service<http::Request<Incoming>> for ConnService {
    type Response = Response;
    type Error = Infallible;
    type Future = Serving;

    fn call(&self, request: http::Request<Incoming>) -> Serving {
        let in_flight = InFlight::new(&self.state);
        let site = self.shared.site.load();
        let mounted = site.find(request.uri().path());
        // What follows may be meant for the tunnel that the client hoped for, and is no request then.
        let ends = request.method() == Method::CONNECT;
        let told = site.front().client(&self.peer, request.headers());
        let peer = told.as_ref().unwrap_or(&self.peer);
        let component = mounted.map_or_else(|| site.component(), |mounted| mounted.component);
        let line = self.shared.access_log.enabled().then(|| self.line(&request, component, peer));
        let answer = match (self.refuse(&request), mounted) {
            (Some(refusal), _) => {
                match refusal.status {
                    StatusCode::MISDIRECTED_REQUEST => self.shared.metrics.http.client_cert_refused(),
                    _ => self.shared.metrics.http.malformed(),
                }
                Answer::Ready(closing(refusal.into_response()))
            }
            (None, None) => Answer::Ready(not_found()),
            (None, Some(mounted)) => {
                let request = request.map(RequestBody::from);
                match catch_unwind(AssertUnwindSafe(|| mounted.handler.handle(request, peer))) {
                    Ok(reply) => reply.0,
                    Err(panic) => Answer::Ready(panicked(&panic, &self.shared.metrics)),
                }
            }
        };
        Serving { answer, ends, line, shared: Arc::clone(&self.shared), in_flight: Some(in_flight) }
    }
}

impl ConnService {
    /// What must be refused before any service sees it.
    fn refuse(&self, request: &http::Request<Incoming>) -> Option<Problem> {
        let headers = request.headers();
        if let Some(status) = self.state.refusal().filter(|_| headers.contains_key(MARKER)) {
            return Some(refusal(status));
        }
        if self.judged.as_ref().is_some_and(|judged| !judged.holds()) {
            self.state.drain();
            let detail = "the client certificate of this connection is no longer accepted; open another one";
            return Some(Problem::new(StatusCode::MISDIRECTED_REQUEST, "client_cert_refused", detail));
        }
        let mut hosts = headers.get_all(HOST).iter();
        let host_is_fine = match (hosts.next(), hosts.next()) {
            (Some(host), None) => is_host(host.as_bytes()),
            (None, _) => request.version() != Version::HTTP_11,
            (Some(_), Some(_)) => false,
        };
        if !host_is_fine {
            return Some(bad_request("exactly one valid Host header is required"));
        }
        // hyper reads a target without a slash as that of a tunnel (RFC 9112, 3.2.3).
        if request.uri().path().is_empty() && request.method() != Method::CONNECT {
            return Some(bad_request("the target starts with no slash"));
        }
        if !escapes_are_valid(request.uri().path()) {
            return Some(bad_request("the path holds a percent sign without two hexadecimal digits"));
        }
        let expects = headers.get(EXPECT)?;
        (!expects.as_bytes().eq_ignore_ascii_case(b"100-continue")).then(|| {
            let detail = "the only expectation that is understood is 100-continue";
            Problem::new(StatusCode::EXPECTATION_FAILED, "expectation_failed", detail)
        })
    }

    fn line(&self, request: &http::Request<Incoming>, component: &'static str, peer: &Arc<Peer>) -> Box<Line> {
        Box::new(Line {
            component,
            method: request.method().clone(),
            uri: request.uri().clone(),
            started: Instant::now(),
            peer: Arc::clone(peer),
            via: (peer.addr != self.socket).then_some(self.socket),
            status: 0,
            grpc_status: None,
            bytes: 0,
            log: Arc::clone(&self.shared.access_log),
        })
    }
}

fn is_host(host: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:[]!$&'()*+,;=%@".contains(byte) || *byte >= 0x80;
    host.iter().all(allowed)
}

fn bad_request(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
}

/// The answer to a request that was cut off below hyper.
fn refusal(status: u16) -> Problem {
    match status {
        414 => Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", "the request line is too long"),
        501 => Problem::new(
            StatusCode::NOT_IMPLEMENTED,
            "unsupported_transfer_encoding",
            "the only transfer encoding that is understood is chunked",
        ),
        _ => bad_request("the length of the body is not clear from the header"),
    }
}

fn not_found() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// The connection ends with this answer.
fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn panicked(panic: &Box<dyn Any + Send>, metrics: &Metrics) -> Response {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(target: "hookaido", error = text.unwrap_or("unknown"), "handler_panicked");
    metrics.http.panicked();
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "the request failed; see the log").into_response()
}

/// A request being answered.
pub(crate) struct Serving {
    answer: Answer,
    /// Whether the connection ends with the answer.
    ends: bool,
    line: Option<Box<Line>>,
    shared: Arc<Shared>,
    in_flight: Option<InFlight>,
}

impl Future for Serving {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut response = match &mut this.answer {
            Answer::Ready(response) => std::mem::take(response),
            Answer::Later(future) => match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(poll) => ready!(poll),
                Err(panic) => {
                    let response = panicked(&panic, &this.shared.metrics);
                    // The future is broken; nothing may poll it again.
                    this.answer = Answer::Ready(Response::default());
                    response
                }
            },
        };
        if this.ends || response.status() == StatusCode::PAYLOAD_TOO_LARGE {
            response = closing(response);
        }
        let in_flight = this.in_flight.take();
        let Some(mut line) = this.line.take() else {
            return Poll::Ready(Ok(match response.body().exact_len() {
                Some(_) => response,
                None => response.map(|body| Body::stream(Tracked { body, line: None, _in_flight: in_flight })),
            }));
        };
        line.status = response.status().as_u16();
        line.grpc_status = grpc_status(response.headers());
        if let Some(len) = response.body().exact_len() {
            line.bytes = if line.method == Method::HEAD { 0 } else { len };
            line.write();
            return Poll::Ready(Ok(response));
        }
        Poll::Ready(Ok(response.map(|body| Body::stream(Tracked { body, line: Some(line), _in_flight: in_flight }))))
    }
}

/// A line of the access log in the making.
struct Line {
    component: &'static str,
    method: Method,
    uri: Uri,
    started: Instant,
    peer: Arc<Peer>,
    via: Option<SocketAddr>,
    status: u16,
    grpc_status: Option<u16>,
    bytes: u64,
    log: Arc<AccessLog>,
}

/// How a gRPC call ended: said in the head of an answer without a message, behind it otherwise.
fn grpc_status(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

impl Line {
    fn write(&self) {
        self.log.write(&AccessLine {
            component: self.component,
            method: self.method.as_str(),
            path: &percent_decode_str(self.uri.path()).decode_utf8_lossy(),
            status: self.status,
            grpc_status: self.grpc_status,
            bytes: self.bytes,
            duration: self.started.elapsed(),
            remote: self.peer.addr,
            via: self.via,
            client: match self.peer.tls.as_ref().map(|tls| &tls.client) {
                None | Some(ClientCert::None) => ClientLine::None,
                Some(ClientCert::Unverified) => ClientLine::Unverified,
                Some(ClientCert::Verified(identity)) => identity.line(),
            },
        });
    }
}

/// A streamed body. Its request is under way until the body is dropped, and is logged then.
struct Tracked {
    body: Body,
    line: Option<Box<Line>>,
    _in_flight: Option<InFlight>,
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let (Some(Ok(frame)), Some(line)) = (&frame, &mut self.line) {
            line.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            line.grpc_status = frame.trailers_ref().and_then(grpc_status).or(line.grpc_status);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            line.write();
        }
    }
}
