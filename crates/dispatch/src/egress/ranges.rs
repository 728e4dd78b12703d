//! Addresses that must not be reached through a public name.
//!
//! Sources: the IANA special-purpose registries for IPv4 and IPv6; RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First octets, network length.
const BLOCKED_V4: [([u8; 4], u32); 16] = [
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // shared by carriers; a cloud's metadata service
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local; most clouds' metadata service
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments; a cloud's metadata service
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 88, 99, 0], 24),  // 6to4 relays, deprecated
    ([192, 168, 0, 0], 16),  // private
    ([198, 18, 0, 0], 15),   // benchmarks
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved
    ([255, 255, 255, 255], 32),
];

/// First segments, network length.
const BLOCKED_V6: [([u16; 3], u32); 10] = [
    ([0, 0, 0], 96),           // unspecified, loopback, IPv4-compatible
    ([0x64, 0xff9b, 0], 96),   // NAT64
    ([0x64, 0xff9b, 1], 48),   // NAT64, local
    ([0x100, 0, 0], 64),       // discard
    ([0x2001, 0x0db8, 0], 32), // documentation
    ([0x3fff, 0, 0], 20),      // documentation
    ([0xfc00, 0, 0], 7),       // unique local
    ([0xfe80, 0, 0], 10),      // link-local
    ([0xfec0, 0, 0], 10),      // site-local, deprecated
    ([0xff00, 0, 0], 8),       // multicast
];

/// Whether rebind protection blocks the address. Give it each address of [`reached`].
pub(super) fn is_blocked(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => BLOCKED_V4.iter().any(|(octets, length)| {
            let differ = u32::from(ip) ^ u32::from(Ipv4Addr::from(*octets));
            differ.checked_shr(32 - length).unwrap_or(0) == 0
        }),
        IpAddr::V6(ip) => BLOCKED_V6.iter().any(|([a, b, c], length)| {
            let network = Ipv6Addr::new(*a, *b, *c, 0, 0, 0, 0, 0);
            (u128::from(ip) ^ u128::from(network)).checked_shr(128 - length).unwrap_or(0) == 0
        }),
    }
}

/// The address itself, an IPv4-mapped one as IPv4, and the IPv4 address that a packet to it may be translated to.
pub(super) fn reached(address: IpAddr) -> Vec<IpAddr> {
    let address = address.to_canonical();
    let IpAddr::V6(ip) = address else { return vec![address] };
    let [s0, s1, s2, _, _, _, s6, s7] = ip.segments();
    let embedded = match (s0, s1) {
        (0, 0) | (0x64, 0xff9b) => Some(v4(s6, s7)),
        (0x2002, _) => Some(v4(s1, s2)),
        (0x2001, 0) => Some(v4(!s6, !s7)),
        _ => None,
    };
    std::iter::once(address).chain(embedded.map(IpAddr::V4)).collect()
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}
