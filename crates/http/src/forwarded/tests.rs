//! The walk through trusted hops, as a table and against hostile text.

use proptest::prelude::*;

use super::*;

fn trusted(header: ClientIpHeader) -> TrustedProxies {
    let networks = [("10.0.0.0", 8), ("192.168.0.1", 32), ("fd00::", 8)];
    TrustedProxies::new(Networks::new(&networks.map(|(ip, bits)| (ip.parse().unwrap(), bits))), header)
}

fn client(header: ClientIpHeader, peer: &str, lines: &[(&str, &[u8])]) -> String {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    let found = trusted(header).client(SocketAddr::new(peer.parse().unwrap(), 4711), &headers);
    found.map_or_else(
        || "peer".to_owned(),
        |addr| if addr.port() == 0 { addr.ip().to_string() } else { addr.to_string() },
    )
}

/// By `X-Forwarded-For`.
fn xff(peer: &str, lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", line.as_bytes())).collect();
    client(ClientIpHeader::Auto, peer, &lines)
}

/// By `Forwarded`.
fn rfc7239(lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| ("forwarded", line.as_bytes())).collect();
    client(ClientIpHeader::Auto, "10.0.0.1", &lines)
}

#[test]
fn only_trusted_proxies_are_believed() {
    assert_eq!(xff("203.0.113.9", &["198.51.100.7"]), "peer");
    assert_eq!(xff("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
    assert_eq!(xff("10.0.0.1", &[]), "peer");
    let nobody = TrustedProxies::default();
    let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, HeaderValue::from_static("198.51.100.7"))]);
    assert_eq!(nobody.client("10.0.0.1:1".parse().unwrap(), &headers), None);
}

