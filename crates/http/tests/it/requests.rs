//! Requests that are fine, and what is refused before a service sees it.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use hookaido_http::PrefixMux;

use crate::site::{ExpectOne, Service, Site, Start, access_log_into};

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let site = Site::start();
    let mut client = site.connect().await;
    client
        .send(
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1\
             GET /second HTTP/1.1\r\nHost: x\r\n\r\n\
             POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n1\r\nd\r\n0\r\nX-T: 1\r\n\r\n\
             POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\n4",
        )
        .await;
    for body in ["1", "/second", "abcd", "4"] {
        let answer = client.answer().await.expect_one();
        assert_eq!((answer.status, answer.body.as_str()), (200, body));
    }
    assert!(client.closed().await);
}

#[tokio::test]
async fn answers_carry_date_and_length() {
    let site = Site::start();
    let answer = site.ask("GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(answer.header("content-length"), Some("2"));
    assert!(answer.header("date").is_some_and(|date| date.ends_with(" GMT")), "{answer:?}");
    assert_eq!(answer.header("connection"), None);
}

#[tokio::test]
async fn a_service_knows_its_peer() {
    let site = Site::start();
    let mut client = site.connect().await;
    client.send("GET /peer HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.answer().await.expect_one().body, client.stream.local_addr().unwrap().to_string());
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let site = Site::start();
    for (request, status) in [
        ("GARBAGE\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a b/c\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: x\r\nNoColon\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: x\r\nX: 1\r\n folded\r\n\r\n", 400),
        ("POST /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("POST /#%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("POST # HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("POST echo HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: magic\r\nContent-Length: 2\r\n\r\nhi", 417),
        ("GET /x HTTP/1.0\r\n\r\n", 200),
        ("GET /x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200),
        ("\r\nGET /x HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    ] {
        assert_eq!(site.ask(request).await.status, status, "{request:?}");
    }
}

#[tokio::test]
async fn nothing_is_served_behind_a_tunnel_that_there_is_not() {
    let site = Site::start();
    let mut client = site.connect().await;
    client.send("CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.answer().await.expect_one().header("connection"), Some("close"));
    assert!(client.closed().await);
}

#[tokio::test]
async fn what_stands_behind_a_hash_belongs_to_the_target() {
    let site = Site::start();
    let mut client = site.connect().await;
    let bytes = format!(
        "GET /a#b?c#d HTTP/1.1\r\nHost: x\r\nX: #\r\n\r\n\
         POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n # \
         GET /{} HTTP/1.1\r\nHost: x\r\n\r\n",
        "#".repeat(5000)
    );
    client.send(bytes).await;
    for body in ["/a%23b", " # "] {
        assert_eq!(client.answer().await.expect_one().body, body);
    }
    assert_eq!(client.answer().await.expect_one().body, format!("/{}", "%23".repeat(5000)));
    let refused =
        site.ask("GET /# HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(refused.await.status, 400);
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "#".repeat(6000));
    assert_eq!(site.ask(&long).await.status, 414);
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_connection_lives() {
    let site = Site::start();
    let mut client = site.connect().await;
    for path in ["/boom", "/boom-later"] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let answer = client.answer().await.expect_one();
        assert_eq!(answer.status, 500);
        assert!(answer.body.contains("\"code\":\"internal_error\""), "{answer:?}");
    }
    client.send("GET /fine HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.answer().await.expect_one().body, "/fine");
}

#[tokio::test]
async fn prefixes_choose_the_service_by_segments() {
    struct Named(&'static str);
    impl hookaido_http::Handler for Named {
        fn handle(&self, _: hookaido_http::Request, _: &Arc<hookaido_http::Peer>) -> hookaido_http::Reply {
            hookaido_http::Reply::ready(hookaido_http::Response::new(self.0.into()))
        }
    }
    let site = Site::start();
    let mux = PrefixMux::new("ingress", Arc::new(Service::default()))
        .mount("/admin", "admin_api", Arc::new(Named("admin")))
        .mount("/admin/pull", "pull_api", Arc::new(Named("pull")));
    site.mux.store(Arc::new(mux));
    for (path, body) in [
        ("/admin", "admin"),
        ("/admin/", "admin"),
        ("/admin/x?y=1", "admin"),
        ("/%61dmin/x", "admin"),
        ("/x/../admin", "admin"),
        ("/admin/pull/a", "pull"),
        ("/administrator", "/administrator"),
        ("/", "/"),
    ] {
        assert_eq!(site.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await.body, body, "{path}");
    }
    site.mux.store(Arc::new(PrefixMux::new("admin_api", Arc::new(Named("swapped")))));
    assert_eq!(site.ask("GET /admin HTTP/1.1\r\nHost: x\r\n\r\n").await.body, "swapped");
}

#[tokio::test]
async fn each_request_is_a_line_of_the_access_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let logs = access_log_into(&path);
    let service = Service::default();
    let go = Arc::clone(&service.go);
    let site = Start { service, access_log: logs.access(), ..Start::default() }.go();
    site.ask("POST /echo?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").await;
    site.ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    go.notify_one();
    let mut client = site.connect().await;
    client.send("GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(client.until(b"two").await.is_some());
    assert!(client.until(b"0\r\n\r\n").await.is_some());
    assert!(client.closed().await);
    logs.flush(Duration::from_secs(10));
    let lines: Vec<serde_json::Value> =
        fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: Vec<_> = lines
        .iter()
        .map(|line| {
            assert_eq!(line["component"], "ingress");
            assert!(line["duration"].as_u64().is_some() && line["remote_addr"].as_str().is_some());
            (
                line["method"].as_str().unwrap(),
                line["path"].as_str().unwrap(),
                line["status"].as_u64().unwrap(),
                line["bytes"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(seen.len(), 3, "{lines:?}");
    assert_eq!(seen.first(), Some(&("POST", "/echo", 200, 3)));
    assert!(matches!(seen.get(1), Some(("POST", "/echo", 400, _))), "{seen:?}");
    assert_eq!(seen.get(2), Some(&("GET", "/stream", 200, 6)));
}
