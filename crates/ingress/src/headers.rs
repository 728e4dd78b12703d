//! Which headers of a request are kept with its message, and how.
//!
//! Names in canonical form (`Content-Type`), several values of one name joined by `,`, everything written straight into the JSON text
//! that is stored. Dropped are credentials and what concerns only the connection to the sender (RFC 9110 section 7.6.1).

use std::borrow::Cow;

use hookaido_model::JsonMap;
use hookaido_model::content::push_string;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName};
use http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;

/// The kept headers have more bytes than the route allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// What a message is kept with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept<'a> {
    /// The request's.
    pub(crate) sender: &'a HeaderMap,
    /// Those of them that do not count, because only the authentication server may set them.
    pub(crate) listed: &'a [HeaderName],
    /// What it has set.
    pub(crate) copied: &'a HeaderMap,
}

impl Kept<'_> {
    /// The headers to keep. `max` bounds the bytes of their names and values.
    pub(crate) fn stored(self, max: u64) -> Result<JsonMap, TooLarge> {
        let Self { sender, listed, copied } = self;
        let tokens = listed_in_connection(sender);
        let stays = |name: &&HeaderName| {
            !is_credential(name) && !is_per_connection(name) && !listed.contains(name) && !named(&tokens, name)
        };
        let own = || sender.keys().filter(stays).map(|name| (sender, name));
        // asked for by name in the configuration, so credentials may be among them
        let set = || copied.keys().filter(|name| !is_per_connection(name)).map(|name| (copied, name));
        write(|| own().chain(set()), max)
    }
}

/// The headers of a request that another server may judge it by: all but what belongs to the connection or is made anew.
pub(crate) fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let tokens = listed_in_connection(headers);
    let mut passed = HeaderMap::with_capacity(headers.keys_len() + 2);
    for (name, value) in headers {
        if !is_per_connection(name) && ![CONTENT_LENGTH, EXPECT].contains(name) && !named(&tokens, name) {
            passed.append(name.clone(), value.clone());
        }
    }
    passed
}

/// Writes every name with its values.
fn write<'a, I>(kept: impl Fn() -> I, max: u64) -> Result<JsonMap, TooLarge>
where
    I: Iterator<Item = (&'a HeaderMap, &'a HeaderName)>,
{
    let (mut count, mut size) = (0, 0);
    for (headers, name) in kept() {
        let values = headers.get_all(name).iter();
        size += name.as_str().len() + values.map(|value| value.len() + 1).sum::<usize>() - 1;
        count += 1;
    }
    if size as u64 > max {
        return Err(TooLarge);
    }
    // Quotes, colon and comma of every pair, and the braces.
    let mut text = Vec::with_capacity(size + 6 * count + 2);
    for (headers, name) in kept() {
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

/// What proves who sends.
fn is_credential(name: &HeaderName) -> bool {
    matches!(name.as_str(), "authorization" | "cookie" | "proxy-authorization")
}

/// What belongs to the connection, and what the target of the request says already.
fn is_per_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "host"
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

fn named(tokens: &[&[u8]], name: &HeaderName) -> bool {
    tokens.iter().any(|token| name.as_str().as_bytes().eq_ignore_ascii_case(token))
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

    fn stored(sender: &HeaderMap, max: u64) -> Result<JsonMap, TooLarge> {
        Kept { sender, listed: &[], copied: &HeaderMap::new() }.stored(max)
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
    fn listed_headers_come_from_the_answer_alone() {
        let sender = map(&[("x-user", "forged"), ("x-a", "1"), ("x-org", "forged"), ("connection", "x-org")]);
        let copied = map(&[("x-org", "7"), ("x-org", "8"), ("authorization", "Bearer up"), ("connection", "close")]);
        let listed = ["x-user", "x-org", "authorization", "connection"].map(HeaderName::from_static);
        let kept = Kept { sender: &sender, listed: &listed, copied: &copied };
        let want = [("X-A", "1"), ("X-Org", "7,8"), ("Authorization", "Bearer up")];
        assert_eq!(kept.stored(100).unwrap().pairs().unwrap(), want.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(kept.stored(33), Err(TooLarge), "copied headers count");
        assert!(kept.stored(34).is_ok());
    }

    #[test]
    fn credentials_are_passed_on_and_what_belongs_to_the_connection_is_not() {
        let headers = map(&[
            ("authorization", "Bearer z"),
            ("cookie", "c=1"),
            ("x-a", "1"),
            ("host", "x"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("content-length", "2"),
            ("expect", "100-continue"),
            ("te", "trailers"),
        ]);
        let passed = passed_on(&headers);
        assert_eq!(passed.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["authorization", "cookie", "x-a"]);
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
