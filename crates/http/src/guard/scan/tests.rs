use super::*;

/// Reads a stream in pieces of `size`; answers where and why it stopped, counted from its start.
fn read_in(size: usize, stream: &[u8]) -> (Seen, usize) {
    let mut scan = Scan::new(100);
    let mut done = 0;
    for piece in stream.chunks(size) {
        match scan.read(piece) {
            Seen::Fine => done += piece.len(),
            Seen::Refuse { at, status, in_first_line } => {
                return (Seen::Refuse { at: done + at, status, in_first_line }, done);
            }
            other => return (other, done),
        }
    }
    (Seen::Fine, done)
}

#[test]
fn requests_are_followed_however_they_are_cut() {
    for stream in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\nHost: x\n\n",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab\r\n\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nCONTENT-LENGTH:5\r\ncontent-length: 5 \r\n\r\n12345GET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0a;x=\"y\"\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding:Chunked\r\n\r\n0\r\nX: 1\r\nY: 2\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Lengthy: 5\r\nTransfer-Encodings: gzip\r\nTe: x\r\nC\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ] {
        for size in 1..=stream.len() {
            assert_eq!(read_in(size, stream.as_bytes()), (Seen::Fine, stream.len()), "{size} {stream:?}");
        }
        let mut scan = Scan::new(100);
        assert_eq!(scan.read(stream.as_bytes()), Seen::Fine);
        assert!(scan.between_requests(), "{stream:?}");
    }
}

#[test]
fn unclear_framing_is_refused_before_the_head_ends() {
    for (stream, status) in [
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX: y\r\nContent-Length: 5\r\nZ: z\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
    ] {
        for size in 1..=stream.len() {
            let (seen, _) = read_in(size, stream.as_bytes());
            let Seen::Refuse { at, status: found, in_first_line: false } = seen else {
                panic!("{seen:?} {size} {stream:?}")
            };
            assert_eq!(found, status, "{size} {stream:?}");
            let passed = stream.get(..at).unwrap();
            assert!(passed.ends_with('\n') && !passed.ends_with("\r\n\r\n"), "{size} {passed:?}");
        }
    }
}

#[test]
fn a_line_longer_than_what_is_kept_cannot_hide_a_length() {
    let stream = format!("POST / HTTP/1.1\r\nContent-Length:{}5\r\n\r\nabcde", " ".repeat(100));
    assert_eq!(read_in(stream.len(), stream.as_bytes()).0, Seen::Fine);
    for size in 1..60 {
        let (seen, _) = read_in(size, stream.as_bytes());
        assert!(matches!(seen, Seen::Refuse { status: 400, .. }), "{size} {seen:?}");
    }
}

#[test]
fn malformed_chunks_are_noticed() {
    for body in [
        "0\r\n\n",
        "0\n",
        "3\r\nabcd",
        "3\r\nabc\n",
        "\r\n",
        ";x\r\n",
        "-1",
        "0x1",
        "1 \n",
        "1234567890abcdef0",
        "0\r\nX\n",
        "0\r\nX\rY",
    ] {
        let stream = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        for size in 1..=stream.len() {
            assert_eq!(read_in(size, stream.as_bytes()).0, Seen::Broken, "{size} {body:?}");
        }
    }
}

#[test]
fn a_request_line_is_cut_at_its_limit() {
    let stream = format!("GET / HTTP/1.1\r\n\r\nGET /{} HTTP/1.1\r\n\r\n", "x".repeat(200));
    for size in 1..=stream.len() {
        let (seen, _) = read_in(size, stream.as_bytes());
        assert_eq!(seen, Seen::Refuse { at: 18 + 100, status: 414, in_first_line: true }, "{size}");
    }
}

/// What hyper would get of a stream that is read in pieces of `size`.
fn escaped_in(size: usize, stream: &str) -> String {
    let mut scan = Scan::new(100);
    let mut passed = Vec::new();
    for mut piece in stream.as_bytes().chunks(size) {
        while let Seen::Hash { at } = scan.read(piece) {
            passed.extend_from_slice(&piece[..at]);
            passed.extend_from_slice(HASH);
            piece = &piece[at + 1..];
        }
        passed.extend_from_slice(piece);
    }
    assert!(scan.between_requests(), "{size} {stream:?}");
    String::from_utf8(passed).unwrap()
}

#[test]
fn a_hash_is_found_in_targets_only_however_they_are_cut() {
    for (stream, escaped) in [
        ("G#T / HTTP/1.1\r\nX: #\r\n\r\n", "G#T / HTTP/1.1\r\nX: #\r\n\r\n"),
        ("GET /a#b HTTP/1.1\r\n#: x\r\n\r\n", "GET /a%23b HTTP/1.1\r\n#: x\r\n\r\n"),
        ("GET /##?#=# HTTP/1.1\r\n\r\n", "GET /%23%23?%23=%23 HTTP/1.1\r\n\r\n"),
        (
            "\r\nPOST /# HTTP/1.1\r\nContent-Length: 3\r\n\r\n # P#ST # HTTP/1.1\r\n\r\n",
            "\r\nPOST /%23 HTTP/1.1\r\nContent-Length: 3\r\n\r\n # P#ST %23 HTTP/1.1\r\n\r\n",
        ),
    ] {
        for size in 1..=stream.len() {
            assert_eq!(escaped_in(size, stream), escaped, "{size}");
        }
    }
}

#[test]
fn a_hash_counts_towards_the_length_of_a_request_line_as_it_is_passed_on() {
    let (mut scan, target) = (Scan::new(100), "#".repeat(40));
    let line = format!("GET /{target} HTTP/1.1\r\n");
    let mut rest = line.as_bytes();
    let refused = loop {
        match scan.read(rest) {
            Seen::Hash { at } => rest = &rest[at + 1..],
            other => break other,
        }
    };
    assert!(matches!(refused, Seen::Refuse { status: 414, in_first_line: true, .. }), "{refused:?}");
}
