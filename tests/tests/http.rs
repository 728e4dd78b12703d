//! HTTP as the RFCs have it, over real sockets: how requests and answers follow each other, what HTTP/2 allows, and what is done before a
//! sender is known. What the scenarios check already is not repeated here.
#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::sync::Arc;
use std::time::Duration;

use e2e::conn::{Conn, ConnError, RawAnswer, last};
use e2e::fail::Attempt;
use e2e::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, Frames, GOAWAY, HEADERS, RST_STREAM, block, frame, post,
};
use e2e::rig::{PATIENCE, Rig};
use e2e::{pki, ports, tls};
use rustls::ClientConfig;
use serde_json::{Value, json};

const CONFIG: &str = "
ingress { listen {{ingress}} TLS }
pull_api { listen {{pull}} auth token raw:tok }
admin_api { listen {{admin}} auth token raw:adm }
/a { max_body 64kb pull { path /a } }
/get { match { method GET HEAD } pull { path /get } }
/basic { auth basic u p max_body 64kb pull { path /basic } }
";
const CERTIFICATE: &str = "tls { cert_file {{dir}}/server.pem key_file {{dir}}/server.key }";
const WHOLE: u8 = END_HEADERS | END_STREAM;
/// PROTOCOL_ERROR.
const PROTOCOL: u32 = 1;

fn plain() -> Attempt<Rig> {
    Rig::started(&CONFIG.replace("TLS", ""))
}

fn secured() -> Attempt<(Rig, Arc<ClientConfig>)> {
    let mut rig = Rig::new(&CONFIG.replace("TLS", CERTIFICATE))?;
    pki::write(rig.dir())?;
    rig.start()?;
    let tls = tls::client(&json!({"ca": "ca.pem"}), rig.dir())?.unwrap();
    Ok((rig, tls))
}

fn open(rig: &Rig, listener: &str) -> Attempt<Conn> {
    Ok(Conn::open(ports::local(rig.names.port(listener)?), PATIENCE, None)?)
}

/// Sends bytes to ingress and reads the answers to these methods; whether the connection ends after them.
fn exchange(rig: &Rig, bytes: &str, methods: &[&str]) -> Attempt<(Vec<RawAnswer>, bool)> {
    let mut conn = open(rig, "ingress")?;
    conn.send(bytes.as_bytes())?;
    let answers = methods.iter().map(|method| conn.answer(method)).collect::<Result<Vec<_>, _>>()?;
    // An open connection says nothing more.
    conn.within(Duration::from_millis(150));
    let ended = match conn.fill() {
        Ok(more) => !more,
        Err(ConnError::Timeout) => false,
        Err(error) => return Err(error.into()),
    };
    Ok((answers, ended))
}

