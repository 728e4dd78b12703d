//! Addresses.

use hookaido_http::{BindError, bind};

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
