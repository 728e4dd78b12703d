//! Which headers of a request are kept with its message, and how.
//!
//! Names in canonical form (`Content-Type`), several values of one name joined by `,`, everything written straight into the JSON text
//! that is stored. Dropped are credentials and what concerns only the connection to the sender (RFC 9110 section 7.6.1).

use std::borrow::Cow;

use hookaido_model::JsonMap;
use hookaido_model::content::push_string;
use http::header::{CONNECTION, HeaderName};
use http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;

/// The kept headers have more bytes than the route allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// The headers to keep. `max` bounds the bytes of their names and values.
pub(crate) fn stored(headers: &HeaderMap, max: u64) -> Result<JsonMap, TooLarge> {
    let listed = listed_in_connection(headers);
    let kept = || headers.keys().filter(|name| !dropped(name) && !listed.iter().any(|token| is(name, token)));
    let (mut count, mut size) = (0, 0);
    for name in kept() {
        let values = headers.get_all(name).iter();
        size += name.as_str().len() + values.map(|value| value.len() + 1).sum::<usize>() - 1;
        count += 1;
    }
    if size as u64 > max {
        return Err(TooLarge);
    }
    // Quotes, colon and comma of every pair, and the braces.
    let mut text = Vec::with_capacity(size + 6 * count + 2);
    for name in kept() {
        text.push(if text.is_empty() { b'{' } else { b',' });
        text.push(b'"');
        push_canonical(&mut text, name);
        text.extend_from_slice(b"\":");
        push_values(&mut text, headers, name);
    }
    if !text.is_empty() {
        text.push(b'}');
    }
    Ok(JsonMap::from_stored(text.into()))
}

/// Credentials, what belongs to the connection, and what the target of the request says already.
fn dropped(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "authorization"
            | "cookie"
            | "proxy-authorization"
            | "host"
            | "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Names that the sender declares to belong to the connection.
fn listed_in_connection(headers: &HeaderMap) -> SmallVec<[&[u8]; 4]> {
    let lines = headers.get_all(CONNECTION).iter();
    let tokens = lines.flat_map(|line| line.as_bytes().split(|b| *b == b',')).map(<[u8]>::trim_ascii);
    tokens.filter(|token| !token.is_empty() && !token.eq_ignore_ascii_case(b"close")).take(64).collect()
}

fn is(name: &HeaderName, token: &[u8]) -> bool {
    name.as_str().as_bytes().eq_ignore_ascii_case(token)
}

/// The name with a capital at the start and after every `-`. Names of the HTTP library are lower case and need no escape.
fn push_canonical(text: &mut Vec<u8>, name: &HeaderName) {
    let mut start = true;
    for byte in name.as_str().bytes() {
        text.push(if start { byte.to_ascii_uppercase() } else { byte });
        start = byte == b'-';
    }
}

fn push_values(text: &mut Vec<u8>, headers: &HeaderMap, name: &HeaderName) {
    let mut values = headers.get_all(name).iter();
    let (Some(first), second) = (values.next(), values.next()) else { return push_string(text, "") };
    match second {
        None => push_string(text, &readable(first)),
        Some(second) => {
            let mut joined = readable(first).into_owned();
            for value in std::iter::once(second).chain(values) {
                joined.push(',');
                joined.push_str(&readable(value));
            }
            push_string(text, &joined);
        }
    }
}

/// The value as text; bytes that are no UTF-8 become U+FFFD, as JSON cannot carry them.
fn readable(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        map
    }

    fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
        stored(headers, 10_000).unwrap().pairs().unwrap()
    }

    #[test]
    fn names_are_canonical_and_repeats_joined() {
        let headers = map(&[
            ("x-multi-value", "a"),
            ("X-MULTI-value", "b"),
            ("x-empty", ""),
            ("User-Agent", "ua/1"),
            ("2-dig", "\"quoted\" \\ \t"),
            ("x_und", "1"),
            ("content-length", "2"),
        ]);
        let want = [
            ("X-Multi-Value", "a,b"),
            ("X-Empty", ""),
            ("User-Agent", "ua/1"),
            ("2-Dig", "\"quoted\" \\ \t"),
            ("X_und", "1"),
            ("Content-Length", "2"),
        ];
        let got = pairs(&headers);
        assert_eq!(got.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>(), want);
    }

    #[test]
    fn credentials_and_what_belongs_to_the_connection_are_dropped() {
        let headers = map(&[
            ("authorization", "Bearer z"),
            ("cookie", "c=1"),
            ("proxy-authorization", "Basic eA=="),
            ("host", "x"),
            ("connection", "close, X-Drop"),
            ("x-drop", "1"),
            ("keep-alive", "1"),
            ("te", "trailers"),
            ("trailer", "X-T"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "x"),
            ("proxy-connection", "k"),
            ("proxy-authenticate", "z"),
            ("x-forwarded-for", "1.2.3.4"),
        ]);
        assert_eq!(pairs(&headers), [("X-Forwarded-For".to_owned(), "1.2.3.4".to_owned())]);
        assert!(stored(&map(&[("host", "x")]), 0).unwrap().is_empty());
    }

    #[test]
    fn bytes_that_are_no_utf8_are_replaced() {
        let mut headers = HeaderMap::new();
        headers.append("x-w", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        assert_eq!(pairs(&headers)[0].1, "caf\u{fffd}");
    }

    #[test]
    fn only_kept_names_and_values_count_towards_the_limit() {
        let headers =
            map(&[("x-fill", "vvvv"), ("content-length", "2"), ("cookie", "long enough to matter"), ("host", "h")]);
        assert!(stored(&headers, 25).is_ok());
        assert_eq!(stored(&headers, 24), Err(TooLarge));
        let repeated = map(&[("a", "1"), ("a", "2")]);
        assert!(stored(&repeated, 4).is_ok());
        assert_eq!(stored(&repeated, 3), Err(TooLarge));
    }
}
