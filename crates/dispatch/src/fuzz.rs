//! What must hold of any bytes that a target answers with. Property tests and the fuzz targets call the same functions.

use std::time::Duration;

use ::http::header::RETRY_AFTER;
use ::http::{HeaderMap, HeaderValue};
use hookaido_model::UnixMillis;

use crate::http::retry_after::wish;
use crate::http::url::TargetUrl;

const HOUR: Duration = Duration::from_secs(3600);

/// A wish is more than nothing and at most an hour, and a number of seconds is understood as that.
///
/// # Panics
/// If it does not hold.
pub fn retry_after(bytes: &[u8]) {
    let now = UnixMillis(1_700_000_000_000);
    let wished = |value: HeaderValue| wish(&HeaderMap::from_iter([(RETRY_AFTER, value)]), now);
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        assert!(wished(value).is_none_or(|wish| !wish.is_zero() && wish <= HOUR));
    }
    let seconds = bytes.iter().take(8).fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    let wanted = Some(Duration::from_secs(seconds).min(HOUR)).filter(|wish| !wish.is_zero());
    assert_eq!(wished(HeaderValue::from(seconds)), wanted);
}

/// Where a redirect leads is a URL with a host, `http` or `https`, that reads back as itself.
///
/// # Panics
/// If it does not hold.
pub fn location(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(base) = TargetUrl::parse("https://user:pass@example.com:8443/a/b?c") else { return };
    for url in [TargetUrl::parse(text), base.join(text)].into_iter().flatten() {
        assert!(["http", "https"].contains(&url.scheme()) && !url.host().is_empty(), "{url:?}");
        let again = TargetUrl::parse(&url.uri.to_string());
        assert!(again.is_ok_and(|again| again.uri == url.uri && again.same_origin(&url)), "{url:?}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn bytes(known: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let known = select(known).prop_map(|piece| piece.as_bytes().to_vec());
        vec(prop_oneof![4 => known, 1 => vec(any::<u8>(), 0..8)], 0..12).prop_map(|parts| parts.concat())
    }

    const WISHES: &[&str] = &[
        "0",
        "120",
        "9",
        " ",
        "-",
        "+",
        ".",
        "Tue, 18 Aug 2026 12:05:00 GMT",
        "Tuesday, ",
        "18-Aug-26",
        " GMT",
        "99999999999999999999",
    ];
    const LOCATIONS: &[&str] = &[
        "http://",
        "https://",
        "//",
        "/",
        "..",
        "example.org",
        ":80",
        ":",
        "@",
        "user:pass@",
        "[::1]",
        "?",
        "#",
        "%2f",
        "\\",
        " ",
        "ftp://",
        "a",
    ];

    proptest! {
        #[test]
        fn wishes_have_bounds(bytes in bytes(WISHES)) {
            super::retry_after(&bytes);
        }

        #[test]
        fn redirects_lead_to_urls(bytes in bytes(LOCATIONS)) {
            super::location(&bytes);
        }
    }
}
