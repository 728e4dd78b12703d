//! Where a request ends must never be in doubt.

use crate::site::{ExpectOne, Site};

/// Sends a request in the given parts, each in a packet of its own as far as the system allows.
async fn in_parts(site: &Site, parts: &[&str]) -> (u16, bool) {
    let mut client = site.connect().await;
    client.stream.set_nodelay(true).unwrap();
    for part in parts {
        client.send(part).await;
        tokio::task::yield_now().await;
    }
    let answer = client.answer().await.expect_one();
    (answer.status, client.closed().await)
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn a_length_beside_chunks_is_refused_and_the_connection_closed() {
    let site = Site::start();
    for head in [
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "POST /echo HTTP/1.1\r\ncontent-length:3\r\nX: y\r\nTRANSFER-ENCODING:\tCHUNKED \r\nHost: x\r\n\r\n",
        "POST /echo HTTP/1.1\nHost: x\nContent-Length: 3\nTransfer-Encoding: chunked\n\n",
    ] {
        let request = format!("{head}5\r\nhello\r\n0\r\n\r\n{SMUGGLED}");
        assert_eq!(in_parts(&site, &[&request]).await, (400, true), "{head:?}");
    }
}

#[tokio::test]
async fn however_it_is_cut_into_packets() {
    let site = Site::start();
    let request = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n";
    for at in 1..request.len() - 5 {
        let (first, second) = request.split_at(at);
        assert_eq!(in_parts(&site, &[first, second]).await, (400, true), "{first:?}");
    }
    let bytes: Vec<String> = request.chars().map(String::from).collect();
    let bytes: Vec<&str> = bytes.iter().map(String::as_str).collect();
    assert_eq!(in_parts(&site, bytes.split_at(bytes.len() - 5).0).await, (400, true));
}

#[tokio::test]
async fn requests_before_it_are_answered() {
    let site = Site::start();
    let mut client = site.connect().await;
    client
        .send(
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfirst\
             POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        )
        .await;
    client.send(SMUGGLED).await;
    assert_eq!(client.answer().await.expect_one().body, "first");
    assert_eq!(client.answer().await.expect_one().status, 400);
    assert!(client.closed().await);
    assert!(site.metrics.http.active() <= 1);
}

#[tokio::test]
async fn lengths_must_be_clear() {
    let site = Site::start();
    for (lengths, status) in [
        ("Content-Length: 2\r\nContent-Length: 2\r\n", 200),
        ("Content-Length: 2\r\nContent-Length: 3\r\n", 400),
        ("Content-Length: 2, 2\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: +2\r\n", 400),
        ("Content-Length: 0x2\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: abc\r\n", 400),
        ("Content-Length: 99999999999999999999\r\n", 400),
        ("Content-Length : 2\r\n", 400),
        ("Content-Length: 2\r\n\tX: 1\r\n", 400),
    ] {
        let request = format!("POST /echo HTTP/1.1\r\nHost: x\r\n{lengths}\r\nhi");
        let mut client = site.connect().await;
        client.send(&request).await;
        let answer = client.answer().await.expect_one();
        assert_eq!(answer.status, status, "{lengths:?}");
        assert!(status == 200 || client.closed().await, "{lengths:?}");
    }
}

#[tokio::test]
async fn only_chunked_is_understood() {
    let site = Site::start();
    for coding in [
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    ] {
        let request = format!("POST /echo HTTP/1.1\r\nHost: x\r\n{coding}\r\n0\r\n\r\n{SMUGGLED}");
        assert_eq!(in_parts(&site, &[&request]).await, (501, true), "{coding:?}");
    }
}

#[tokio::test]
async fn malformed_chunks_end_the_connection() {
    let site = Site::start();
    for body in [
        "0\r\n\n",
        "0\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "\r\n0\r\n\r\n",
        ";x\r\n0\r\n\r\n",
        "-1\r\n\r\n0\r\n\r\n",
        "g\r\n\r\n",
        "fffffffffffffffff\r\n",
        "0\r\nX: 1\n\r\n",
    ] {
        let mut client = site.connect().await;
        client
            .send(format!("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}{SMUGGLED}"))
            .await;
        // Either refused or cut off, but nothing behind it is ever served.
        if let Some(answer) = client.answer().await {
            assert_eq!(answer.status, 400, "{body:?}: {answer:?}");
        }
        assert!(client.closed().await, "{body:?}");
    }
}

#[tokio::test]
async fn chunks_are_put_together_however_they_are_cut() {
    let site = Site::start();
    let request = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                   a;n=v\r\n0123456789\r\n00b\r\nabcdefghijk\r\n0\r\nX-T: 1\r\nX-U: 2\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n";
    for at in (1..request.len()).step_by(3) {
        let (first, second) = request.split_at(at);
        let mut client = site.connect().await;
        client.send(first).await;
        tokio::task::yield_now().await;
        client.send(second).await;
        assert_eq!(client.answer().await.expect_one().body, "0123456789abcdefghijk", "{at}");
        assert_eq!(client.answer().await.expect_one().body, "/next", "{at}");
    }
}

#[tokio::test]
async fn the_marker_of_refusals_means_nothing_when_a_client_sends_it() {
    let site = Site::start();
    let answer = site.ask("GET /x HTTP/1.1\r\nHost: x\r\nX-Hookaido-Refused: 1\r\n\r\n").await;
    assert_eq!(answer.status, 200);
}
