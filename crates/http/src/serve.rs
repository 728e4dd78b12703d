//! The accept loop and its bounds.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hookaido_telemetry::{AccessLog, Metrics};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::conn::{self, Connections, Registered};
use crate::proxy::{self, ProxyError, Said};
use crate::service::{ConnService, Judged, Shared};
use crate::{BoundListener, Front, Peer, PrefixMux, ServerTls, TlsPeer};

/// Pause after `accept` failed for want of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a listener speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1; with TLS also HTTP/2, where the client asks for it.
    #[default]
    Http,
    /// HTTP/2 only, from the first byte on (RFC 9113, 3.3): what gRPC clients speak, with and without TLS.
    Http2,
}

/// Bounds of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections at the same time; more wait in the system's queue.
    pub max_connections: usize,
    /// Time for a request head, and for which an HTTP/1.1 connection may be idle between requests.
    pub head_timeout: Duration,
    /// Time for which an HTTP/2 connection may be idle between requests.
    pub http2_idle: Duration,
    /// Requests of an HTTP/2 connection at the same time; more wait at the client.
    pub http2_streams: u32,
    /// Bytes of a request head.
    pub max_head_bytes: usize,
    /// Bytes of a request line.
    pub max_target_bytes: usize,
    /// Time for a TLS handshake.
    pub tls_timeout: Duration,
    /// Time without progress of a peer that takes an answer slowly.
    pub write_timeout: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            max_connections: 8192,
            head_timeout: Duration::from_secs(15),
            http2_idle: Duration::from_secs(15),
            http2_streams: 128,
            max_head_bytes: 32 * 1024,
            max_target_bytes: 16 * 1024,
            tls_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
        }
    }
}

/// What a listener needs besides its socket and its services.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    /// What is spoken.
    pub protocol: Protocol,
    /// Bounds.
    pub limits: ListenerLimits,
    /// `None` serves cleartext. Read anew for each connection, so certificates can be exchanged.
    pub tls: Option<Arc<ArcSwap<ServerTls>>>,
    /// One line per request.
    pub access_log: Arc<AccessLog>,
    /// Counts connections.
    pub metrics: Arc<Metrics>,
}

/// Tells a listener to stop.
#[derive(Clone, Debug)]
pub struct Drain {
    /// Cancelled when the listener should stop accepting.
    pub stop: CancellationToken,
    /// Time that requests under way are given after that.
    pub budget: Duration,
}

/// How a listener ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut off after the budget.
    pub aborted: usize,
}

/// Serves a listener until `drain` says stop, then waits for requests under way, at most the budget, and cuts off the rest.
///
/// The socket closes as soon as `drain.stop` is cancelled. `site` may be exchanged at any time; each request takes it once.
pub async fn serve(
    listener: BoundListener,
    site: Arc<ArcSwap<PrefixMux>>,
    options: ListenerOptions,
    drain: Drain,
) -> Drained {
    let ListenerOptions { protocol, limits, tls, access_log, metrics } = options;
    let socket = match TcpListener::from_std(listener.socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(target: "hookaido", addr = %listener.addr, %error, "listener_failed");
            return Drained::default();
        }
    };
    let accept = Accept {
        socket,
        slots: Arc::new(Semaphore::new(limits.max_connections)),
        connections: Connections::new(Arc::clone(&metrics)),
        tracker: TaskTracker::new(),
        protocol,
        limits: Arc::new(limits),
        tls,
        shared: Arc::new(Shared { site, access_log, metrics }),
    };
    accept.run(&drain.stop).await;
    accept.drain(drain.budget).await
}

/// The parts of the accept loop.
struct Accept {
    socket: TcpListener,
    slots: Arc<Semaphore>,
    connections: Arc<Connections>,
    tracker: TaskTracker,
    protocol: Protocol,
    limits: Arc<ListenerLimits>,
    tls: Option<Arc<ArcSwap<ServerTls>>>,
    shared: Arc<Shared>,
}