#[test]
fn the_walk_goes_from_the_right_to_the_first_untrusted_address() {
    for (lines, want) in [
        (&["198.51.100.7, 10.0.0.2"][..], "198.51.100.7"),
        (&["6.6.6.6, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        (&["6.6.6.6", "198.51.100.7", "10.0.0.2, 10.0.0.3"], "198.51.100.7"),
        // Nobody but proxies: the one farthest away.
        (&["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
        (&["192.168.0.2, 192.168.0.1"], "192.168.0.2"),
        (&["2001:db8::7, fd00::1"], "2001:db8::7"),
        (&["::ffff:198.51.100.7, ::ffff:10.0.0.2"], "198.51.100.7"),
    ] {
        assert_eq!(xff("10.0.0.1", lines), want, "{lines:?}");
        assert_eq!(xff("::ffff:10.0.0.1", lines), want, "{lines:?}");
    }
}

#[test]
fn ports_brackets_and_empty_elements_are_read() {
    for (line, want) in [
        ("198.51.100.7:8080", "198.51.100.7:8080"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:8080", "[2001:db8::7]:8080"),
        ("2001:db8::7", "2001:db8::7"),
        (" 198.51.100.7 , , ", "198.51.100.7"),
        (",,,", "peer"),
        ("", "peer"),
    ] {
        assert_eq!(xff("10.0.0.1", &[line]), want, "{line}");
    }
}

#[test]
fn a_hop_that_names_nobody_ends_the_walk_at_the_last_trusted_one() {
    for bad in [
        "unknown",
        "_hidden",
        "host.example",
        "198.51.100.07",
        "198.51.100",
        "1.2.3.4.5",
        "198.51.100.7:",
        "198.51.100.7:99999",
        "198.51.100.7:+80",
        "198.51.100.7:80:80",
        "2001:db8::7%eth0",
        "[198.51.100.7]",
        "[2001:db8::7",
        "2001:db8::7]:80",
        "[2001:db8::7]80",
        "0x7f.0.0.1",
        "127.1",
        "'198.51.100.7'",
        "198.51.100.7;x",
    ] {
        assert_eq!(xff("10.0.0.1", &[bad]), "peer", "{bad}");
        assert_eq!(xff("10.0.0.1", &[&format!("198.51.100.7, {bad}, 10.0.0.2")]), "10.0.0.2", "{bad}");
    }
    assert_eq!(client(ClientIpHeader::Auto, "10.0.0.1", &[("x-forwarded-for", b"1.2.3.4, \xff")]), "peer");
    let long = vec!["10.0.0.2"; 5000].join(",");
    assert_eq!(xff("10.0.0.1", &[&format!("198.51.100.7,{long}")]), "10.0.0.2", "the number of hops is bounded");
}

#[test]
fn forwarded_is_read_as_rfc_7239_says() {
    for (line, want) in [
        ("for=198.51.100.7", "198.51.100.7"),
        ("For=198.51.100.7;proto=https;by=10.0.0.1", "198.51.100.7"),
        ("proto=https; for=\"198.51.100.7:4711\"; host=x", "198.51.100.7:4711"),
        ("for=\"[2001:db8::7]:4711\"", "[2001:db8::7]:4711"),
        ("for=\"[2001:db8::7]\"", "2001:db8::7"),
        ("for=\"\\1\\98.51.100.7\"", "198.51.100.7"),
        ("for=\"198.51.100.7:_port\"", "198.51.100.7"),
        ("for=6.6.6.6, for=198.51.100.7, for=10.0.0.2", "198.51.100.7"),
        ("for=198.51.100.7;host=\"a,b;for=6.6.6.6\", for=10.0.0.2", "198.51.100.7"),
        ("for=198.51.100.7;host=\"a\\\", for=6.6.6.6\"", "198.51.100.7"),
        ("for=198.51.100.7;", "198.51.100.7"),
        // What the client left open on the left does not reach what the proxy wrote.
        ("for=\"6.6.6.6, for=198.51.100.7", "198.51.100.7"),
        ("\"\\\", for=198.51.100.7", "198.51.100.7"),
    ] {
        assert_eq!(rfc7239(&[line]), want, "{line}");
    }
    for line in [
        "for=unknown",
        "for=_SEVKISEK",
        "proto=https",
        "for=198.51.100.7;for=6.6.6.6",
        "for=\"198.51.100.7",
        "for",
        "=198.51.100.7",
        "for=\"198.51.100.7\"x",
        "for=2001:db8::7:x",
        "for=",
    ] {
        assert_eq!(rfc7239(&[line]), "peer", "{line}");
        assert_eq!(rfc7239(&[&format!("for=6.6.6.6, {line}"), "for=10.0.0.2"]), "10.0.0.2", "{line}");
    }
    assert_eq!(rfc7239(&["for=6.6.6.6", "for=198.51.100.7", "for=10.0.0.2"]), "198.51.100.7");
}

#[test]
fn one_header_can_be_named_where_proxies_pass_the_other_on() {
    let both: &[(&str, &[u8])] = &[("x-forwarded-for", b"198.51.100.7"), ("forwarded", b"for=203.0.113.5")];
    for (header, want) in [
        (ClientIpHeader::Auto, "198.51.100.7"),
        (ClientIpHeader::XForwardedFor, "198.51.100.7"),
        (ClientIpHeader::Forwarded, "203.0.113.5"),
    ] {
        assert_eq!(client(header, "10.0.0.1", both), want);
    }
    assert_eq!(client(ClientIpHeader::XForwardedFor, "10.0.0.1", &both[1..]), "peer");
    assert_eq!(client(ClientIpHeader::Forwarded, "10.0.0.1", &both[..1]), "peer");
}

proptest! {
    /// Whatever a client sends, the address that the nearest proxy has appended is the one that counts.
    #[test]
    fn what_stands_on_the_left_never_counts(left in "[ -~]{0,60}", octet in 1_u8..250) {
        let (real, hop) = (format!("198.51.100.{octet}"), "10.0.0.2");
        prop_assert_eq!(xff("10.0.0.1", &[&format!("{left},{real}, {hop}")]), real.clone());
        prop_assert_eq!(rfc7239(&[&format!("{left},for={real}, for={hop}")]), real.clone());
        prop_assert_eq!(rfc7239(&[&left, &format!("for=\"{real}\";proto=https")]), real);
    }

    #[test]
    fn any_bytes_are_survived(value in proptest::collection::vec(prop_oneof![Just(9_u8), 32_u8..=126, 128_u8..=255], 0..80)) {
        for name in ["x-forwarded-for", "forwarded"] {
            client(ClientIpHeader::Auto, "10.0.0.1", &[(name, &value)]);
        }
    }
}
