//! Against a server on a socket of its own, in and outside of a runtime.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use hookaido_config::FixedEnvironment;

use super::*;

/// Answers one request; gives it back.
fn once(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(request).unwrap().to_ascii_lowercase()
    });
    (address, serving)
}

fn vault(pairs: &[(&str, &str)]) -> Vault<FixedEnvironment> {
    Vault::new(FixedEnvironment::with_vars(pairs.iter().copied()))
}

const FOUND: &str = "HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{\"data\":{\"value\":\"abc\"}}";
const MOVED: &str = "HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";

#[test]
fn token_and_namespace_are_sent() {
    let (address, serving) = once(FOUND);
    let vault = vault(&[(ADDR, &address), (TOKEN, "t0ken"), (NAMESPACE, "team")]);
    assert_eq!(vault.read("/v1/kv//a b?c/", None).unwrap().bytes(), b"abc");
    let request = serving.join().unwrap();
    assert!(request.starts_with("get /v1/kv/a%20b%3fc http/1.1\r\n"), "{request}");
    assert!(
        request.contains("x-vault-token: t0ken\r\n") && request.contains("x-vault-namespace: team\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn a_runtime_around_it_does_not_matter() {
    let (address, _serving) = once(FOUND);
    assert!(vault(&[(ADDR, &address), (TOKEN, "t")]).read("kv/a", Some("value")).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_with_workers_does_not_matter_either() {
    let (address, _serving) = once(FOUND);
    assert!(vault(&[(ADDR, &address), (TOKEN, "t")]).read("kv/a", Some("value")).is_ok());
}

#[test]
fn errors_say_what_to_do() {
    let (address, _serving) = once(MOVED);
    let error = vault(&[(ADDR, &address), (TOKEN, "t0ken")]).read("kv/a", None).unwrap_err();
    assert!(error.contains("status 307: redirects are not followed") && !error.contains("t0ken"), "{error}");
    let error = |pairs: &[(&str, &str)]| vault(pairs).read("kv/a", None).unwrap_err();
    let there = (ADDR, "http://localhost");
    assert!(error(&[]).contains(ADDR));
    assert!(error(&[there]).contains(TOKEN));
    assert!(error(&[(ADDR, "localhost:8200"), (TOKEN, "t")]).contains("no base URL"));
    assert!(!error(&[there, (TOKEN, "bad\ntoken")]).contains("bad"));
    assert!(error(&[there, (TOKEN, "t"), (TIMEOUT, "soon")]).contains(TIMEOUT));
    assert!(error(&[there, (TOKEN, "t"), ("HOOKAIDO_VAULT_CACERT", "/ca")]).contains("SSL_CERT_FILE"));
}

#[test]
fn a_vault_that_says_nothing_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let error = vault(&[(ADDR, &address), (TOKEN, "t"), (TIMEOUT, "50ms")]).read("kv/a", None).unwrap_err();
    assert!(error.contains("no answer within 50ms"), "{error}");
}

#[test]
fn paths_are_those_of_the_api() {
    assert_eq!(api_path("v1/kv/one").unwrap(), "kv/one");
    assert_eq!(api_path("v1").unwrap(), "v1");
    assert_eq!(api_path("/kv/50%/").unwrap(), "kv/50%25");
    for bad in ["", "/", "kv/../sys", "./kv", "https://vault/v1/kv"] {
        assert!(api_path(bad).is_err(), "{bad}");
    }
}
