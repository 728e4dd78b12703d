//! What a peer may make grow, and how long it may take.

use std::sync::Arc;
use std::time::Duration;

use hookaido_http::ListenerLimits;
use tokio::io::AsyncWriteExt;

use crate::site::{ExpectOne, Service, Site, Start};

fn short() -> ListenerLimits {
    ListenerLimits { head_timeout: Duration::from_millis(100), ..ListenerLimits::default() }
}

#[tokio::test]
async fn too_many_or_too_large_headers_are_431() {
    let site = Site::start();
    let many = "X: 1\r\n".repeat(10_000);
    let one = format!("X: {}\r\n", "y".repeat(40_000));
    for headers in [many, one] {
        let mut client = site.connect().await;
        client.send(format!("POST /echo HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).await;
        assert_eq!(client.answer().await.expect_one().status, 431);
        assert!(client.closed().await);
    }
}

#[tokio::test]
async fn a_long_target_is_414() {
    let site = Site::start();
    for len in [17_000, 40_000, 1 << 20] {
        let mut client = site.connect().await;
        client.send(format!("POST /{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(len))).await;
        assert_eq!(client.answer().await.expect_one().status, 414, "{len}");
        assert!(client.closed().await);
    }
    let fits = format!("POST /{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(16_000));
    assert_eq!(site.ask(&fits).await.status, 200);
}

#[tokio::test]
async fn silent_slow_and_idle_connections_are_closed() {
    let site = Start { limits: short(), ..Start::default() }.go();
    let mut silent = site.connect().await;
    let mut half = site.connect().await;
    half.send("POST /echo HTTP/1.1\r\nHos").await;
    let mut idle = site.connect().await;
    idle.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(idle.answer().await.expect_one().status, 200);
    assert!(silent.closed().await);
    assert!(half.closed().await);
    assert!(idle.closed().await);
}

#[tokio::test]
async fn a_head_that_drips_is_closed_too() {
    let site = Start { limits: short(), ..Start::default() }.go();
    let mut client = site.connect().await;
    // All of it would take more than a second; writing fails once the connection is closed.
    for byte in "POST /echo HTTP/1.1\r\nHost: x\r\nX-Long: 123456789012345678901234567890".bytes() {
        if client.stream.write_all(&[byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the connection is still open");
}

#[tokio::test]
async fn a_request_may_take_longer_than_a_head() {
    let service = Service::default();
    let (go, begun) = (Arc::clone(&service.go), Arc::clone(&service.begun));
    let site = Start { limits: short(), service, ..Start::default() }.go();
    let mut waiting = site.connect().await;
    waiting.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").await;
    begun.notified().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    go.notify_one();
    assert_eq!(waiting.answer().await.expect_one().body, "waited");
    let mut stream = site.connect().await;
    stream.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(stream.until(b"one").await.is_some());
    tokio::time::sleep(Duration::from_millis(300)).await;
    go.notify_one();
    assert!(stream.until(b"two").await.is_some());
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_cut_off() {
    let limits = ListenerLimits { write_timeout: Duration::from_millis(100), ..ListenerLimits::default() };
    let site = Start { limits, ..Start::default() }.go();
    let mut client = site.connect().await;
    client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    while site.metrics.http.active() == 0 {
        tokio::task::yield_now().await;
    }
    while site.metrics.http.active() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_large_answer_may_take_longer_than_a_head() {
    let site = Start { limits: short(), ..Start::default() }.go();
    let mut client = site.connect().await;
    client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(client.until(b"\r\n\r\n").await.is_some());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut got = client.buffered();
    while got < 8 << 20 {
        got += client.read_some().await;
    }
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_a_place() {
    let limits = ListenerLimits { max_connections: 1, ..ListenerLimits::default() };
    let site = Start { limits, ..Start::default() }.go();
    let mut first = site.connect().await;
    first.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(first.answer().await.expect_one().body, "/1");
    let mut second = site.connect().await;
    second.send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let waited = tokio::time::timeout(Duration::from_millis(100), second.answer()).await;
    assert!(waited.is_err(), "{waited:?}");
    drop(first);
    assert_eq!(second.answer().await.expect_one().body, "/2");
}

#[tokio::test]
async fn one_address_may_not_take_all_places() {
    let limits = ListenerLimits { max_connections_per_ip: 1, ..ListenerLimits::default() };
    let site = Start { limits, ..Start::default() }.go();
    let mut first = site.connect().await;
    first.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(first.answer().await.expect_one().body, "/1");
    assert!(site.connect().await.closed().await);
    drop(first);
    while site.metrics.http.active() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.ask("GET /3 HTTP/1.1\r\nHost: x\r\n\r\n").await.body, "/3");
}