fn statuses(answers: &[RawAnswer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

/// Everything stored at a route, with its headers.
fn stored(rig: &Rig, route: &str) -> Attempt<Vec<Value>> {
    let (status, batch) = rig.client("pull")?.token("tok").ask(&format!("{route}/dequeue"), &json!({"batch": 100}))?;
    assert_eq!(status, 200);
    Ok(batch.get("items").and_then(Value::as_array).cloned().unwrap_or_default())
}

#[test]
fn connections_last_as_long_as_both_sides_say() -> Attempt<()> {
    let rig = plain()?;
    for (version, connection, lasts) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: X-A, Close\r\n", false),
        ("1.1", "Connection: X-A\r\nConnection: close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: close\r\n", false),
    ] {
        let request = format!("POST /a HTTP/{version}\r\nHost: x\r\n{connection}Content-Length: 1\r\n\r\nm");
        let (answers, ended) = exchange(&rig, &request, &["POST"])?;
        assert_eq!((statuses(&answers), ended), (vec![202], !lasts), "{request}");
        let said = answers.first().and_then(|answer| last(&answer.headers, "connection"));
        match (version, lasts) {
            ("1.0", true) => assert_eq!(said, Some("keep-alive")),
            ("1.1", false) => assert_eq!(said, Some("close")),
            _ => assert_ne!(said, Some(if lasts { "close" } else { "keep-alive" })),
        }
    }
    Ok(())
}

#[test]
fn an_answer_to_head_has_no_body_and_the_next_one_is_found() -> Attempt<()> {
    let rig = plain()?;
    let request = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let all = [request("HEAD", "/a"), request("HEAD", "/get"), request("GET", "/get")].concat();
    let (answers, ended) = exchange(&rig, &all, &["HEAD", "HEAD", "GET"])?;
    assert_eq!((statuses(&answers), ended), (vec![405, 202, 202], false));
    let length = |answer: &RawAnswer| last(&answer.headers, "content-length").map(str::to_owned);
    assert_eq!(answers.get(1).and_then(length), answers.get(2).and_then(length));
    assert_eq!(stored(&rig, "/get")?.len(), 2);
    Ok(())
}

#[test]
fn trailers_are_read_and_do_not_count() -> Attempt<()> {
    let rig = plain()?;
    let trailers = "X-Trailer: 1\r\nAuthorization: Bearer t\r\nContent-Length: 99\r\n";
    let chunked = format!(
        "POST /a HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTrailer: X-Trailer\r\nTransfer-Encoding: chunked\r\n\r\n\
         2;ext\r\nhi\r\n0\r\n{trailers}\r\n"
    );
    let (answers, _) = exchange(&rig, &format!("{chunked}{chunked}"), &["POST", "POST"])?;
    assert_eq!(statuses(&answers), [202, 202]);
    let stored = stored(&rig, "/a")?;
    assert_eq!(stored.len(), 2);
    for message in stored {
        assert_eq!(message.pointer("/payload_b64"), Some(&json!("aGk=")));
        assert_eq!(message.pointer("/headers").cloned().unwrap_or(json!({})), json!({}));
    }
    Ok(())
}

#[test]
fn a_hundred_requests_at_once_are_answered_in_order() -> Attempt<()> {
    let rig = plain()?;
    let all: String = (0..100)
        .map(|n| match n % 4 {
            0 => format!("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{n:03}"),
            1 => format!("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{n:03}\r\n0\r\n\r\n"),
            2 => "GET /a HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            _ => "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".to_owned(),
        })
        .collect();
    let (answers, ended) = exchange(&rig, &all, &["POST"; 100])?;
    let expected: Vec<u16> = [202, 202, 405, 404].repeat(25);
    assert_eq!((statuses(&answers), ended), (expected, false));
    let mut worker = rig.client("pull")?.token("tok");
    let bodies: Vec<String> = worker.dequeue("/a", 100, "30s", "0s")?.into_iter().map(|message| message.body).collect();
    let expected: Vec<String> = (0..100).filter(|n| n % 4 < 2).map(|n| format!("{n:03}")).collect();
    assert_eq!(bodies, expected);
    Ok(())
}

/// Who is not known gets an answer to the head alone: no body is invited or read, however long it is.
#[test]
fn bodies_of_strangers_are_not_invited() -> Attempt<()> {
    let rig = plain()?;
    for (listener, path, credentials) in [
        ("ingress", "/basic", ""),
        ("ingress", "/basic", "Authorization: Basic dTp4\r\n"),
        ("pull", "/a/dequeue", ""),
        ("pull", "/a/ack", "Authorization: Bearer no\r\n"),
        ("admin", "/messages/publish", ""),
        ("admin", "/dlq/requeue", "Authorization: Bearer tok\r\n"),
    ] {
        let mut conn = open(&rig, listener)?;
        let length = if listener == "ingress" { 65_536 } else { 1_000_000 };
        conn.send(
            format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\n{credentials}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
            )
            .as_bytes(),
        )?;
        let first = conn.some()?;
        assert!(first.starts_with(b"HTTP/1.1 401 "), "{path}: {}", String::from_utf8_lossy(&first));
    }
    Ok(())
}

