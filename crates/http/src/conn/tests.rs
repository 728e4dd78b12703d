//! Time: connections over a pipe in memory, with a clock that jumps when nothing else can happen.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hookaido_telemetry::AccessLog;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::*;
use crate::service::Shared;
use crate::{Body, Handler, Peer, PrefixMux, Reply, Request, Response};

const HEAD: Duration = Duration::from_secs(15);
const IDLE: Duration = Duration::from_secs(300);

/// `/slow` takes a minute, `/large` is larger than the pipe, `/stream` sends something now and something in a minute.
struct Service;

impl Handler for Service {
    fn handle(&self, request: Request, _: &Arc<Peer>) -> Reply {
        let minute = Duration::from_secs(60);
        match request.uri().path() {
            "/slow" => Reply::later(async move {
                sleep(minute).await;
                Response::new("slow".into())
            }),
            "/large" => Reply::ready(Response::new(vec![b'x'; 1 << 20].into())),
            "/stream" => Reply::ready(Response::new(Body::stream(http_body_util::StreamBody::new(
                futures_util::stream::unfold(0_u32, move |sent| async move {
                    if sent == 1 {
                        sleep(minute).await;
                    }
                    let frame = http_body::Frame::data(bytes::Bytes::from_static(b"part"));
                    (sent < 2).then_some((Ok::<_, std::io::Error>(frame), sent + 1))
                }),
            )))),
            other => Reply::ready(Response::new(other.to_owned().into())),
        }
    }
}

fn service(state: &Arc<ConnState>) -> ConnService {
    let addr = "127.0.0.1:1".parse().unwrap();
    ConnService {
        shared: Arc::new(Shared {
            site: Arc::new(ArcSwap::from_pointee(PrefixMux::new("ingress", Arc::new(Service)))),
            access_log: Arc::new(AccessLog::disabled()),
            metrics: Metrics::new().0,
        }),
        peer: Arc::new(Peer { addr, local: addr, tls: None }),
        socket: addr,
        state: Arc::clone(state),
        judged: None,
    }
}

/// A served connection; the clock tells how long it lived.
struct Connection {
    client: DuplexStream,
    served: JoinHandle<Duration>,
    state: Arc<ConnState>,
}

fn connect(http2: bool) -> Connection {
    let (client, server) = tokio::io::duplex(16 * 1024);
    let state = Arc::new(ConnState::default());
    let (service, theirs) = (service(&state), Arc::clone(&state));
    let served = TaskTracker::new().spawn(async move {
        let (began, limits) = (Instant::now(), ListenerLimits { http2_idle: IDLE, ..ListenerLimits::default() });
        if http2 {
            serve_http2(server, theirs, service, &limits, TaskTracker::new()).await;
        } else {
            serve_http1(server, theirs, service, &limits).await;
        }
        began.elapsed()
    });
    Connection { client, served, state }
}

