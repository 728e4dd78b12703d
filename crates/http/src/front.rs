//! What stands in front of a listener: proxies that are believed, balancers that speak the PROXY protocol, and how many connections one
//! address may hold. Part of the site, so that a reload exchanges it with what is served.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hookaido_model::Networks;
use hookaido_model::config::{self, AddressCap};
use http::HeaderMap;

use crate::{Peer, TrustedProxies};

/// Connections of one address unless the configuration says otherwise: half of what a listener takes by default.
const STANDARD_CAP: usize = 4096;

/// What stands in front of a listener.
#[derive(Clone, Debug, Default)]
pub struct Front {
    trusted: TrustedProxies,
    balancers: Option<Balancers>,
    cap: AddressCap,
}

#[derive(Clone, Debug)]
struct Balancers {
    from: Networks,
    timeout: Duration,
}

impl Front {
    /// What the configuration says.
    #[must_use]
    pub fn new(front: &config::Front) -> Self {
        let config::Front {
            trusted_proxies,
            client_ip_header,
            proxy_protocol,
            max_connections: _,
            max_connections_per_ip,
        } = front;
        Self {
            trusted: TrustedProxies::new(Networks::new(trusted_proxies), *client_ip_header),
            balancers: proxy_protocol
                .as_ref()
                .map(|proxy| Balancers { from: Networks::new(&proxy.from), timeout: proxy.timeout }),
            cap: *max_connections_per_ip,
        }
    }

    /// Time for a PROXY header, if the address must send one.
    pub(crate) fn header_time(&self, address: IpAddr) -> Option<Duration> {
        self.balancers.as_ref().filter(|balancers| balancers.from.contains(address)).map(|balancers| balancers.timeout)
    }

    /// Connections that an address may hold. Those who bring the connections of others may hold any number.
    pub(crate) fn cap(&self, address: IpAddr) -> usize {
        let unlimited = self.header_time(address).is_some() || self.trusted.contains(address);
        match self.cap {
            AddressCap::Most(most) if !unlimited => usize::try_from(most).unwrap_or(usize::MAX),
            AddressCap::Standard if !unlimited && !address.is_loopback() => STANDARD_CAP,
            _ => usize::MAX,
        }
    }

    /// The peer of a request that a trusted proxy passes on; `None` where it is that of the connection.
    pub(crate) fn client(&self, peer: &Peer, headers: &HeaderMap) -> Option<Arc<Peer>> {
        let addr: SocketAddr = self.trusted.client(peer.addr, headers)?;
        Some(Arc::new(Peer { addr, ..peer.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_bring_the_connections_of_others_are_not_counted() {
        let network = |text: &str| vec![(text.parse().unwrap(), 32)];
        let config = |cap| config::Front {
            trusted_proxies: network("10.0.0.1"),
            proxy_protocol: Some(config::ProxyProtocol { from: network("10.0.0.2"), timeout: Duration::from_secs(1) }),
            max_connections_per_ip: cap,
            ..config::Front::default()
        };
        let caps = |cap| {
            let front = Front::new(&config(cap));
            ["10.0.0.1", "10.0.0.2", "127.0.0.1", "203.0.113.1"].map(|ip| front.cap(ip.parse().unwrap()))
        };
        let any = usize::MAX;
        assert_eq!(caps(AddressCap::Standard), [any, any, any, STANDARD_CAP]);
        assert_eq!(caps(AddressCap::Off), [any; 4]);
        assert_eq!(caps(AddressCap::Most(3)), [any, any, 3, 3]);
        assert_eq!(Front::default().cap("203.0.113.1".parse().unwrap()), STANDARD_CAP);
    }
}
