//! The headers of a delivery: what the message came with, less what belongs to one connection, then what the target's block sets.

use hookaido_model::JsonMap;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};

/// Sent when the message carries none.
pub(super) const OUR_USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("hookaido/", env!("CARGO_PKG_VERSION")));

/// Headers of the target's block, ready to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Configured(Vec<(HeaderName, HeaderValue)>);

/// A header that no request can carry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header `{name}` cannot be sent: {reason}")]
pub(super) struct Unsendable {
    name: String,
    reason: &'static str,
}

impl Configured {
    /// Checks the configured headers. Those that the connection decides (`Host`, `Content-Length`, ...) have no effect.
    pub(super) fn new(pairs: &[(String, String)]) -> Result<Self, Unsendable> {
        let mut headers = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            let (name, mut value) = pair(name, value)?;
            value.set_sensitive(true);
            if !is_per_connection(&name) || (name == CONNECTION && value.as_bytes().eq_ignore_ascii_case(b"close")) {
                headers.push((name, value));
            }
        }
        Ok(Self(headers))
    }
}

/// The headers of the first request to a target. `credentials` are those of its URL.
pub(super) fn first(
    stored: &JsonMap,
    configured: &Configured,
    credentials: Option<&HeaderValue>,
) -> Result<HeaderMap, Unsendable> {
    let damaged =
        |_: hookaido_model::JsonMapError| Unsendable { name: String::new(), reason: "the stored headers are damaged" };
    let stored = stored.pairs().map_err(damaged)?;
    let connection = stored.iter().filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
    let named: Vec<&str> = connection.flat_map(|(_, value)| value.split(',')).map(str::trim).collect();
    let mut headers = HeaderMap::with_capacity(stored.len() + configured.0.len() + 4);
    for (name, value) in &stored {
        let (name, value) = pair(name, value)?;
        if !is_per_connection(&name) && !named.iter().any(|n| n.eq_ignore_ascii_case(name.as_str())) {
            headers.append(name, value);
        }
    }
    for (name, value) in &configured.0 {
        headers.insert(name, value.clone());
    }
    if let Some(credentials) = credentials {
        headers.entry(AUTHORIZATION).or_insert_with(|| credentials.clone());
    }
    headers.entry(USER_AGENT).or_insert(OUR_USER_AGENT);
    Ok(headers)
}

/// Takes away what only the first target may see, before a redirect to another origin.
pub(super) fn strip_for_other_origin(headers: &mut HeaderMap, configured: &Configured) {
    for name in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE] {
        headers.remove(name);
    }
    for (name, _) in &configured.0 {
        headers.remove(name);
    }
    headers.entry(USER_AGENT).or_insert(OUR_USER_AGENT);
}

/// Whether a header belongs to one connection or is made anew for it (RFC 9110 section 7.6.1).
fn is_per_connection(name: &HeaderName) -> bool {
    [CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE].contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

fn pair(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Unsendable> {
    let unsendable = |reason| Unsendable { name: name.chars().take(64).collect(), reason };
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_invalid| unsendable("the name is not valid"))?;
    let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_invalid| unsendable("the value is not valid"))?;
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(stored: &[(&str, &str)], configured: &[(&str, &str)]) -> Vec<(String, String)> {
        let configured: Vec<_> = configured.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let configured = Configured::new(&configured).unwrap();
        let headers = first(&JsonMap::from_pairs(stored.iter().copied()), &configured, None).unwrap();
        let mut sent: Vec<_> = headers
            .iter()
            .map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned()))
            .filter(|(n, _)| n != "user-agent")
            .collect();
        sent.sort();
        sent
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn what_belongs_to_one_connection_stays_behind() {
        let stored = [
            ("Connection", "keep-alive, X-Hop"),
            ("Keep-Alive", "timeout=5"),
            ("X-Hop", "1"),
            ("Te", "trailers"),
            ("Upgrade", "h2c"),
            ("Proxy-Connection", "keep-alive"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "7"),
            ("Host", "sender.example"),
            ("Expect", "100-continue"),
            ("X-K", "v"),
            ("Authorization", "Bearer published"),
        ];
        assert_eq!(sent(&stored, &[]), owned(&[("authorization", "Bearer published"), ("x-k", "v")]));
    }

    #[test]
    fn configured_headers_win() {
        let configured =
            [("x-event", "mine"), ("X-Empty", ""), ("Host", "x"), ("Content-Length", "3"), ("Connection", "close")];
        let want = owned(&[("connection", "close"), ("x-empty", ""), ("x-event", "mine")]);
        assert_eq!(sent(&[("X-Event", "theirs")], &configured), want);
    }

    #[test]
    fn credentials_of_the_url_yield_to_a_header() {
        let credentials = HeaderValue::from_static("Basic dTpw");
        let of = |stored: &[(&str, &str)]| {
            let stored = JsonMap::from_pairs(stored.iter().copied());
            first(&stored, &Configured::default(), Some(&credentials)).unwrap().get(AUTHORIZATION).cloned()
        };
        assert_eq!(of(&[]), Some(credentials.clone()));
        assert_eq!(of(&[("Authorization", "mine")]), Some(HeaderValue::from_static("mine")));
    }

    #[test]
    fn another_origin_sees_no_credentials() {
        let configured = Configured::new(&[("X-Key".to_owned(), "secret".to_owned())]).unwrap();
        let stored =
            JsonMap::from_pairs([("Authorization", "a"), ("Cookie", "b"), ("Proxy-Authorization", "c"), ("X-K", "v")]);
        let mut headers = first(&stored, &configured, None).unwrap();
        strip_for_other_origin(&mut headers, &configured);
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["user-agent", "x-k"]);
    }

    #[test]
    fn unsendable_headers_are_named() {
        let configured = Configured::new(&[("X-A".to_owned(), "line\n".to_owned())]);
        assert_eq!(configured.unwrap_err().to_string(), "the header `X-A` cannot be sent: the value is not valid");
        assert!(first(&JsonMap::from_pairs([("bad name", "v")]), &Configured::default(), None).is_err());
    }
}
