//! What must hold of any bytes in the query and the headers of a request. Property tests and the fuzz targets call the same functions.

use hookaido_model::config::{HostPattern, Match};
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::headers::{Kept, passed_on};
use crate::matcher::{Matcher, Seen};
use crate::query::has;

/// A pair that is there is found by its name and its value, whatever stands beside it; a value is only found where its name is.
///
/// # Panics
/// If it does not hold.
pub fn query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (name, value) = text.split_once('=').unwrap_or((text, text));
    let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let pair = format!("{}={}", escaped(name), escaped(value));
    for query in [pair.clone(), format!("{text}&{pair}"), format!("{pair}&{text}")] {
        assert!(has(&query, name, Some(value)) && has(&query, name, None), "{query:?}");
    }
    assert!(!has(text, name, Some(value)) || has(text, name, None));
    assert!(!has(&pair, &format!("{name}x"), None) && !has(&pair, name, Some(&format!("{value}x"))));
}

/// The headers of lines `NAME: VALUE`, as far as HTTP allows them.
fn headers(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(64) {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    headers
}

/// Stored headers are JSON that reads back, hold no credential and nothing of the connection, and respect their limit.
///
/// # Panics
/// If it does not hold.
pub fn stored_headers(bytes: &[u8]) {
    let sender = headers(bytes);
    let kept = Kept { sender: &sender, listed: &[], copied: &HeaderMap::new() };
    let stored = kept.stored(u64::MAX).map(|stored| stored.pairs());
    assert!(matches!(stored, Ok(Ok(_))), "{stored:?}");
    let Ok(Ok(pairs)) = stored else { return };
    let size: usize = pairs.iter().map(|(name, _)| name.len()).sum();
    assert!(kept.stored(size as u64).is_ok() == pairs.iter().all(|(_, value)| value.is_empty()));
    for name in
        ["Authorization", "Cookie", "Proxy-Authorization", "Host", "Connection", "Transfer-Encoding", "Te", "Upgrade"]
    {
        assert!(pairs.iter().all(|(stored, _)| stored != name), "{name}");
    }
    let passed = passed_on(&sender);
    assert!(!passed.contains_key("connection") && !passed.contains_key("content-length"));
}

/// A host is matched without a panic, and a pattern for what is below a domain takes nothing else.
///
/// # Panics
/// If it does not hold.
pub fn host(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let headers = HeaderMap::from_iter([(HOST, value)]);
    let takes = |pattern: &str| {
        let conditions = Match { hosts: vec![HostPattern(pattern.to_owned())], ..Match::default() };
        let seen = Seen {
            uri: &Uri::from_static("/"),
            headers: &headers,
            ip: std::net::Ipv4Addr::LOCALHOST.into(),
            identity: None,
        };
        Matcher::new(&conditions).is_ok_and(|matcher| matcher.takes(seen))
    };
    let text = bytes.to_ascii_lowercase();
    let holds = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
    assert!(!takes("*.example.com") || holds(b".example.com"));
    assert!(!takes("example.com") || (holds(b"example.com") && takes("*")));
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn bytes(known: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let known = select(known).prop_map(|piece| piece.as_bytes().to_vec());
        vec(prop_oneof![4 => known, 1 => vec(any::<u8>(), 0..8)], 0..20).prop_map(|parts| parts.concat())
    }

    const QUERY: &[&str] = &["a", "=", "&", ";", "+", "%", "%2", "%20", "%zz", "%41", "#", "\u{e9}", "b"];
    const HEADERS: &[&str] = &[
        "X-A",
        ":",
        "\n",
        " v",
        "Connection",
        "close",
        ",",
        "Authorization",
        "Cookie",
        "Host",
        "TE",
        "Upgrade",
        "Content-Length",
        "\"",
        "\\",
        "\t",
        "x-b",
        "Proxy-Authorization",
        "Transfer-Encoding",
    ];
    const HOSTS: &[&str] =
        &["example", ".com", "example.com", ":", "8080", "[", "]", "::1", ".", "*", "EXAMPLE.com", "a."];

    proptest! {
        #[test]
        fn pairs_of_a_query_are_found(bytes in bytes(QUERY)) {
            super::query(&bytes);
        }

        #[test]
        fn stored_headers_read_back_and_hold_no_credential(bytes in bytes(HEADERS)) {
            super::stored_headers(&bytes);
        }

        #[test]
        fn hosts_are_matched_as_a_whole(bytes in bytes(HOSTS)) {
            super::host(&bytes);
        }
    }
}