impl Accept {
    /// Accepts until told to stop. A slot is taken before a connection, so that those over the bound wait in the system's queue.
    async fn run(&self, stop: &CancellationToken) {
        let mut failing = false;
        loop {
            let Some(Ok(slot)) = stop.run_until_cancelled(Arc::clone(&self.slots).acquire_owned()).await else {
                return;
            };
            match stop.run_until_cancelled(self.socket.accept()).await {
                None => return,
                Some(Ok((stream, addr))) => {
                    failing = false;
                    self.start(stream, addr, slot);
                }
                Some(Err(error)) if is_of_one_connection(&error) => {}
                Some(Err(error)) => {
                    // Most likely out of file descriptors. Trying again at once would only burn the processor.
                    self.shared.metrics.http.accept_failed();
                    if !failing {
                        tracing::warn!(target: "hookaido", %error, "accept_failed");
                    }
                    failing = true;
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, addr: SocketAddr, slot: OwnedSemaphorePermit) {
        let addr = canonical(addr);
        let front = Arc::clone(self.shared.site.load().front());
        let Some(registered) = self.connections.register(addr.ip(), front.cap(addr.ip())) else {
            self.shared.metrics.http.per_ip_refused();
            return;
        };
        let _ = stream.set_nodelay(true);
        let local = stream.local_addr().map_or(addr, canonical);
        let opened = Opened {
            peer: Peer { addr, local, tls: None },
            socket: addr,
            registered,
            shared: Arc::clone(&self.shared),
            protocol: self.protocol,
            limits: Arc::clone(&self.limits),
            tracker: self.tracker.clone(),
        };
        let tls = self.tls.clone();
        self.tracker.spawn(async move {
            opened.serve(stream, &front, tls).await;
            drop(slot);
        });
    }

    /// Closes the socket, then waits for requests under way.
    async fn drain(self, budget: Duration) -> Drained {
        drop(self.socket);
        self.tracker.close();
        self.connections.drain();
        if tokio::time::timeout(budget, self.tracker.wait()).await.is_ok() {
            return Drained::default();
        }
        let aborted = self.connections.abort();
        self.tracker.wait().await;
        Drained { aborted }
    }
}

/// A peer of a socket that takes both IP versions is shown by its IPv4 address where it has one.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Errors of `accept` that concern the connection only: the next one may work.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | WouldBlock)
}

/// A connection that was accepted.
struct Opened {
    peer: Peer,
    /// The other end of the socket, whatever a balancer says.
    socket: SocketAddr,
    registered: Registered,
    shared: Arc<Shared>,
    protocol: Protocol,
    limits: Arc<ListenerLimits>,
    tracker: TaskTracker,
}

impl Opened {
    /// PROXY header, TLS, HTTP: each where it is due.
    async fn serve(mut self, mut stream: TcpStream, front: &Front, tls: Option<Arc<ArcSwap<ServerTls>>>) {
        if let Some(limit) = front.header_time(self.socket.ip())
            && !Box::pin(self.introduced(&mut stream, front, limit)).await
        {
            return;
        }
        match tls {
            None => self.serve_plain(stream).await,
            // A task is as large as the largest of its states: in it, this would cost every plain connection 5 KB.
            Some(tls) => Box::pin(self.serve_tls(stream, tls)).await,
        }
    }

    /// Takes over what a balancer says of the connection; `false` ends it.
    async fn introduced(&mut self, stream: &mut TcpStream, front: &Front, limit: Duration) -> bool {
        let header = tokio::time::timeout(limit, proxy::read_header(stream));
        let Some(outcome) = self.registered.state.until_told(header).await else { return false };
        let why = match outcome {
            Ok(Ok(Said::Nothing)) => return true,
            Ok(Ok(Said::Client { source, destination })) => {
                (self.peer.addr, self.peer.local) = (source, destination);
                let fits = self.registered.recount(source.ip(), front.cap(source.ip()));
                if !fits {
                    self.shared.metrics.http.per_ip_refused();
                }
                return fits;
            }
            Ok(Err(ProxyError::Closed)) => return false,
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("no whole header within {limit:?}"),
        };
        self.shared.metrics.http.proxy_header_failed();
        tracing::warn!(target: "hookaido", peer = %self.socket, reason = %why, "proxy_header_refused");
        false
    }

    async fn serve_plain(self, stream: TcpStream) {
        let (service, limits) = self.service(None);
        let state = Arc::clone(&service.state);
        match self.protocol {
            Protocol::Http => conn::serve_http1(stream, state, service, &limits).await,
            Protocol::Http2 => conn::serve_http2(stream, state, service, &limits, self.tracker).await,
        }
        drop(self.registered);
    }

    /// Shakes hands within the time limit, then serves what ALPN agreed on. Nothing is guessed from the first bytes, so whoever wants
    /// HTTP/2 must say so in the handshake.
    async fn serve_tls(mut self, stream: TcpStream, tls: Arc<ArcSwap<ServerTls>>) {
        let present = tls.load_full();
        let acceptor = TlsAcceptor::from(Arc::clone(&present.config));
        let handshake = tokio::time::timeout(self.limits.tls_timeout, acceptor.accept(stream));
        let Some(Ok(Ok(stream))) = self.registered.state.until_told(handshake).await else {
            self.shared.metrics.http.tls_failed();
            return;
        };
        let (_, session) = stream.get_ref();
        let http2 = session.alpn_protocol() == Some(b"h2");
        if self.protocol == Protocol::Http2 && !http2 {
            self.shared.metrics.http.tls_failed();
            return;
        }
        let client = Arc::new(TlsPeer::of(session, present.verifies()));
        self.peer.tls = Some(Arc::clone(&client));
        let judged = Judged::new(client, &present, tls);
        drop(present);
        let (service, limits) = self.service(judged);
        let state = Arc::clone(&service.state);
        if http2 {
            Box::pin(conn::serve_http2(stream, state, service, &limits, self.tracker)).await;
        } else {
            conn::serve_http1(stream, state, service, &limits).await;
        }
        drop(self.registered);
    }

    fn service(&self, judged: Option<Judged>) -> (ConnService, Arc<ListenerLimits>) {
        let service = ConnService {
            shared: Arc::clone(&self.shared),
            peer: Arc::new(self.peer.clone()),
            socket: self.socket,
            state: Arc::clone(&self.registered.state),
            judged: judged.map(Arc::new),
        };
        (service, Arc::clone(&self.limits))
    }
}
