//! One connection: what its parts share, and how it is served.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use hookaido_telemetry::Metrics;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::guard::Guarded;
use crate::serve::ListenerLimits;
use crate::service::ConnService;

/// What the parts of a connection tell each other.
#[derive(Debug, Default)]
pub(crate) struct ConnState {
    refusal: AtomicU16,
    busy: AtomicU32,
    served: AtomicU32,
    phase: AtomicU8,
    waker: AtomicWaker,
}

/// Serve; end after the request under way; end now.
const RUN: u8 = 0;
const DRAIN: u8 = 1;
const ABORT: u8 = 2;

impl ConnState {
    /// Status for the request that carries the marker; `None` where nothing was cut off.
    pub(crate) fn refusal(&self) -> Option<u16> {
        Some(self.refusal.load(Ordering::Relaxed)).filter(|status| *status != 0)
    }

    pub(crate) fn refuse(&self, status: u16) {
        self.refusal.store(status, Ordering::Relaxed);
    }

    /// Whether a request is being served.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }

    /// Requests so far; wraps around.
    pub(crate) fn served(&self) -> u32 {
        self.served.load(Ordering::Relaxed)
    }

    /// Waits for `future` unless the connection is told to end.
    pub(crate) async fn until_told<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            if self.phase() == RUN { future.as_mut().poll(cx).map(Some) } else { Poll::Ready(None) }
        })
        .await
    }

    /// The connection ends after the requests under way.
    pub(crate) fn drain(&self) {
        self.tell(DRAIN);
    }

    fn tell(&self, phase: u8) {
        self.phase.store(phase, Ordering::Release);
        self.waker.wake();
    }

    fn phase(&self) -> u8 {
        self.phase.load(Ordering::Acquire)
    }
}

/// A request is being served until this is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<ConnState>);

impl InFlight {
    pub(crate) fn new(state: &Arc<ConnState>) -> Self {
        state.busy.fetch_add(1, Ordering::Relaxed);
        state.served.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The connections of a listener.
#[derive(Debug)]
pub(crate) struct Connections {
    metrics: Arc<Metrics>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    states: HashMap<u64, Arc<ConnState>>,
    per_ip: HashMap<IpAddr, usize>,
}

/// A connection is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Registered {
    connections: Arc<Connections>,
    id: u64,
    ip: IpAddr,
    pub(crate) state: Arc<ConnState>,
}

impl Connections {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { metrics, open: Mutex::default() })
    }

    /// Counts a connection; `None` when its address holds `most` already.
    pub(crate) fn register(self: &Arc<Self>, ip: IpAddr, most: usize) -> Option<Registered> {
        let mut open = self.open.lock();
        if !open.up(ip, most) {
            return None;
        }
        let id = open.next;
        open.next += 1;
        let state = Arc::new(ConnState::default());
        open.states.insert(id, Arc::clone(&state));
        drop(open);
        self.metrics.http.opened();
        Some(Registered { connections: Arc::clone(self), id, ip, state })
    }

    /// Tells every connection to end after the request under way.
    pub(crate) fn drain(&self) {
        self.tell(DRAIN);
    }

    /// Cuts off every connection; answers how many there were.
    pub(crate) fn abort(&self) -> usize {
        self.tell(ABORT)
    }

    fn tell(&self, phase: u8) -> usize {
        let states: Vec<_> = self.open.lock().states.values().cloned().collect();
        for state in &states {
            state.tell(phase);
        }
        states.len()
    }
}

impl Open {
    /// Counts one more of an address, unless it holds `most`.
    fn up(&mut self, ip: IpAddr, most: usize) -> bool {
        let count = self.per_ip.entry(ip).or_default();
        let fits = *count < most;
        if fits {
            *count += 1;
        }
        fits
    }

    fn down(&mut self, ip: IpAddr) {
        if let Some(count) = self.per_ip.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.per_ip.remove(&ip);
            }
        }
    }
}

impl Registered {
    /// Counts the connection for another address than the one it came from; `false` when that holds `most` already.
    pub(crate) fn recount(&mut self, ip: IpAddr, most: usize) -> bool {
        let mut open = self.connections.open.lock();
        if !open.up(ip, most) {
            return false;
        }
        open.down(self.ip);
        drop(open);
        self.ip = ip;
        true
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock();
        open.states.remove(&self.id);
        open.down(self.ip);
        drop(open);
        self.connections.metrics.http.closed();
    }
}

