//! What stands in front of a listener: balancers that speak the PROXY protocol, proxies that are trusted, bounds of one address.

use std::time::Duration;

use hookaido_model::config::{AddressCap, Front, ProxyProtocol};

use crate::site::{ExpectOne, Site, Start, access_log_into};

const ASK: &str = "GET /peer HTTP/1.1\r\nHost: x\r\n\r\n";

fn local() -> Vec<(std::net::IpAddr, u8)> {
    vec![("127.0.0.1".parse().unwrap(), 32)]
}

fn balanced() -> Front {
    Front { proxy_protocol: Some(ProxyProtocol { from: local(), timeout: Duration::from_secs(5) }), ..Front::default() }
}

fn site(front: Front) -> Site {
    Start { front, ..Start::default() }.go()
}

fn version2(command: u8, source: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, 0x11, 0, 19]);
    header.extend(source);
    header.extend([10, 0, 0, 1, 0x12, 0x67, 0x01, 0xbb]);
    // An extension that nobody here knows.
    header.extend([0xe0, 0, 4, 1, 2, 3, 4]);
    header
}

#[tokio::test]
async fn balancers_say_who_connects() {
    let site = site(balanced());
    let local = version2(0x20, [0; 4]);
    for (header, want) in [
        (&b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n"[..], Some("198.51.100.7:4711")),
        (b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n", Some("[2001:db8::7]:4711")),
        (&version2(0x21, [198, 51, 100, 7]), Some("198.51.100.7:4711")),
        (b"PROXY UNKNOWN\r\n", None),
        (&local, None),
    ] {
        let mut client = site.connect().await;
        let own = client.stream.local_addr().unwrap().to_string();
        client.send([header, ASK.as_bytes()].concat()).await;
        assert_eq!(client.answer().await.expect_one().body, want.unwrap_or(&own));
        // It holds for the whole connection.
        client.send(ASK).await;
        assert_eq!(client.answer().await.expect_one().body, want.unwrap_or(&own));
    }
}

#[tokio::test]
async fn a_header_that_comes_byte_by_byte_is_read() {
    let site = site(balanced());
    let mut client = site.connect().await;
    for byte in b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n" {
        client.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    client.send(ASK).await;
    assert_eq!(client.answer().await.expect_one().body, "198.51.100.7:4711");
}

#[tokio::test]
async fn without_a_good_header_nothing_is_served() {
    let site = site(balanced());
    let too_long = format!("PROXY UNKNOWN {}", "x".repeat(200));
    for start in [ASK, "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n        ", &too_long, "PROXY TCP4 1.1.1.1 2.2.2.2 99999 1\r\n"]
    {
        let mut client = site.connect().await;
        client.send(start).await;
        assert!(client.closed().await, "{start}");
    }
    while site.metrics.http.active() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_header_that_does_not_come_is_not_awaited_for_ever() {
    let soon = Duration::from_millis(50);
    let front = Front { proxy_protocol: Some(ProxyProtocol { from: local(), timeout: soon }), ..Front::default() };
    let site = site(front);
    for start in ["", "PROXY TCP4 198.51.100.7 "] {
        let mut client = site.connect().await;
        client.send(start).await;
        assert!(client.closed().await, "{start}");
    }
}

#[tokio::test]
async fn nobody_else_may_send_a_header() {
    let elsewhere = ProxyProtocol { from: vec![("192.0.2.1".parse().unwrap(), 32)], timeout: Duration::from_secs(5) };
    let site = site(Front { proxy_protocol: Some(elsewhere), ..Front::default() });
    let mut client = site.connect().await;
    client.send(["PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n", ASK].concat()).await;
    assert_eq!(client.answer().await.expect_one().status, 400);
    let mut client = site.connect().await;
    let own = client.stream.local_addr().unwrap().to_string();
    client.send(ASK).await;
    assert_eq!(client.answer().await.expect_one().body, own);
}

#[tokio::test]
async fn a_client_behind_a_balancer_is_counted_and_the_balancer_is_not() {
    let site = site(Front { max_connections_per_ip: AddressCap::Most(1), ..balanced() });
    let header = |ip: u8| format!("PROXY TCP4 198.51.100.{ip} 10.0.0.1 4711 443\r\n{ASK}");
    let mut first = site.connect().await;
    first.send(header(7)).await;
    assert_eq!(first.answer().await.expect_one().status, 200);
    let mut second = site.connect().await;
    second.send(header(7)).await;
    assert!(second.closed().await, "the second of one client");
    let mut other = site.connect().await;
    other.send(header(8)).await;
    assert_eq!(other.answer().await.expect_one().status, 200);
    drop((first, other));
    while site.metrics.http.active() > 0 {
        tokio::task::yield_now().await;
    }
    let mut again = site.connect().await;
    again.send(header(7)).await;
    assert_eq!(again.answer().await.expect_one().status, 200);
}

#[tokio::test]
async fn trusted_proxies_say_it_in_a_header_for_each_request() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let logs = access_log_into(&path);
    let front = Front { trusted_proxies: local(), max_connections_per_ip: AddressCap::Most(1), ..Front::default() };
    let site = Start { front, access_log: logs.access(), ..Start::default() }.go();
    let _other_connection = site.connect().await;
    let mut client = site.connect().await;
    let own = client.stream.local_addr().unwrap().to_string();
    for (header, want) in [
        ("X-Forwarded-For: 198.51.100.7\r\n", "198.51.100.7:0"),
        ("", own.as_str()),
        ("Forwarded: for=\"[2001:db8::7]:4711\"\r\n", "[2001:db8::7]:4711"),
        ("X-Forwarded-For: nonsense\r\n", own.as_str()),
    ] {
        client.send(format!("GET /peer HTTP/1.1\r\nHost: x\r\n{header}\r\n")).await;
        assert_eq!(client.answer().await.expect_one().body, want);
    }
    logs.flush(Duration::from_secs(10));
    let lines: Vec<serde_json::Value> =
        std::fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: Vec<_> = lines.iter().map(|line| (line["remote_addr"].as_str().unwrap(), line["via"].as_str())).collect();
    assert_eq!(
        seen,
        [("198.51.100.7", Some(&*own)), (&*own, None), ("[2001:db8::7]:4711", Some(&*own)), (&*own, None)]
    );
}
