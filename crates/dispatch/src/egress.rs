//! Where push may connect to: one pure verdict over scheme, host and addresses.
//!
//! Deny rules come first, one match is enough; then the ranges that rebind protection blocks; then the allow list, which must
//! cover the host by name or every address by network. Asked with the addresses a connection will use, after resolving, and again for
//! every redirect; it resolves nothing itself.

use std::net::IpAddr;

use hookaido_model::config::{Egress, EgressRule};
use ipnet::IpNet;

mod ranges;

/// Why a target may not be contacted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Neither `http` nor `https`.
    #[error("egress policy: the scheme `{0}` is not allowed")]
    Scheme(String),
    /// `https_only` is on.
    #[error("egress policy: only https targets are allowed (`https_only`)")]
    Cleartext,
    /// A redirect from `https` to `http`.
    #[error("egress policy: a redirect may not leave https")]
    Downgrade,
    /// A deny rule names the host.
    #[error("egress policy: the host `{0}` is denied")]
    HostDenied(String),
    /// A deny rule covers an address.
    #[error("egress policy: `{host}` has the denied address {address}")]
    AddressDenied {
        /// As in the URL.
        host: String,
        /// The one that is covered.
        address: IpAddr,
    },
    /// Rebind protection blocks an address.
    #[error("egress policy: `{host}` has the local or private address {address} (`dns_rebind_protection`)")]
    Blocked {
        /// As in the URL.
        host: String,
        /// The one that is blocked.
        address: IpAddr,
    },
    /// There is an allow list, and it does not cover the target.
    #[error("egress policy: the host `{0}` is not on the allow list")]
    NotAllowed(String),
}

/// A compiled policy.
#[derive(Clone, Debug, PartialEq)]
pub struct EgressPolicy {
    https_only: bool,
    rebind_protection: bool,
    /// Whether 307 and 308 are followed.
    pub(crate) redirects: bool,
    allow: Rules,
    deny: Rules,
}

/// One of the two lists.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rules {
    networks: Vec<IpNet>,
    hosts: Vec<HostRule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostRule {
    Any,
    Exact(String),
    /// With the leading dot.
    Below(String),
}

impl EgressPolicy {
    /// Compiles the configured policy.
    #[must_use]
    pub fn new(egress: &Egress) -> Self {
        Self {
            https_only: egress.https_only,
            rebind_protection: egress.dns_rebind_protection,
            redirects: egress.redirects,
            allow: Rules::new(&egress.allow),
            deny: Rules::new(&egress.deny),
        }
    }

    /// What can be said before resolving: about the scheme (lower case) and the name.
    ///
    /// # Errors
    /// Why the target may not be contacted, whatever it resolves to.
    pub fn check_name(&self, scheme: &str, host: &str) -> Result<(), Refused> {
        match scheme {
            "https" => {}
            "http" if self.https_only => return Err(Refused::Cleartext),
            "http" => {}
            other => return Err(Refused::Scheme(other.to_owned())),
        }
        if self.deny.name(&fold(host)) {
            return Err(Refused::HostDenied(host.to_owned()));
        }
        if self.allow.networks.is_empty() && !self.allow.is_empty() && !self.allow.name(&fold(host)) {
            return Err(Refused::NotAllowed(host.to_owned()));
        }
        Ok(())
    }

    /// What the addresses decide. `addresses` are all that the host resolves to, or the literal one; none is refused.
    ///
    /// # Errors
    /// Why the target may not be contacted.
    pub fn check_addresses(&self, host: &str, addresses: &[IpAddr]) -> Result<(), Refused> {
        for &address in addresses {
            let reached = ranges::reached(address);
            if reached.iter().any(|&ip| self.deny.address(ip)) {
                return Err(Refused::AddressDenied { host: host.to_owned(), address });
            }
            if self.rebind_protection && reached.iter().any(|&ip| ranges::is_blocked(ip)) {
                return Err(Refused::Blocked { host: host.to_owned(), address });
            }
        }
        let covered = || !addresses.is_empty() && addresses.iter().all(|ip| self.allow.address(ip.to_canonical()));
        if self.allow.is_empty() || self.allow.name(&fold(host)) || covered() {
            return Ok(());
        }
        Err(Refused::NotAllowed(host.to_owned()))
    }
}

/// Names are compared in lower case and without the dot of the root.
fn fold(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

impl Rules {
    fn new(rules: &[EgressRule]) -> Self {
        let mut compiled = Self::default();
        for rule in rules {
            match rule {
                EgressRule::Cidr(address, length) => compiled.networks.extend(network(*address, *length)),
                EgressRule::Host { name, .. } if name.is_empty() || name == "*" => compiled.hosts.push(HostRule::Any),
                EgressRule::Host { name, subdomains: false } => compiled.hosts.push(HostRule::Exact(fold(name))),
                EgressRule::Host { name, subdomains: true } => {
                    compiled.hosts.push(HostRule::Below(format!(".{}", fold(name))));
                }
            }
        }
        compiled
    }

    fn is_empty(&self) -> bool {
        self.networks.is_empty() && self.hosts.is_empty()
    }

    /// Whether a rule names this host; `host` is folded.
    fn name(&self, host: &str) -> bool {
        self.hosts.iter().any(|rule| match rule {
            HostRule::Any => true,
            HostRule::Exact(name) => name == host,
            HostRule::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
        })
    }

    fn address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// The network of a rule; one inside `::ffff:0:0/96` is the IPv4 network it stands for. `None` for an impossible length.
fn network(address: IpAddr, length: u8) -> Option<IpNet> {
    match (address, address.to_canonical()) {
        (IpAddr::V6(_), mapped @ IpAddr::V4(_)) if length >= 96 => IpNet::new(mapped, length - 96).ok(),
        _ => IpNet::new(address, length).ok(),
    }
}

#[cfg(test)]
mod tests;
