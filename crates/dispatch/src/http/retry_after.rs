//! `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date.

use std::time::{Duration, UNIX_EPOCH};

use hookaido_model::UnixMillis;
use http::HeaderMap;
use http::header::RETRY_AFTER;

/// Most that a target may ask for.
const LONGEST: Duration = Duration::from_secs(3600);

/// The delay the target asks for, at most an hour. `None` without the header, and for what is not a positive whole number of seconds or
/// a date ahead.
pub(crate) fn wish(headers: &HeaderMap, now: UnixMillis) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wish = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // a number too long for u64 is as good as the longest
        text.parse().map_or(LONGEST, Duration::from_secs)
    } else {
        let at = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        UnixMillis(0).plus(at).since(now)
    };
    Some(wish.min(LONGEST)).filter(|wish| !wish.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_ahead_count() {
        let now = UnixMillis::parse_rfc3339("2026-08-18T12:00:00Z").unwrap();
        for (text, want) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("999999", Some(3600)),
            ("99999999999999999999999", Some(3600)),
            ("Tue, 18 Aug 2026 12:05:00 GMT", Some(300)),
            ("Tue, 18 Aug 2026 23:05:00 GMT", Some(3600)),
            ("Tue, 18 Aug 2026 12:00:00 GMT", None),
            ("Mon, 02 Jan 2006 15:04:05 GMT", None),
            ("0", None),
            ("-5", None),
            ("+5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(wish(&headers, now), want.map(Duration::from_secs), "{text}");
        }
        assert_eq!(wish(&HeaderMap::new(), now), None);
    }
}
