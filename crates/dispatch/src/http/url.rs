//! URLs of targets and redirects, taken apart once.
//!
//! Reads what people write: blanks and other characters that a request line cannot carry are percent-encoded, a fragment is
//! dropped, user and password become basic credentials and never travel in the URL.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderValue, uri};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What a request line cannot carry; everything else stays as written.
const UNSENDABLE: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

/// One place to send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetUrl {
    /// Absolute, without user information.
    pub(crate) uri: Uri,
    /// `Basic ...`, from the user information.
    pub(crate) credentials: Option<HeaderValue>,
}

/// Text that is no usable URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    /// Nothing before the first colon, or no colon.
    #[error("the URL has no scheme")]
    NoScheme,
    /// Neither `http` nor `https`; which of them is for the egress policy.
    #[error("the scheme `{0}` cannot be pushed to")]
    Scheme(String),
    /// No host, or one that cannot be written in a request.
    #[error("the URL has no usable host")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("the port of the URL is not a number from 1 to 65535")]
    Port,
    /// The path or the query cannot be written in a request.
    #[error("the path of the URL cannot be sent")]
    Path,
}

impl TargetUrl {
    /// Takes a URL apart.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        let (scheme, rest) = text.split_once(':').ok_or(UrlError::NoScheme)?;
        if scheme.is_empty() || scheme.contains(['/', '?', '#']) {
            return Err(UrlError::NoScheme);
        }
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            other => return Err(UrlError::Scheme(other.to_owned())),
        };
        let rest = rest.strip_prefix("//").ok_or(UrlError::Host)?;
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let uri = Uri::builder()
            .scheme(scheme.clone())
            .authority(self::authority(&scheme, host)?)
            .path_and_query(path(tail)?);
        let uri = uri.build().map_err(|_unsendable| UrlError::Host)?;
        Ok(Self { uri, credentials: user.and_then(basic) })
    }

    /// Where a `Location` leads from here (RFC 3986 section 5.2). It inherits no credentials.
    pub(crate) fn join(&self, location: &str) -> Result<Self, UrlError> {
        let location = location.trim();
        let here = &self.uri;
        let (scheme, authority) = (self.scheme(), here.authority().map_or("", Authority::as_str));
        let colon = location.find([':', '/', '?', '#']).filter(|at| location.as_bytes().get(*at) == Some(&b':'));
        let absolute = if colon.is_some() {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("{scheme}:{location}")
        } else if location.starts_with('/') {
            format!("{scheme}://{authority}{location}")
        } else if location.starts_with(['?', '#']) || location.is_empty() {
            let query = here.query().filter(|_| !location.starts_with('?')).map_or(String::new(), |q| format!("?{q}"));
            format!("{scheme}://{authority}{}{query}{location}", here.path())
        } else {
            let folder = here.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{scheme}://{authority}{folder}/{location}")
        };
        let mut joined = Self::parse(&absolute)?;
        if !self.same_origin(&joined) {
            return Ok(joined);
        }
        joined.credentials = joined.credentials.or_else(|| self.credentials.clone());
        Ok(joined)
    }

    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> &str {
        self.uri.scheme_str().unwrap_or("")
    }

    /// Name or literal address, lower case, brackets around an IPv6 one.
    pub(crate) fn host(&self) -> &str {
        self.uri.host().unwrap_or("")
    }

    /// Whether scheme, host and port are those of `other`: what credentials are bound to.
    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        self.uri.scheme() == other.uri.scheme() && self.uri.authority() == other.uri.authority()
    }
}

/// `host` or `host:port` in lower case, without the default port.
fn authority(scheme: &Scheme, text: &str) -> Result<Authority, UrlError> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let literal = host.strip_prefix('[').map(|rest| rest.strip_suffix(']').unwrap_or(""));
    let usable = match literal {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')),
    };
    if !usable {
        return Err(UrlError::Host);
    }
    let default: u16 = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    let port = match port {
        None | Some("") => default,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map_err(|_too_large| UrlError::Port)?
        }
        Some(_) => return Err(UrlError::Port),
    };
    let host = host.to_ascii_lowercase();
    let text = match port {
        0 => return Err(UrlError::Port),
        port if port == default => host,
        port => format!("{host}:{port}"),
    };
    text.parse().map_err(|_unsendable: uri::InvalidUri| UrlError::Host)
}

/// Path and query, encoded where needed; `/` for an empty path.
fn path(tail: &str) -> Result<PathAndQuery, UrlError> {
    let tail = tail.split('#').next().unwrap_or("");
    let slash = if tail.starts_with('/') { "" } else { "/" };
    let encoded = format!("{slash}{}", utf8_percent_encode(tail, UNSENDABLE));
    encoded.parse().map_err(|_unsendable| UrlError::Path)
}

/// `user:password`, percent-decoded, as basic credentials (RFC 7617).
fn basic(user_information: &str) -> Option<HeaderValue> {
    let (user, password) = user_information.split_once(':').unwrap_or((user_information, ""));
    let mut plain: Vec<u8> = percent_decode_str(user).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(password));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(plain))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests;
