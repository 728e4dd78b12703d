use super::*;

fn policy(change: impl FnOnce(&mut Egress)) -> EgressPolicy {
    let mut egress = Egress {
        https_only: false,
        redirects: false,
        dns_rebind_protection: false,
        allow: Vec::new(),
        deny: Vec::new(),
    };
    change(&mut egress);
    EgressPolicy::new(&egress)
}

fn host(name: &str) -> EgressRule {
    EgressRule::Host { name: name.to_owned(), subdomains: false }
}

fn below(name: &str) -> EgressRule {
    EgressRule::Host { name: name.to_owned(), subdomains: true }
}

fn cidr(address: &str, length: u8) -> EgressRule {
    EgressRule::Cidr(address.parse().unwrap(), length)
}

/// Both questions in the order in which the connector asks them.
fn verdict(policy: &EgressPolicy, scheme: &str, host: &str, addresses: &[&str]) -> Result<(), Refused> {
    policy.check_name(scheme, host)?;
    let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
    policy.check_addresses(host, &addresses)
}

fn allowed(policy: &EgressPolicy, host: &str, addresses: &[&str]) -> bool {
    verdict(policy, "https", host, addresses).is_ok()
}

#[test]
fn schemes() {
    let open = policy(|_| {});
    let strict = policy(|e| e.https_only = true);
    assert_eq!(verdict(&open, "http", "a.example", &["1.1.1.1"]), Ok(()));
    assert_eq!(verdict(&strict, "https", "a.example", &["1.1.1.1"]), Ok(()));
    assert_eq!(verdict(&strict, "http", "a.example", &["1.1.1.1"]), Err(Refused::Cleartext));
    assert_eq!(verdict(&open, "ftp", "a.example", &["1.1.1.1"]), Err(Refused::Scheme("ftp".to_owned())));
}

#[test]
fn rebind_protection_blocks_what_is_not_public() {
    let policy = policy(|e| e.dns_rebind_protection = true);
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:0:0:0:0:80ff:fffe",
    ] {
        assert!(!allowed(&policy, "rebound.example", &[address]), "{address}");
        assert!(!allowed(&policy, "rebound.example", &["1.1.1.1", address]), "one bad address is enough: {address}");
        assert!(!allowed(&policy, address, &[address]), "literal {address}");
    }
    for address in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "192.167.0.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2002:101:101::",
        "::ffff:8.8.8.8",
        "2001:4860::8888",
    ] {
        assert!(allowed(&policy, "public.example", &[address]), "{address}");
    }
}

#[test]
fn deny_wins_over_allow_and_one_denied_address_is_enough() {
    let policy = policy(|e| {
        e.allow = vec![host("*")];
        e.deny = vec![cidr("127.0.0.1", 32), cidr("fc00::", 7), host("evil.example"), below("bad.example")];
    });
    for (name, addresses, want) in [
        ("good.example", &["1.1.1.1"][..], true),
        ("good.example", &["1.1.1.1", "127.0.0.1"][..], false),
        ("good.example", &["::ffff:127.0.0.1"][..], false),
        ("good.example", &["2002:7f00:1::"][..], false),
        ("good.example", &["fd00::1"][..], false),
        ("evil.example", &["1.1.1.1"][..], false),
        ("EVIL.example.", &["1.1.1.1"][..], false),
        ("not-evil.example", &["1.1.1.1"][..], true),
        ("a.bad.example", &["1.1.1.1"][..], false),
        ("bad.example", &["1.1.1.1"][..], true),
        ("127.0.0.1", &["127.0.0.1"][..], false),
    ] {
        assert_eq!(allowed(&policy, name, addresses), want, "{name} {addresses:?}");
    }
}

#[test]
fn an_allow_list_must_cover_the_name_or_every_address() {
    let mixed = policy(|e| e.allow = vec![host("one.example"), below("two.example"), cidr("10.0.0.0", 8)]);
    for (name, addresses, want) in [
        ("one.example", &["1.1.1.1"][..], true),
        ("ONE.EXAMPLE", &["1.1.1.1"][..], true),
        ("x.one.example", &["1.1.1.1"][..], false),
        ("x.two.example", &["1.1.1.1"][..], true),
        ("two.example", &["1.1.1.1"][..], false),
        (".two.example", &["1.1.1.1"][..], false),
        ("other", &["10.1.1.1", "10.2.2.2"][..], true),
        ("other", &["::ffff:10.1.1.1"][..], true),
        ("other", &["10.1.1.1", "1.1.1.1"][..], false),
        ("other", &[][..], false),
    ] {
        assert_eq!(allowed(&mixed, name, addresses), want, "{name} {addresses:?}");
    }
    let names_only = policy(|e| e.allow = vec![host("one.example")]);
    assert_eq!(names_only.check_name("https", "two.example"), Err(Refused::NotAllowed("two.example".to_owned())));
}

#[test]
fn an_allow_rule_does_not_lift_rebind_protection() {
    let policy = policy(|e| {
        e.dns_rebind_protection = true;
        e.allow = vec![cidr("127.0.0.1", 32), host("localhost")];
    });
    assert!(!allowed(&policy, "127.0.0.1", &["127.0.0.1"]));
    assert!(!allowed(&policy, "localhost", &["127.0.0.1"]));
}

#[test]
fn a_mapped_network_is_the_ipv4_network() {
    let policy = policy(|e| e.deny = vec![cidr("::ffff:10.0.0.0", 104)]);
    assert!(!allowed(&policy, "a", &["10.9.9.9"]) && allowed(&policy, "a", &["11.0.0.1"]));
}

mod properties {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    /// IPv6 addresses that lead to an IPv4 one.
    fn disguises(ip: Ipv4Addr) -> Vec<IpAddr> {
        let [a, b, c, d] = ip.octets().map(u16::from);
        let (high, low) = ((a << 8) | b, (c << 8) | d);
        vec![
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low).into(),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low).into(),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into(),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1).into(),
            Ipv6Addr::new(0x2001, 0, 1, 2, 3, 4, !high, !low).into(),
        ]
    }

    proptest! {
        #[test]
        fn a_disguised_address_is_refused_like_itself(bits in any::<u32>(), private in 0usize..4) {
            // half of all addresses are public: mix in private ones
            let bits = match private { 0 => bits & 0x00ff_ffff | 0x0a00_0000, 1 => bits & 0xffff | 0xc0a8_0000, _ => bits };
            let ip = Ipv4Addr::from(bits);
            let protected = policy(|e| e.dns_rebind_protection = true);
            let denying = policy(|e| e.deny = vec![EgressRule::Cidr(ip.into(), 32)]);
            let blocked = protected.check_addresses("x", &[ip.into()]).is_err();
            for disguise in disguises(ip) {
                prop_assert!(!blocked || protected.check_addresses("x", &[disguise]).is_err(), "{disguise}");
                prop_assert!(denying.check_addresses("x", &[disguise]).is_err(), "{disguise}");
            }
        }

        #[test]
        fn a_name_never_passes_an_exact_rule_of_another(name in "[a-zA-Z0-9.-]{1,20}") {
            let policy = policy(|e| e.allow = vec![host("only.example")]);
            let is_it = name.to_ascii_lowercase().trim_end_matches('.') == "only.example";
            prop_assert_eq!(allowed(&policy, &name, &["1.1.1.1"]), is_it);
        }
    }
}
