//! What a peer may make grow.

use std::time::Duration;

use hookaido_http::ListenerLimits;
use hookaido_model::config::{AddressCap, Front};

use crate::site::{ExpectOne, Site, Start};

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
    let front = Front { max_connections_per_ip: AddressCap::Most(1), ..Front::default() };
    let site = Start { front, ..Start::default() }.go();
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
