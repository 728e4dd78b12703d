//! What a request must look like, besides its path, for a route to take it.

mod client_cert;

use std::net::IpAddr;

use hookaido_http::Identity;
use hookaido_model::Networks;
use hookaido_model::config::{HostPattern, Match};
use http::header::{HOST, HeaderName};
use http::uri::Uri;
use http::{HeaderMap, Method};

use self::client_cert::ClientCerts;
use crate::BuildError;
use crate::query;

/// The conditions of one route; all must hold.
#[derive(Debug)]
pub(crate) struct Matcher {
    methods: Vec<Method>,
    hosts: Vec<Host>,
    headers: Vec<(HeaderName, Box<[u8]>)>,
    header_exists: Vec<HeaderName>,
    query: Vec<(String, String)>,
    query_exists: Vec<String>,
    networks: Networks,
    client_certs: ClientCerts,
}

#[derive(Debug)]
enum Host {
    /// Any, but there must be one.
    Any,
    Exact(Box<str>),
    /// Ends with this, which starts with a dot.
    Below(Box<str>),
}

/// What conditions look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    /// Address of the client; IPv4 as such, also on an IPv6 socket.
    pub(crate) ip: IpAddr,
    /// Who its verified certificate says it is.
    pub(crate) identity: Option<&'a Identity>,
}

impl Matcher {
    pub(crate) fn new(conditions: &Match) -> Result<Self, BuildError> {
        let Match { methods, hosts, headers, header_exists, query, query_exists, remote_ips, client_certs } =
            conditions;
        let method =
            |name: &String| Method::from_bytes(name.as_bytes()).ok().ok_or_else(|| BuildError::Method(name.clone()));
        let name = |name: &String| {
            HeaderName::from_bytes(name.as_bytes()).ok().ok_or_else(|| BuildError::Header(name.clone()))
        };
        let mut methods = methods.iter().map(method).collect::<Result<Vec<_>, _>>()?;
        if methods.is_empty() {
            methods.push(Method::POST);
        }
        Ok(Self {
            methods,
            hosts: hosts.iter().map(Host::new).collect(),
            headers: headers.iter().map(|(n, v)| Ok((name(n)?, v.as_bytes().into()))).collect::<Result<_, _>>()?,
            header_exists: header_exists.iter().map(name).collect::<Result<_, _>>()?,
            query: query.clone(),
            query_exists: query_exists.clone(),
            networks: Networks::new(remote_ips),
            client_certs: ClientCerts::new(client_certs),
        })
    }

    /// In the order of the file.
    pub(crate) fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// Whether all conditions but the method hold.
    pub(crate) fn takes(&self, seen: Seen<'_>) -> bool {
        let query = || seen.uri.query().unwrap_or_default();
        self.headers.iter().all(|(name, value)| has_value(seen.headers, name, value))
            && self.header_exists.iter().all(|name| seen.headers.contains_key(name))
            && (self.networks.is_empty() || self.networks.contains(seen.ip))
            && self.client_certs.hold(seen.identity)
            && (self.hosts.is_empty() || self.takes_host(host(seen)))
            && self.query.iter().all(|(name, value)| query::has(query(), name, Some(value)))
            && self.query_exists.iter().all(|name| query::has(query(), name, None))
    }

    fn takes_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| match pattern {
            Host::Any => !host.is_empty(),
            Host::Exact(name) => name.eq_ignore_ascii_case(host),
            Host::Below(domain) => host
                .len()
                .checked_sub(domain.len())
                .and_then(|start| host.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(domain)),
        })
    }
}

impl Host {
    fn new(pattern: &HostPattern) -> Self {
        match (pattern.0.as_str(), pattern.0.strip_prefix('*')) {
            ("*", _) => Self::Any,
            (_, Some(domain)) if domain.starts_with('.') => Self::Below(domain.trim_end_matches('.').into()),
            (name, _) => Self::Exact(name.trim_end_matches('.').into()),
        }
    }
}

/// The host a request asks for, without port and closing dot; empty when it names none. The authority of the target counts before the
/// header (RFC 9112 section 3.2.2).
fn host<'a>(seen: Seen<'a>) -> &'a str {
    let authority = seen.uri.authority().map(http::uri::Authority::as_str);
    let authority = authority.or_else(|| seen.headers.get(HOST)?.to_str().ok()).unwrap_or_default();
    let name = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => authority.split_once(':').map_or(authority, |(name, _)| name),
    };
    name.strip_suffix('.').unwrap_or(name)
}

/// Whether any line of the header has this value, as a whole or as one element of its comma-separated list.
fn has_value(headers: &HeaderMap, name: &HeaderName, value: &[u8]) -> bool {
    headers.get_all(name).iter().any(|line| {
        let line = line.as_bytes();
        line == value || line.split(|b| *b == b',').any(|element| element.trim_ascii() == value)
    })
}

#[cfg(test)]
mod tests;
