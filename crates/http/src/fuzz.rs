//! What must hold of any bytes that a peer sends. Property tests and the fuzz targets call the same functions.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use futures_util::FutureExt as _;
use hookaido_model::Networks;
use hookaido_model::config::ClientIpHeader;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use crate::guard::scanned;
use crate::json::{Object, parse_object};
use crate::path::{clean_path, escapes_are_valid};
use crate::proxy::read_header;
use crate::{Identity, TrustedProxies};

/// A cleaned path has a slash in front, none at its end and no segment that says nothing; it is clean.
///
/// # Panics
/// If it does not hold.
pub fn path(bytes: &[u8]) {
    let Ok(raw) = std::str::from_utf8(bytes) else { return };
    let clean = clean_path(raw);
    assert!(clean.starts_with('/') && (clean.len() == 1 || !clean.ends_with('/')), "{clean:?}");
    let mut segments = clean.split('/').skip(1);
    assert!(clean == "/" || segments.all(|segment| !["", ".", ".."].contains(&segment)), "{clean:?}");
    if !clean.contains('%') {
        assert_eq!(clean_path(&clean), clean);
    }
    let escaped: String = clean.bytes().map(|byte| format!("%{byte:02X}")).collect();
    assert!(escapes_are_valid(&escaped));
    assert_eq!(clean_path(&escaped), clean);
}

/// What is refused of a stream is refused however it is cut into reads; and what is fine is fine, unless a line is longer than what is kept
/// of it between reads.
///
/// # Panics
/// If it does not hold.
pub fn framing(bytes: &[u8]) {
    // The first byte says how it is cut. Something follows, because some refusals take effect with the next line.
    let Some((first, stream)) = bytes.split_first() else { return };
    let stream = [stream, b"\r\n\r\n"].concat();
    let whole = scanned(&stream, stream.len());
    let pieces = scanned(&stream, usize::from(*first).max(1));
    let short = stream.split(|byte| *byte == b'\n').all(|line| line.len() <= 64);
    assert!(pieces == whole || (whole && !short), "{whole} as a whole, {pieces} in pieces");
}

/// The strict reader takes a part of what JSON allows, and reads it as every other reader does.
///
/// # Panics
/// If it does not hold.
pub fn json_body(bytes: &[u8]) {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        count: Option<i64>,
        #[serde(default)]
        words: Vec<String>,
        #[serde(default)]
        items: Vec<Object<Item>>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Item {
        id: String,
    }
    match parse_object::<Body>(bytes) {
        Err(error) => assert!(error.to_string().contains(" at line "), "{error}"),
        Ok(body) => {
            let value: Result<serde_json::Value, _> = serde_json::from_slice(bytes);
            let value = value.unwrap_or_default();
            let member = |name: &str| value.get(name).cloned().unwrap_or_default();
            assert_eq!(member("count").as_i64(), body.count);
            assert_eq!(member("words").as_array().map_or(0, Vec::len), body.words.len());
            let ids = member("items").as_array().cloned().unwrap_or_default();
            let ids: Vec<_> = ids.iter().filter_map(|item| item.get("id")?.as_str()).map(str::to_owned).collect();
            assert_eq!(ids, body.items.into_iter().map(|Object(item)| item.id).collect::<Vec<_>>());
        }
    }
}

/// Whatever a sender writes, the address that the nearest proxy has added counts.
///
/// # Panics
/// If it does not hold.
pub fn forwarded(bytes: &[u8]) {
    let networks = Networks::new(&[(IpAddr::V4(Ipv4Addr::LOCALHOST), 8)]);
    let proxies = TrustedProxies::new(networks, ClientIpHeader::Auto);
    let peer = SocketAddr::from(([127, 0, 0, 1], 80));
    let client = IpAddr::from([198, 51, 100, 7]);
    for (name, added) in [("x-forwarded-for", format!(",{client}")), ("forwarded", format!(",for={client}"))] {
        let name = HeaderName::from_static(name);
        let headers =
            |value: &[u8]| HeaderValue::from_bytes(value).map(|value| HeaderMap::from_iter([(name.clone(), value)]));
        let (Ok(alone), Ok(appended)) = (headers(bytes), headers(&[bytes, added.as_bytes()].concat())) else { return };
        let _whoever = proxies.client(peer, &alone);
        assert_eq!(proxies.client(peer, &appended).map(|addr| addr.ip()), Some(client), "{appended:?}");
    }
}