/// A connection of hyper that can be asked to end.
trait Drainable: Future<Output = hyper::Result<()>> {
    fn graceful(self: Pin<&mut Self>);
}

impl<I, B, S> Drainable for http1::Connection<I, S>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<crate::BoxError>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: http_body::Body + 'static,
    B::Error: Into<crate::BoxError>,
{
    fn graceful(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Serves HTTP/1.1 until the connection ends.
pub(crate) async fn serve_http1<S>(io: S, state: Arc<ConnState>, service: ConnService, limits: &ListenerLimits)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder
        .half_close(false)
        .title_case_headers(true)
        .max_buf_size(limits.max_head_bytes * 2)
        .max_header_size(limits.max_head_bytes)
        // The guard has a timer of its own for heads, which costs less per request.
        .header_read_timeout(None);
    let io = TokioIo::new(Guarded::new(io, Arc::clone(&state), limits));
    let shared = Arc::clone(&service.shared);
    let ended = run(pin!(builder.serve_connection(io, service)), &state).await;
    if ended.is_err_and(|error| error.is_parse()) {
        shared.metrics.http.malformed();
    }
}

/// Polls a connection, asking it to end when the listener says so.
async fn run<C: Drainable>(mut conn: Pin<&mut C>, state: &ConnState) -> hyper::Result<()> {
    let mut registered = false;
    let mut draining = false;
    poll_fn(|cx: &mut Context<'_>| {
        if !registered {
            // The waker of a task stays the same for its life, so once is enough until it has been used.
            state.waker.register(cx.waker());
            registered = true;
        }
        match state.phase() {
            RUN => {}
            DRAIN if draining => {}
            DRAIN => {
                draining = true;
                state.waker.register(cx.waker());
                conn.as_mut().graceful();
                if state.phase() == ABORT {
                    return Poll::Ready(Ok(()));
                }
            }
            _ => return Poll::Ready(Ok(())),
        }
        conn.as_mut().poll(cx)
    })
    .await
}

/// Runs the streams of HTTP/2 connections on the listener's tracker, and ends them with their connection.
#[derive(Clone)]
struct Tracked {
    tracker: TaskTracker,
    closed: CancellationToken,
}

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        let closed = self.closed.clone();
        self.tracker.spawn(async move { closed.run_until_cancelled(stream).await.is_some() });
    }
}

impl<I, B, S, E> Drainable for http2::Connection<I, S, E>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<crate::BoxError>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: http_body::Body + 'static,
    B::Error: Into<crate::BoxError>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn graceful(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Serves HTTP/2 until the connection ends. hyper never closes a peer that sends no request, so that is done here.
pub(crate) async fn serve_http2<S>(
    io: S,
    state: Arc<ConnState>,
    service: ConnService,
    limits: &ListenerLimits,
    tracker: TaskTracker,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let closed = CancellationToken::new();
    let _close = closed.clone().drop_guard();
    let mut builder = http2::Builder::new(Tracked { tracker, closed });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(256)
        .max_header_list_size(16 * 1024)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buf_size(256 * 1024)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    let conn = pin!(builder.serve_connection(TokioIo::new(io), service));
    let idle = watch_idle(Arc::clone(&state), limits.head_timeout, limits.http2_idle);
    let mut run = pin!(run(conn, &state));
    let mut idle = pin!(idle);
    let watched = poll_fn(|cx| {
        if run.as_mut().poll(cx).is_ready() { Poll::Ready(false) } else { idle.as_mut().poll(cx).map(|()| true) }
    });
    if watched.await {
        state.tell(DRAIN);
        // Ends at once when nothing is under way; a peer that goes on without a request is cut off.
        let _ = tokio::time::timeout(limits.head_timeout, run).await;
    }
}

/// Returns when there is no request within `first`, or later none under way for `idle`.
async fn watch_idle(state: Arc<ConnState>, first: Duration, idle: Duration) {
    let mut served = state.served();
    let mut limit = first;
    loop {
        tokio::time::sleep(limit).await;
        limit = idle;
        let now = state.served();
        if !state.is_busy() && now == served {
            return;
        }
        served = now;
    }
}

#[cfg(test)]
mod tests;
