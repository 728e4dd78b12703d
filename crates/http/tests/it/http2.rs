//! A cleartext listener of HTTP/2 only, as gRPC clients use it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookaido_http::{ListenerLimits, Protocol};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use crate::site::{Service, Site, Start, access_log_into};

fn start(limits: ListenerLimits) -> Start {
    Start { protocol: Protocol::Http2, limits, ..Start::default() }
}

async fn client(site: &Site) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(site.addr).await.unwrap();
    let (sender, conn) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    TaskTracker::new().spawn(conn);
    sender
}

fn get(path: &str) -> http::Request<Empty<Bytes>> {
    http::Request::get(format!("http://localhost{path}")).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn http2_is_spoken_from_the_first_byte() {
    let site = start(ListenerLimits::default()).go();
    let answer = client(&site).await.send_request(get("/x")).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "/x");
}

#[tokio::test]
async fn http1_is_cut_off() {
    let site = start(ListenerLimits::default()).go();
    let mut stream = TcpStream::connect(site.addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // What comes, if anything, are frames of HTTP/2.
    let _may_be_reset = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1"), "{answer:?}");
}

#[tokio::test]
async fn trailers_arrive_and_tell_the_access_log_how_the_call_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let logs = access_log_into(&path);
    let site = Start { access_log: logs.access(), ..start(ListenerLimits::default()) }.go();
    let mut client = client(&site).await;
    let answer = client.send_request(get("/trailers")).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(answer.trailers().and_then(|trailers| trailers.get("grpc-status")).unwrap(), "5");
    assert_eq!(answer.to_bytes(), "message");
    assert_eq!(client.send_request(get("/x")).await.unwrap().status(), 200);
    site.stop.cancel();
    site.served.await.unwrap();
    logs.flush(Duration::from_secs(5));
    let text = std::fs::read_to_string(&path).unwrap();
    let line = |path: &str| text.lines().find(|line| line.contains(path)).unwrap();
    assert!(line("/trailers").contains("\"status\":200,\"grpc_status\":5,\"bytes\":7,"), "{text}");
    assert!(line("/x").contains("\"status\":200,\"bytes\":2,"), "{text}");
}

#[tokio::test]
async fn a_stop_lets_a_call_under_way_end() {
    let service = Service::default();
    let (go, begun) = (Arc::clone(&service.go), Arc::clone(&service.begun));
    let site = Start { service, ..start(ListenerLimits::default()) }.go();
    let mut client = client(&site).await;
    let call = TaskTracker::new().spawn(async move { client.send_request(get("/wait")).await.unwrap().status() });
    begun.notified().await;
    site.stop.cancel();
    go.notify_one();
    assert_eq!(call.await.unwrap(), 200);
    assert_eq!(site.served.await.unwrap().aborted, 0);
}
