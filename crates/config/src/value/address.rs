//! Addresses to bind, and networks.

use std::net::IpAddr;

/// What an address to bind says, as far as it can be told without resolving anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BindAddress<'a> {
    /// Host, without brackets.
    host: &'a str,
    /// Port, or nothing if the text has none.
    port: Option<&'a str>,
}

impl<'a> BindAddress<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || (host.starts_with('[') && host.ends_with(']')) => {
                (host, Some(port))
            }
            _ => (text, None),
        };
        Self { host: host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host), port }
    }

    /// Whether only this machine can reach it.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| match address {
                IpAddr::V4(address) => address.is_loopback(),
                IpAddr::V6(address) => {
                    address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
                }
            })
    }

    /// Whether two differently written addresses are one socket: the same port on every interface, or the same address.
    pub(crate) fn is_same_socket(&self, other: &Self) -> bool {
        let (Some(port), Some(other_port)) = (self.port, other.port) else { return false };
        port == other_port && !port.is_empty() && self.canonical_host() == other.canonical_host()
    }

    fn canonical_host(&self) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() => String::new(),
            Ok(address) => address.to_string(),
            Err(_) if self.host == "*" => String::new(),
            Err(_) => self.host.to_owned(),
        }
    }
}

/// An address, or a network; bits past the prefix are cleared.
pub(crate) fn network(text: &str) -> Option<(IpAddr, u8)> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address, if address.is_ipv4() { 32 } else { 128 }));
    }
    // A zone names an interface of this machine; only the address counts.
    if let Some((address, zone)) = text.split_once('%') {
        return address
            .parse::<std::net::Ipv6Addr>()
            .ok()
            .filter(|_| !zone.is_empty())
            .map(|address| (address.into(), 128));
    }
    let (address, bits) = text.split_once('/')?;
    if bits.is_empty() || !bits.bytes().all(|b| b.is_ascii_digit()) || (bits.len() > 1 && bits.starts_with('0')) {
        return None;
    }
    let net = ipnet::IpNet::new(address.parse().ok()?, bits.parse().ok()?).ok()?.trunc();
    Some((net.addr(), net.prefix_len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_wildcards_are_told_apart() {
        for text in
            ["127.0.0.1:2019", "localhost:1", "LOCALHOST:1", "[::1]:8080", "127.9.9.9:0", "127.0.0.1", "::1", "[::1]"]
        {
            assert!(BindAddress::parse(text).is_loopback(), "{text}");
        }
        for text in [":2019", "0.0.0.0:1", "[::]:1", "host:1", "127.1:1", ":", ""] {
            assert!(!BindAddress::parse(text).is_loopback(), "{text}");
        }
        let same = |a, b| BindAddress::parse(a).is_same_socket(&BindAddress::parse(b));
        assert!(same(":8080", "0.0.0.0:8080") && same("[::]:8080", ":8080"));
        assert!(!same(":8080", "127.0.0.1:8080") && !same(":8080", ":8081") && !same("x", "x"));
    }

    #[test]
    fn networks_lose_their_host_bits() {
        assert_eq!(network("10.1.2.3/8"), Some(("10.0.0.0".parse().unwrap(), 8)));
        assert_eq!(network("::1"), Some(("::1".parse().unwrap(), 128)));
        for text in ["", "host", "10.0.0.0/33", "10.0.0.0/08", "10.0.0/8", "1.2.3.4/"] {
            assert_eq!(network(text), None, "{text}");
        }
    }
}
