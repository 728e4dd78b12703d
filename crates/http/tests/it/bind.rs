//! Addresses.

use hookaido_http::{BindError, bind};
use tokio::net::TcpStream;

use crate::site::{Client, ExpectOne, Start};

#[tokio::test]
async fn addresses_are_written_as_in_go() {
    for addr in ["127.0.0.1:0", ":0", "localhost:0", "0.0.0.0:0"] {
        let bound = bind(addr).unwrap();
        assert_ne!(bound.addr().port(), 0, "{addr}");
        assert_eq!(bound.configured(), addr);
    }
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    for addr in ["", "8080", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "::1:80", "[::1:80", "1]:80"] {
        assert!(matches!(bind(addr), Err(BindError::Malformed { .. })), "{addr}");
    }
}

#[tokio::test]
async fn a_busy_port_is_named_in_one_line() {
    let first = bind("127.0.0.1:0").unwrap();
    let addr = first.addr().to_string();
    let error = bind(&addr).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {addr}: another process uses the port"));
}

#[tokio::test]
async fn a_port_is_free_again_at_once() {
    let addr = bind("127.0.0.1:0").unwrap().addr().to_string();
    let _again = bind(&addr).unwrap();
}

#[tokio::test]
async fn a_peer_is_shown_by_its_ipv4_address_on_a_socket_for_both() {
    let site = Start { addr: ":0", ..Start::default() }.go();
    let stream = TcpStream::connect(("127.0.0.1", site.addr.port())).await.unwrap();
    let mut client = Client::over(stream);
    client.send("GET /peer HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.answer().await.expect_one().body, client.stream.local_addr().unwrap().to_string());
}