#[test]
fn http2_is_spoken_only_where_both_sides_agreed() -> Attempt<()> {
    let (rig, tls) = secured()?;
    let address = ports::local(rig.names.port("ingress")?);
    for offered in [&[][..], &[&b"http/1.1"[..]], &[b"http/1.0", b"http/1.1"]] {
        let mut config = (*tls).clone();
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        let config = Arc::new(config);
        let mut conn = Conn::open(address, PATIENCE, Some(Arc::clone(&config)))?;
        conn.send(b"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nm")?;
        assert_eq!(conn.answer("POST")?.status, 202);
        let mut conn = Conn::open(address, PATIENCE, Some(config))?;
        conn.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")?;
        while conn.fill()? {}
        let answered = conn.some()?;
        assert!(answered.is_empty() || answered.starts_with(b"HTTP/1.1 400 "), "{answered:x?}");
    }
    // Without TLS nothing is agreed on.
    let mut conn = Conn::open(address, PATIENCE, None)?;
    conn.send(b"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nm")?;
    while conn.fill()? {}
    assert!(!conn.some()?.starts_with(b"HTTP/"));
    assert_eq!(stored(&rig, "/a")?.len(), 3);
    Ok(())
}

/// What the server says to a stream: a status, or the error that ended it or its connection.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Status(u16),
    Error(u32),
}

fn said(frames: &mut Frames) -> Attempt<Said> {
    loop {
        let frame = frames.read()?;
        match (frame.kind, frame.status(), frame.error()) {
            (HEADERS, Some(status), _) => return Ok(Said::Status(status)),
            (RST_STREAM | GOAWAY, _, Some(code)) => return Ok(Said::Error(code)),
            _ => {}
        }
    }
}

#[test]
fn streams_of_http2_are_requests_like_others() -> Attempt<()> {
    let (rig, tls) = secured()?;
    let mut frames = Frames::open(ports::local(rig.names.port("ingress")?), &tls, &[])?;
    let get = |method: &str, path: &str| {
        block(&[(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)])
    };
    let trailers = block(&[("x-trailer", "1"), ("authorization", "Bearer t")]);
    let whole = |stream, head: &[u8]| frame(HEADERS, WHOLE, stream, head);
    for (stream, bytes, expected) in [
        (1, whole(1, &post("/a", &[])), 202),
        (3, [frame(HEADERS, END_HEADERS, 3, &post("/a", &[])), frame(DATA, END_STREAM, 3, b"three")].concat(), 202),
        (
            5,
            [
                frame(HEADERS, 0, 5, &post("/a", &[("content-length", "4")])),
                frame(CONTINUATION, END_HEADERS, 5, &[]),
                frame(DATA, 0, 5, b"fi"),
                frame(DATA, 0, 5, b"ve"),
                frame(HEADERS, WHOLE, 5, &trailers),
            ]
            .concat(),
            202,
        ),
        (7, whole(7, &get("HEAD", "/get")), 202),
        (9, whole(9, &get("GET", "/a")), 405),
        (11, whole(11, &post("/a", &[("content-length", "65537")])), 0),
        (13, frame(HEADERS, END_HEADERS, 13, &post("/a", &[("content-length", "65537")])), 413),
        (15, whole(15, &post("/basic", &[])), 401),
    ] {
        frames.send(&bytes)?;
        let seen = said(&mut frames)?;
        let expected = if expected == 0 { Said::Error(PROTOCOL) } else { Said::Status(expected) };
        assert_eq!(seen, expected, "{stream}");
        if stream == 13 {
            // The rest of the body is not wanted, which is said after the answer.
            assert_eq!(frames.next_of(RST_STREAM)?.error(), Some(0));
        }
    }
    let bodies: Vec<Value> = stored(&rig, "/a")?.iter().map(|message| message["payload_b64"].clone()).collect();
    assert_eq!(bodies, ["", "dGhyZWU=", "Zml2ZQ=="].map(|text| json!(text)));
    Ok(())
}

#[test]
fn a_fragment_does_not_count_over_http2() -> Attempt<()> {
    let (rig, tls) = secured()?;
    let mut frames = Frames::open(ports::local(rig.names.port("ingress")?), &tls, &[])?;
    frames.send(&frame(HEADERS, WHOLE, 1, &post("/a#b", &[])))?;
    assert_eq!(said(&mut frames)?, Said::Status(202));
    Ok(())
}

