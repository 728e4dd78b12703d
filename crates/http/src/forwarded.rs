//! For whom trusted proxies ask: `X-Forwarded-For`, or `Forwarded` (RFC 7239).
//!
//! Both are read from the right, because every proxy appends the address it was asked from. The first address that is no trusted proxy
//! is the client, and nothing to the left of it is looked at: the client may have written that itself. A hop that names nobody
//! (`unknown`, an obfuscated name, something malformed) ends the walk at the last trusted proxy.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hookaido_model::Networks;
use hookaido_model::config::ClientIpHeader;
use http::header::{FORWARDED, GetAll};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Most hops that are followed.
const MAX_HOPS: usize = 64;
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Proxies that are believed, and where they say for whom they ask.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Networks,
    header: ClientIpHeader,
}

impl TrustedProxies {
    /// Believes the proxies of some networks.
    #[must_use]
    pub fn new(networks: Networks, header: ClientIpHeader) -> Self {
        Self { networks, header }
    }

    /// Whether an address is that of a trusted proxy.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.networks.contains(address)
    }

    /// The client of a request that came from `peer`, as far as trusted proxies tell; `None` where it is the peer. Port 0 stands for one
    /// that nobody has told.
    #[must_use]
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> Option<SocketAddr> {
        if self.networks.is_empty() || !self.contains(peer.ip()) {
            return None;
        }
        let forwarded = match self.header {
            ClientIpHeader::XForwardedFor => false,
            ClientIpHeader::Forwarded => true,
            ClientIpHeader::Auto => !headers.contains_key(X_FORWARDED_FOR),
        };
        if forwarded {
            self.walk(lines(headers.get_all(FORWARDED)).flat_map(elements).map(|element| node(element?)))
        } else {
            let addresses = lines(headers.get_all(X_FORWARDED_FOR)).flat_map(|line| line.rsplit(|byte| *byte == b','));
            let addresses = addresses.map(<[u8]>::trim_ascii).filter(|text| !text.is_empty());
            self.walk(addresses.map(|text| address(std::str::from_utf8(text).ok()?)))
        }
    }

    /// Follows the hops, the nearest first.
    fn walk(&self, hops: impl Iterator<Item = Option<SocketAddr>>) -> Option<SocketAddr> {
        let mut client = None;
        for hop in hops.take(MAX_HOPS) {
            let Some(hop) = hop else { break };
            client = Some(hop);
            if !self.contains(hop.ip()) {
                break;
            }
        }
        client
    }
}

/// The lines of a header, the last first.
fn lines(values: GetAll<'_, HeaderValue>) -> impl Iterator<Item = &[u8]> {
    values.iter().rev().map(HeaderValue::as_bytes)
}

/// The elements of a line of `Forwarded`, the last first; commas within quotes do not count. `None` where quotes are not closed, and
/// nothing after that.
fn elements(line: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = Some(line);
    let each = std::iter::from_fn(move || {
        let line = rest?;
        let Some(start) = last_element(line) else {
            rest = None;
            return Some(None);
        };
        let (before, element) = line.split_at_checked(start).unwrap_or((&[], line));
        rest = before.strip_suffix(b",");
        Some(Some(element.trim_ascii()))
    });
    each.filter(|element| !element.is_some_and(<[u8]>::is_empty))
}

/// Where the last element of a list begins; `None` where its quotes are not closed.
fn last_element(line: &[u8]) -> Option<usize> {
    let mut quoted = false;
    for (at, byte) in line.iter().enumerate().rev() {
        match byte {
            b'"' => {
                let before = line.get(..at).unwrap_or_default();
                let escapes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
                if !quoted || escapes % 2 == 0 {
                    quoted = !quoted;
                }
            }
            b',' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    (!quoted).then_some(0)
}

/// The address in the `for` of an element.
fn node(element: &[u8]) -> Option<SocketAddr> {
    let mut rest = std::str::from_utf8(element).ok()?;
    let mut found = None;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start())?;
        if name.trim().eq_ignore_ascii_case("for") && found.replace(value).is_some() {
            return None;
        }
        match after.trim_start() {
            "" => return address(&found?),
            after => rest = after.strip_prefix(';')?.trim_start(),
        }
        if rest.is_empty() {
            return address(&found?);
        }
    }
}

/// A token or a quoted string, and what comes after it.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        let (token, after) = text.split_at_checked(end)?;
        return Some((Cow::Borrowed(token.trim_end()), after));
    };
    let mut content = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Cow::Owned(content), quoted.get(at + 1..)?)),
            '\\' => content.push(chars.next()?.1),
            c => content.push(c),
        }
    }
    None
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, after): (IpAddr, &str) = if let Some(rest) = text.strip_prefix('[') {
        let (ip, after) = rest.split_once(']')?;
        (ip.parse::<Ipv6Addr>().ok()?.into(), after)
    } else if let Ok(ip) = text.parse() {
        (ip, "")
    } else {
        let (ip, _) = text.split_once(':')?;
        (ip.parse::<Ipv4Addr>().ok()?.into(), text.get(ip.len()..)?)
    };
    let port = match after.strip_prefix(':') {
        None if after.is_empty() => 0,
        // RFC 7239 lets a proxy hide the port.
        Some(hidden) if hidden.starts_with('_') => 0,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

#[cfg(test)]
mod tests;