impl Connection {
    async fn send(&mut self, text: &str) {
        self.client.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until `end` has arrived.
    async fn until(&mut self, end: &str) {
        let mut got = Vec::new();
        while !got.ends_with(end.as_bytes()) {
            got.push(self.client.read_u8().await.unwrap());
        }
    }

    /// How long the server kept the connection.
    async fn lived(self) -> Duration {
        self.served.await.unwrap()
    }
}

fn about(found: Duration, expected: Duration) -> bool {
    found >= expected && found < expected + Duration::from_secs(1)
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed() {
    let lived = connect(false).lived().await;
    assert!(about(lived, HEAD), "{lived:?}");
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_not_awaited_for_ever() {
    let mut connection = connect(false);
    connection.send("POST /a HTTP/1.1\r\nHos").await;
    let lived = connection.lived().await;
    assert!(about(lived, HEAD), "{lived:?}");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_has_no_more_time() {
    let mut connection = connect(false);
    let began = Instant::now();
    for byte in "POST /a HTTP/1.1\r\nHost: x\r\nX-Long: 1234567890".chars() {
        if connection.client.write_all(byte.to_string().as_bytes()).await.is_err() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    assert!(about(began.elapsed(), HEAD) || about(began.elapsed(), HEAD + Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let mut connection = connect(false);
    sleep(Duration::from_secs(10)).await;
    connection.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await;
    connection.until("/a").await;
    let lived = connection.lived().await;
    assert!(lived >= HEAD && lived < Duration::from_secs(10) + HEAD * 2, "{lived:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_use_stays_open() {
    let mut connection = connect(false);
    for _ in 0..20 {
        connection.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await;
        connection.until("/a").await;
        sleep(Duration::from_secs(14)).await;
    }
    assert!(!connection.served.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_request_may_take_longer_than_a_head() {
    for (path, end) in [("/slow", "slow"), ("/stream", "part\r\n0\r\n\r\n")] {
        let mut connection = connect(false);
        connection.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        connection.until(end).await;
        let lived = connection.lived().await;
        assert!(lived >= Duration::from_secs(60) && lived < Duration::from_secs(95), "{path} {lived:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_cut_off() {
    let mut connection = connect(false);
    connection.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let lived = connection.lived().await;
    assert!(about(lived, Duration::from_secs(60)), "{lived:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_is_not() {
    let mut connection = connect(false);
    connection.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut got = 0;
    let mut part = vec![0; 16 * 1024];
    while got < 1 << 20 {
        sleep(Duration::from_secs(20)).await;
        got += connection.client.read(&mut part).await.unwrap();
    }
    assert!(!connection.served.is_finished());
}

#[tokio::test(start_paused = true)]
async fn an_unread_body_is_thrown_away_for_a_moment_only() {
    let mut connection = connect(false);
    connection.send("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\nabc").await;
    connection.until("/a").await;
    let lived = connection.lived().await;
    assert!(about(lived, Duration::from_millis(500)), "{lived:?}");
}

#[tokio::test(start_paused = true)]
async fn a_drained_connection_ends_with_its_request() {
    let mut connection = connect(false);
    connection.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    sleep(Duration::from_secs(1)).await;
    connection.state.tell(DRAIN);
    connection.until("slow").await;
    let lived = connection.lived().await;
    assert!(about(lived, Duration::from_secs(60)), "{lived:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_can_be_cut_off_while_it_drains() {
    let mut connection = connect(false);
    connection.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    sleep(Duration::from_secs(1)).await;
    connection.state.tell(DRAIN);
    sleep(Duration::from_secs(1)).await;
    connection.state.tell(ABORT);
    let lived = connection.lived().await;
    assert!(about(lived, Duration::from_secs(2)), "{lived:?}");
}

#[tokio::test(start_paused = true)]
async fn an_http2_peer_without_preface_or_request_is_closed() {
    let lived = connect(true).lived().await;
    assert!(lived >= HEAD && lived <= HEAD * 2, "{lived:?}");
    let Connection { client, served, .. } = connect(true);
    let (_sender, conn) = hyper::client::conn::http2::handshake::<_, _, http_body_util::Empty<bytes::Bytes>>(
        hyper_util::rt::TokioExecutor::new(),
        TokioIo::new(client),
    )
    .await
    .unwrap();
    let client = TaskTracker::new().spawn(conn);
    let lived = served.await.unwrap();
    assert!(lived >= HEAD && lived <= HEAD * 2, "{lived:?}");
    client.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_http2_connection_is_kept_for_its_own_time() {
    let Connection { client, served, .. } = connect(true);
    let (mut sender, conn) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), TokioIo::new(client))
            .await
            .unwrap();
    let client = TaskTracker::new().spawn(conn);
    let request = http::Request::get("http://x/quick").body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    let lived = served.await.unwrap();
    assert!(lived >= IDLE && lived <= IDLE * 2, "{lived:?}");
    client.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn http2_requests_may_take_their_time() {
    let Connection { client, served, state } = connect(true);
    let (mut sender, conn) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), TokioIo::new(client))
            .await
            .unwrap();
    let conn = TaskTracker::new().spawn(conn);
    let ask = |path: &str| {
        let uri = format!("http://x{path}");
        http::Request::get(uri).body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap()
    };
    let (slow, quick) = (sender.send_request(ask("/slow")), sender.send_request(ask("/quick")));
    assert_eq!(quick.await.unwrap().status(), 200);
    assert_eq!(slow.await.unwrap().status(), 200);
    state.tell(DRAIN);
    served.await.unwrap();
    conn.await.unwrap().unwrap();
}