/// What would be two requests to a server behind this one, or none (RFC 9113, 8.2 and 8.3).
#[test]
fn malformed_streams_are_not_served() -> Attempt<()> {
    let (rig, tls) = secured()?;
    let base = [(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", "/a")];
    let with = |more: &[(&str, &str)]| block(&[&base[..], more].concat());
    let smuggled = "x\r\n\r\nPOST /a HTTP/1.1\r\n";
    for (what, head) in [
        ("chunks", with(&[("transfer-encoding", "chunked")])),
        ("connection", with(&[("connection", "close")])),
        ("keep-alive", with(&[("keep-alive", "1")])),
        ("upgrade", with(&[("upgrade", "h2c")])),
        ("te", with(&[("te", "gzip")])),
        ("capitals", with(&[("X-A", "1")])),
        ("a line break in a value", with(&[("x-a", smuggled)])),
        ("a line break in a name", with(&[("x-a\r\nx-b", "1")])),
        ("a null", with(&[("x-a", "\0")])),
        ("a blank in a name", with(&[("x a", "1")])),
        ("a colon in a name", with(&[("x:a", "1")])),
        ("a line break in the path", block(&[base[0], base[1], base[2], (":path", "/a\r\nHost: x")])),
        ("a blank in the path", block(&[base[0], base[1], base[2], (":path", "/a HTTP/1.1")])),
        ("a line break in the method", block(&[(":method", "POST /a HTTP/1.1\r\n"), base[1], base[2], base[3]])),
        ("no path", block(&base[..3])),
        ("an empty path", block(&[base[0], base[1], base[2], (":path", "")])),
        ("a path without a slash", block(&[base[0], base[1], base[2], (":path", "a")])),
        ("no method", block(&base[1..])),
        ("two paths", with(&[(":path", "/a")])),
        ("an unknown one of its kind", with(&[(":x", "1")])),
        ("one behind a field", block(&[base[0], base[1], base[2], ("x-a", "1"), base[3]])),
        ("a length without a body", with(&[("content-length", "5")])),
        ("two lengths", with(&[("content-length", "0"), ("content-length", "5")])),
        ("no length at all", with(&[("content-length", "+0x")])),
        ("a status", with(&[(":status", "200")])),
    ] {
        let mut frames = Frames::open(ports::local(rig.names.port("ingress")?), &tls, &[])?;
        frames.send(&frame(HEADERS, WHOLE, 1, &head))?;
        match said(&mut frames) {
            Ok(Said::Error(_) | Said::Status(400 | 404)) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
    assert_eq!(stored(&rig, "/a")?, Vec::<Value>::new());
    Ok(())
}

/// More bytes than were announced, and fewer.
#[test]
fn bodies_of_streams_are_as_long_as_announced() -> Attempt<()> {
    let (rig, tls) = secured()?;
    for body in [&b"1234"[..], b"123456"] {
        let mut frames = Frames::open(ports::local(rig.names.port("ingress")?), &tls, &[])?;
        let head = post("/a", &[("content-length", "5")]);
        frames.send(&[frame(HEADERS, END_HEADERS, 1, &head), frame(DATA, END_STREAM, 1, body)].concat())?;
        let seen = said(&mut frames)?;
        assert!(matches!(seen, Said::Error(_) | Said::Status(400)), "{seen:?}");
    }
    assert_eq!(stored(&rig, "/a")?, Vec::<Value>::new());
    Ok(())
}

/// What a peer may do is said at once (RFC 9113, 6.5.2).
#[test]
fn the_limits_of_http2_are_announced() -> Attempt<()> {
    let (rig, tls) = secured()?;
    let mut frames = Frames::open(ports::local(rig.names.port("ingress")?), &tls, &[])?;
    let Frame { payload, .. } = frames.next_of(e2e::frames::SETTINGS)?;
    let settings: Vec<(u16, u32)> = payload
        .chunks_exact(6)
        .filter_map(|part| {
            Some((
                u16::from_be_bytes(part.get(..2)?.try_into().ok()?),
                u32::from_be_bytes(part.get(2..)?.try_into().ok()?),
            ))
        })
        .collect();
    for wanted in [(3, 128), (4, 256 << 10), (6, 16 << 10)] {
        assert!(settings.contains(&wanted), "{wanted:?} of {settings:?}");
    }
    Ok(())
}
