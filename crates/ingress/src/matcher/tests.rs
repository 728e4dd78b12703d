//! Tables of the conditions, after what was recorded from the reference.

use http::HeaderValue;

use super::*;

const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn takes(conditions: &Match, uri: &str, headers: &[(&'static str, &'static str)], ip: IpAddr) -> bool {
    let uri = uri.parse().unwrap();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Matcher::new(conditions).unwrap().takes(Seen { uri: &uri, headers: &map, ip, identity: None })
}

#[test]
fn without_method_only_post_is_taken() {
    assert_eq!(Matcher::new(&Match::default()).unwrap().methods(), [Method::POST]);
    let methods = vec!["PUT".to_owned(), "PURGE".to_owned()];
    let matcher = Matcher::new(&Match { methods, ..Match::default() }).unwrap();
    assert_eq!(matcher.methods(), [Method::PUT, Method::from_bytes(b"PURGE").unwrap()]);
}

#[test]
fn hosts_are_compared_without_case_port_and_closing_dot() {
    let with = |pattern: &str, host: &'static str| {
        let hosts = vec![HostPattern(pattern.to_owned())];
        takes(&Match { hosts, ..Match::default() }, "/", &[("host", host)], LOCAL)
    };
    for (pattern, host, taken) in [
        ("ex.com", "ex.com", true),
        ("ex.com", "EX.com:80", true),
        ("ex.com", "ex.com.", true),
        ("EX.com", "ex.com", true),
        ("ex.com", "a.ex.com", false),
        ("*.ex.com", "ex.com", false),
        ("*.ex.com", "a.ex.com", true),
        ("*.ex.com", "A.b.EX.com:81", true),
        ("*.ex.com", "xex.com", false),
        ("*.ex.com", "ü", false),
        ("*", "ex.com", true),
        ("*", "", false),
        ("::1", "[::1]:80", true),
        ("::1", "[::2]", false),
    ] {
        if host.is_ascii() {
            assert_eq!(with(pattern, host), taken, "{pattern} {host}");
        }
    }
}

#[test]
fn the_target_counts_before_the_host_header() {
    let hosts = vec![HostPattern("ex.com".to_owned())];
    let conditions = Match { hosts, ..Match::default() };
    assert!(takes(&conditions, "http://ex.com:80/a", &[("host", "other")], LOCAL));
    assert!(!takes(&conditions, "http://other/a", &[("host", "ex.com")], LOCAL));
}

#[test]
fn a_header_matches_as_a_whole_or_by_one_element() {
    let with = |value: &str, lines: &[(&'static str, &'static str)]| {
        let headers = vec![("X-Event".to_owned(), value.to_owned())];
        takes(&Match { headers, ..Match::default() }, "/", lines, LOCAL)
    };
    for (value, lines, taken) in [
        ("push", &[("x-event", "push")][..], true),
        ("push", &[("x-event", "pull, push")], true),
        ("push", &[("x-event", "pull"), ("x-event", "push")], true),
        ("push", &[("x-event", "PUSH")], false),
        ("push", &[("x-event", "pushed")], false),
        ("push", &[], false),
        ("a, b", &[("x-event", "a, b")], true),
        ("a, b", &[("x-event", "a"), ("x-event", "b")], false),
    ] {
        assert_eq!(with(value, lines), taken, "{value} {lines:?}");
    }
}

#[test]
fn presence_is_enough_for_header_exists_and_query_exists() {
    let conditions =
        Match { header_exists: vec!["X-Id".to_owned()], query_exists: vec!["t".to_owned()], ..Match::default() };
    assert!(takes(&conditions, "/a?t", &[("x-id", "")], LOCAL));
    assert!(!takes(&conditions, "/a?u", &[("x-id", "")], LOCAL));
    assert!(!takes(&conditions, "/a?t", &[], LOCAL));
    assert!(!takes(&conditions, "/a", &[("x-id", "")], LOCAL));
}

#[test]
fn the_address_must_be_in_one_of_the_networks() {
    let with = |networks: &[(&str, u8)], ip: &str| {
        let remote_ips = networks.iter().map(|(ip, bits)| (ip.parse().unwrap(), *bits)).collect();
        takes(&Match { remote_ips, ..Match::default() }, "/", &[], ip.parse().unwrap())
    };
    for (networks, ip, taken) in [
        (&[("127.0.0.0", 8)][..], "127.9.0.1", true),
        (&[("127.0.0.0", 8)], "128.0.0.1", false),
        (&[("10.0.0.1", 32), ("127.0.0.1", 32)], "127.0.0.1", true),
        (&[("127.0.0.1", 32)], "127.0.0.2", false),
        (&[("0.0.0.0", 0)], "203.0.113.7", true),
        (&[("0.0.0.0", 0)], "::1", false),
        (&[("2001:db8::", 32)], "2001:db8:ffff::1", true),
        (&[("2001:db8::", 32)], "2001:db9::1", false),
        (&[("::ffff:127.0.0.0", 104)], "127.0.0.1", true),
    ] {
        assert_eq!(with(networks, ip), taken, "{networks:?} {ip}");
    }
}

#[test]
fn names_that_cannot_be_are_refused() {
    assert!(Matcher::new(&Match { methods: vec!["A B".to_owned()], ..Match::default() }).is_err());
    assert!(Matcher::new(&Match { header_exists: vec!["a b".to_owned()], ..Match::default() }).is_err());
    assert!(Matcher::new(&Match { headers: vec![(String::new(), String::new())], ..Match::default() }).is_err());
}