/// A PROXY header ends where it says, whatever follows.
///
/// # Panics
/// If it does not hold.
pub fn proxy_header(bytes: &[u8]) {
    let read = |mut stream: &[u8]| {
        let said = read_header(&mut stream).now_or_never().and_then(Result::ok);
        said.map(|said| (said, stream.len()))
    };
    let Some((said, left)) = read(bytes) else { return };
    assert_eq!(read(&[bytes, b"more"].concat()), Some((said, left + 4)));
    let header = bytes.get(..bytes.len() - left).unwrap_or_default();
    assert_eq!(read(header), Some((said, 0)));
}

/// Any bytes may come in the place of a client certificate.
///
/// # Panics
/// If it does not hold.
pub fn client_cert(bytes: &[u8]) {
    let identity = Identity::of(bytes);
    assert_eq!(identity, Identity::of(bytes));
    assert!(!identity.subject.contains('\0'), "{identity:?}");
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    /// Pieces of the language in question, and other bytes.
    fn bytes(known: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let known = select(known).prop_map(|piece| piece.as_bytes().to_vec());
        vec(prop_oneof![6 => known, 1 => vec(any::<u8>(), 0..8)], 0..30).prop_map(|parts| parts.concat())
    }

    const HTTP: &[&str] = &[
        "POST / HTTP/1.1\r\n",
        "GET /a#b HTTP/1.1\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 0\r\n",
        "content-length:",
        " 5",
        "\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: ",
        "chunked",
        "gzip",
        "Host: x\r\n",
        "\r\n\r\n",
        "hello",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "0\r\n",
        ";ext",
        "X: y\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        "#",
        "a",
        "X-Padding: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
    ];
    const PATHS: &[&str] = &[
        "/", "..", ".", "a", "%2f", "%2e", "%2E%2e", "%", "%zz", "%00", "%25", "//", "\\", "\u{e9}", "%c3%a9", "%ff",
        "#", "?",
    ];
    const JSON: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"count\"",
        "\"words\"",
        "\"items\"",
        "\"id\"",
        "\"x\"",
        "1",
        "-5",
        "1.5",
        "null",
        "true",
        " ",
        "\n",
        "\\u0063",
        "{\"id\":\"a\"}",
        "{\"count\":1}",
        "{\"words\":[\"a\"]}",
        "{\"items\":[{\"id\":\"a\"}]}",
        "\"\\ud800\"",
    ];

    const FORWARDED: &[&str] = &[
        "for=",
        "For=",
        "by=",
        ";",
        ",",
        "\"",
        "\\",
        "[",
        "]",
        ":",
        "127.0.0.1",
        "198.51.100.9",
        "2001:db8::1",
        "unknown",
        "_hidden",
        "80",
        " ",
        "=",
    ];
    const PROXY: &[&str] = &[
        "PROXY ",
        "TCP4 ",
        "TCP6 ",
        "UNKNOWN",
        "1.2.3.4 ",
        "::1 ",
        "80 ",
        "443",
        "\r\n",
        "\r\n\r\n\0\r\nQUIT\n",
        "!\u{11}\0\u{c}",
        "!!\0$",
        " \0\0\0",
    ];

    proptest! {
        #[test]
        fn what_a_sender_writes_never_counts(bytes in bytes(FORWARDED)) {
            super::forwarded(&bytes);
        }

        #[test]
        fn a_proxy_header_ends_where_it_says(bytes in bytes(PROXY)) {
            super::proxy_header(&bytes);
        }

        #[test]
        fn any_bytes_may_be_a_certificate(bytes in vec(any::<u8>(), 0..200)) {
            super::client_cert(&bytes);
        }

        #[test]
        fn cleaned_paths_are_clean(bytes in bytes(PATHS)) {
            super::path(&bytes);
        }

        #[test]
        fn framing_does_not_depend_on_packets(cut in 1..9_u8, bytes in bytes(HTTP)) {
            super::framing(&[&[cut][..], &bytes].concat());
        }

        #[test]
        fn the_strict_reader_reads_what_others_read(bytes in bytes(JSON)) {
            super::json_body(&bytes);
        }
    }
}
