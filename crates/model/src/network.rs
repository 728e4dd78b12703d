//! Sets of networks, for everything that asks where an address belongs.

use std::net::IpAddr;
use std::sync::Arc;

/// Networks by address and prefix length. IPv4 written as IPv6 (`::ffff:10.0.0.1`) is IPv4, in networks and in addresses asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Arc<[(IpAddr, u8)]>);

impl Networks {
    /// A set of these.
    #[must_use]
    pub fn new(networks: &[(IpAddr, u8)]) -> Self {
        Self(networks.iter().map(|(address, bits)| canonical(*address, *bits)).collect())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them holds the address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| within(*network, address))
    }
}

/// A network of IPv4 addresses written as IPv6 is one of IPv4.
fn canonical(address: IpAddr, bits: u8) -> (IpAddr, u8) {
    match (address, address.to_canonical()) {
        (IpAddr::V6(_), IpAddr::V4(v4)) if bits >= 96 => (v4.into(), bits - 96),
        _ => (address, bits),
    }
}

fn within((network, bits): (IpAddr, u8), address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let differing = network.to_bits() ^ address.to_bits();
            differing.leading_zeros() >= u32::from(bits.min(32))
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let differing = network.to_bits() ^ address.to_bits();
            differing.leading_zeros() >= u32::from(bits.min(128))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_judged_by_their_leading_bits() {
        let set = |networks: &[(&str, u8)]| {
            Networks::new(&networks.iter().map(|(a, bits)| (a.parse().unwrap(), *bits)).collect::<Vec<_>>())
        };
        for (networks, address, want) in [
            (&[("10.0.0.0", 8)][..], "10.255.0.1", true),
            (&[("10.0.0.0", 8)], "11.0.0.1", false),
            (&[("10.0.0.0", 8)], "::ffff:10.1.2.3", true),
            (&[("::ffff:10.0.0.0", 104)], "10.1.2.3", true),
            (&[("::ffff:10.0.0.0", 104)], "11.1.2.3", false),
            (&[("2001:db8::", 32)], "2001:db8:1::1", true),
            (&[("2001:db8::", 32)], "2001:db9::1", false),
            (&[("0.0.0.0", 0)], "::1", false),
            (&[("0.0.0.0", 0)], "255.255.255.255", true),
            (&[("::", 0)], "1.2.3.4", false),
            (&[("192.0.2.1", 32), ("::1", 128)], "::1", true),
            (&[], "::1", false),
        ] {
            assert_eq!(set(networks).contains(address.parse().unwrap()), want, "{networks:?} {address}");
        }
    }
}
