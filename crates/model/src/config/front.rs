//! What stands in front of a listener: proxies, balancers, and how many connections it takes.

use std::net::IpAddr;
use std::time::Duration;

/// What a listener knows of those in front of it. Written in the block of any API it serves; all on one address agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Front {
    /// `trusted_proxies`: networks of proxies that are believed when they say for whom they ask.
    pub trusted_proxies: Vec<(IpAddr, u8)>,
    /// `client_ip_header`: where they say it.
    pub client_ip_header: ClientIpHeader,
    /// `proxy_protocol { ... }`: balancers that say it in front of the connection.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// `max_connections`: at the same time; `None` takes the built-in bound.
    pub max_connections: Option<u32>,
    /// `max_connections_per_ip`: of one address at the same time.
    pub max_connections_per_ip: AddressCap,
}

/// Header in which proxies say for whom they ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientIpHeader {
    /// `X-Forwarded-For`, or `Forwarded` where a request has only that.
    #[default]
    Auto,
    /// `X-Forwarded-For` only.
    XForwardedFor,
    /// `Forwarded` (RFC 7239) only.
    Forwarded,
}

impl ClientIpHeader {
    /// The word of the language.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// `proxy_protocol { ... }`: from whom a PROXY header is required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// Networks of balancers; never empty.
    pub from: Vec<(IpAddr, u8)>,
    /// Longest time for the header.
    pub timeout: Duration,
}

/// Bound on the connections of one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressCap {
    /// Half of what a listener takes by default; none for addresses of this machine.
    #[default]
    Standard,
    /// No bound.
    Off,
    /// This many, for every address.
    Most(u32),
}
