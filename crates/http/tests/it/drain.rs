//! Stopping a listener.

use std::sync::Arc;
use std::time::Duration;

use hookaido_http::{Drained, bind};
use tokio::net::TcpStream;

use crate::site::{ExpectOne, Service, Site, Start};

#[tokio::test]
async fn requests_under_way_are_finished_and_idle_connections_closed() {
    let service = Service::default();
    let (go, begun) = (Arc::clone(&service.go), Arc::clone(&service.begun));
    let site = Start { service, ..Start::default() }.go();
    let mut idle = site.connect().await;
    idle.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(idle.answer().await.expect_one().status, 200);
    let mut busy = site.connect().await;
    busy.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").await;
    begun.notified().await;
    site.stop.cancel();
    assert!(idle.closed().await);
    go.notify_one();
    let answer = busy.answer().await.expect_one();
    assert_eq!(answer.body, "waited");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(busy.closed().await);
    assert_eq!(site.served.await.unwrap(), Drained { aborted: 0 });
}

#[tokio::test]
async fn the_port_is_free_as_soon_as_draining_begins() {
    let service = Service::default();
    let (go, begun) = (Arc::clone(&service.go), Arc::clone(&service.begun));
    let site = Start { service, ..Start::default() }.go();
    let mut busy = site.connect().await;
    busy.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").await;
    begun.notified().await;
    site.stop.cancel();
    while TcpStream::connect(site.addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let again = bind(&site.addr.to_string()).unwrap();
    assert_eq!(again.addr(), site.addr);
    go.notify_one();
    assert_eq!(busy.answer().await.expect_one().status, 200);
}

#[tokio::test]
async fn what_outlasts_the_budget_is_cut_off() {
    let service = Service::default();
    let begun = Arc::clone(&service.begun);
    let site = Start { service, budget: Duration::from_millis(50), ..Start::default() }.go();
    let mut waiting = site.connect().await;
    waiting.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").await;
    begun.notified().await;
    let mut stream = site.connect().await;
    stream.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(stream.until(b"one").await.is_some());
    site.stop.cancel();
    assert_eq!(site.served.await.unwrap(), Drained { aborted: 2 });
    assert!(waiting.closed().await);
    assert_eq!(site.metrics.http.active(), 0);
}

#[tokio::test]
async fn a_listener_without_connections_stops_at_once() {
    let site = Site::start();
    site.stop.cancel();
    assert_eq!(site.served.await.unwrap(), Drained::default());
}
