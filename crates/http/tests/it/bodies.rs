//! Bodies within and beyond their bounds.

use std::time::Duration;

use hookaido_http::{Body, BodyError, ByteBudget, RequestBody, read_body};

use crate::site::{ExpectOne, LIMIT, Service, Site, Start};

#[tokio::test]
async fn continue_is_said_to_those_who_wait_for_it() {
    let site = Site::start();
    let mut client = site.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await;
    assert_eq!(client.answer().await.expect_one().status, 100);
    client.send("hi").await;
    let answer = client.answer().await.expect_one();
    assert_eq!((answer.status, answer.body.as_str()), (200, "hi"));
}

#[tokio::test]
async fn a_length_beyond_the_limit_is_refused_without_an_invitation() {
    let site = Site::start();
    for length in [LIMIT + 1, 10_000_000_000] {
        let mut client = site.connect().await;
        client
            .send(format!("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"))
            .await;
        let answer = client.answer().await.expect_one();
        assert_eq!(answer.status, 413, "{length}");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.closed().await);
    }
}

#[tokio::test]
async fn the_answer_arrives_although_the_body_was_not_read() {
    let site = Site::start();
    for _ in 0..20 {
        let mut client = site.connect().await;
        let body = vec![b'x'; 300_000];
        client.send(format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len())).await;
        client.send(&body).await;
        assert_eq!(client.answer().await.expect_one().status, 413);
    }
}

#[tokio::test]
async fn chunks_count_towards_the_limit() {
    let site = Site::start();
    let mut client = site.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    for _ in 0..7 {
        client.send(&chunk).await;
    }
    assert_eq!(client.answer().await.expect_one().status, 413);
}

#[tokio::test]
async fn a_body_of_single_bytes_is_read() {
    let site = Site::start();
    let mut client = site.connect().await;
    let mut request = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    request.push_str(&"1\r\nx\r\n".repeat(10_000));
    request.push_str("0\r\n\r\n");
    client.send(&request).await;
    assert_eq!(client.answer().await.expect_one().body.len(), 10_000);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_awaited_for_ever() {
    let service = Service { body_deadline: Duration::from_millis(50), ..Service::default() };
    let site = Start { service, ..Start::default() }.go();
    let mut client = site.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab").await;
    assert_eq!(client.answer().await.expect_one().status, 408);
    assert!(client.closed().await);
}

/// Waits until this much of a budget is left.
async fn is_left(budget: &ByteBudget, bytes: u64) {
    while budget.left() != bytes {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn bodies_under_way_share_a_budget() {
    let budget = ByteBudget::new(12_000);
    let service = Service { budget: budget.clone(), ..Service::default() };
    let site = Start { service, ..Start::default() }.go();
    let mut slow = site.connect().await;
    slow.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9000\r\n\r\n").await;
    assert_eq!(slow.answer().await.expect_one().status, 100);
    is_left(&budget, 12_000 - 4096).await;
    slow.send(vec![b'x'; 8000]).await;
    is_left(&budget, 12_000 - 8192).await;
    let request =
        |len: usize| format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n{}", "x".repeat(len));
    assert_eq!(site.ask(&request(4000)).await.status, 503);
    slow.send(vec![b'x'; 1000]).await;
    assert_eq!(slow.answer().await.expect_one().body.len(), 9000);
    is_left(&budget, 12_000).await;
    assert_eq!(site.ask(&request(4000)).await.status, 200);
}

#[tokio::test]
async fn a_length_that_is_only_announced_takes_no_room() {
    let budget = ByteBudget::new(100_000);
    let service = Service { budget: budget.clone(), ..Service::default() };
    let site = Start { service, ..Start::default() }.go();
    let mut idle = Vec::new();
    for n in 1..=20 {
        let mut client = site.connect().await;
        client.send(format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {LIMIT}\r\n\r\nx")).await;
        is_left(&budget, 100_000 - n * 4096).await;
        idle.push(client);
    }
}

#[tokio::test]
async fn large_bodies_leave_room_for_small_ones() {
    let budget = ByteBudget::new(40_000);
    let service = Service { budget: budget.clone(), ..Service::default() };
    let site = Start { service, ..Start::default() }.go();
    let mut large = site.connect().await;
    large.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 35000\r\n\r\n").await;
    large.send(vec![b'x'; 34_999]).await;
    is_left(&budget, 5000).await;
    let chunked = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let second = format!("{chunked}1388\r\n{}\r\n0\r\n\r\n", "x".repeat(5000));
    assert_eq!(site.ask(&second).await.status, 503, "more than the start of a body");
    let small = format!("{chunked}fa0\r\n{}\r\n0\r\n\r\n", "x".repeat(4000));
    assert_eq!(site.ask(&small).await.status, 200);
    large.send("x").await;
    assert_eq!(large.answer().await.expect_one().status, 200);
}

#[tokio::test]
async fn a_client_that_goes_away_gives_its_share_back() {
    let budget = ByteBudget::new(10_000);
    let service = Service { budget: budget.clone(), ..Service::default() };
    let site = Start { service, ..Start::default() }.go();
    let mut client = site.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9000\r\n\r\n").await;
    assert_eq!(client.answer().await.expect_one().status, 100);
    client.send("x").await;
    is_left(&budget, 10_000 - 4096).await;
    drop(client);
    is_left(&budget, 10_000).await;
}

#[tokio::test]
async fn made_bodies_read_like_received_ones() {
    let budget = ByteBudget::new(100);
    let wait = Duration::from_secs(1);
    assert_eq!(read_body(RequestBody::full("abc"), 3, wait, &budget).await.unwrap(), "abc");
    assert_eq!(read_body(RequestBody::full(""), 0, wait, &budget).await.unwrap(), "");
    let error = read_body(RequestBody::full("abcd"), 3, wait, &budget).await.unwrap_err();
    assert!(matches!(error, BodyError::TooLarge { limit: 3 }));
    let error = read_body(RequestBody::full(vec![0; 101]), 1000, wait, &budget).await.unwrap_err();
    assert!(matches!(error, BodyError::Overloaded));
    assert_eq!(budget.left(), 100);
    assert_eq!(Body::full("abc").as_bytes(), Some(&b"abc"[..]));
}
