//! The samples: what is sent, and what may be answered before the connection ends.

/// A request that must never be served: it is behind or inside of another one.
const INNER: &str = "POST /smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nsmug!";
/// A request that is served where the one before it is clear, and ends the connection.
const LAST: &str = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// A body in one chunk.
const CHUNKS: &str = "5\r\nhello\r\n0\r\n\r\n";

/// One of them.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// Statuses until the end; one of these.
    pub(crate) answers: &'static [&'static [u16]],
}

/// Refused, and the connection ends.
const BAD: &[&[u16]] = &[&[400]];
/// A coding that nobody should guess at. Without a `chunked` at its end it may be refused as malformed.
const UNKNOWN: &[&[u16]] = &[&[501], &[400]];
/// Refused or cut off: the head was fine.
const BROKEN: &[&[u16]] = &[&[400], &[]];
/// Clear after all: stored, and the next request is served.
const CLEAR: &[&[u16]] = &[&[202, 404]];

/// All of them.
pub(crate) fn samples() -> Vec<Sample> {
    [lengths(), codings(), lines(), chunks(), unread(), versions()].concat_all()
}

trait ConcatAll {
    fn concat_all(self) -> Vec<Sample>;
}

impl<const N: usize> ConcatAll for [Vec<Sample>; N] {
    fn concat_all(self) -> Vec<Sample> {
        self.into_iter().flatten().collect()
    }
}

fn sample(name: impl Into<String>, bytes: impl Into<Vec<u8>>, answers: &'static [&'static [u16]]) -> Sample {
    Sample { name: name.into(), bytes: bytes.into(), answers }
}

/// A POST to `/bad` with these fields, which end with a line break where there are any, and what follows the head.
fn post(fields: &str, rest: &str) -> String {
    format!("POST /bad HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{rest}{LAST}")
}

/// `Content-Length` and what it says beside chunks, beside another one, and in odd spellings.
fn lengths() -> Vec<Sample> {
    let hidden = format!("0\r\n\r\n{INNER}");
    let chunk = format!("{:x}\r\n{INNER}\r\n0\r\n\r\n", INNER.len());
    let (whole, coding) = (format!("Content-Length: {}\r\n", hidden.len()), "Transfer-Encoding: chunked\r\n");
    let mut all = vec![
        sample("length, then chunks", post(&format!("{whole}{coding}"), &hidden), BAD),
        sample("chunks, then length", post(&format!("{coding}{whole}"), &hidden), BAD),
        sample("a length that ends in a chunk", post(&format!("Content-Length: 4\r\n{coding}"), &chunk), BAD),
        sample("chunks and a length of nothing", post(&format!("{coding}Content-Length: 0\r\n"), &hidden), BAD),
        sample("far apart", post(&format!("{coding}{}{whole}", "X: 1\r\n".repeat(90)), &hidden), BAD),
        sample("chunks by tab", post(&format!("{whole}Transfer-Encoding:\tchunked\r\n"), &hidden), BAD),
        sample("the same length twice", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), CLEAR),
        sample("a short length, then a long one", post(&format!("Content-Length: 0\r\n{whole}"), &hidden), BAD),
        sample("a long length, then a short one", post(&format!("{whole}Content-Length: 0\r\n"), &hidden), BAD),
        sample("zeros in front", post("Content-Length: 005\r\n", "hello"), CLEAR),
        sample("tabs around", post("Content-Length:\t5\t\r\n", "hello"), CLEAR),
        sample(
            "the length as a field of the connection",
            post("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"),
            CLEAR,
        ),
        sample("a request as a body", post(&format!("Content-Length: {}\r\n", INNER.len()), INNER), CLEAR),
    ];
    for length in [
        "+5",
        "-5",
        "0x5",
        "0b101",
        "5, 5",
        "5,0",
        "5 5",
        "5;",
        "5.0",
        "5e0",
        "1_0",
        "five",
        "\"5\"",
        "",
        "\u{665}",
        "18446744073709551616",
        "99999999999999999999999999999999",
    ] {
        all.push(sample(format!("length {length:?}"), post(&format!("Content-Length: {length}\r\n"), INNER), BAD));
    }
    all
}

/// `Transfer-Encoding` in all its spellings.
fn codings() -> Vec<Sample> {
    let mut all = vec![
        sample("capitals", post("TRANSFER-ENCODING: CHUNKED\r\n", CHUNKS), CLEAR),
        sample("blanks around chunked", post("Transfer-Encoding: \t chunked \t\r\n", CHUNKS), CLEAR),
        sample("two lines", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", CHUNKS), UNKNOWN),
        sample(
            "chunked, then another line",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", CHUNKS),
            UNKNOWN,
        ),
        sample(
            "identity beside a length",
            post("Content-Length: 5\r\nTransfer-Encoding: identity\r\n", "hello"),
            UNKNOWN,
        ),
        sample("a blank before the colon", post("Transfer-Encoding : chunked\r\n", CHUNKS), BAD),
        sample("a tab before the colon", post("Transfer-Encoding\t: chunked\r\n", CHUNKS), BAD),
        sample("on the next line", post("Transfer-Encoding:\r\n chunked\r\n", CHUNKS), &[&[400], &[501]]),
        sample(
            "beside a blank and a length",
            post("Content-Length: 5\r\nTransfer-Encoding : chunked\r\n", CHUNKS),
            BAD,
        ),
        sample(
            "as a field of the connection",
            post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", CHUNKS),
            CLEAR,
        ),
    ];
    for coding in [
        "chunked, identity",
        "identity, chunked",
        "gzip, chunked",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "xchunked",
        "chunkedx",
        "chunked;q=1",
        "\"chunked\"",
        "'chunked'",
        "identity",
        "cow",
        "",
        "chunked chunked",
        "\u{e7}hunked",
    ] {
        let fields = format!("Transfer-Encoding: {coding}\r\n");
        all.push(sample(format!("coding {coding:?}"), post(&fields, &format!("{CHUNKS}{INNER}")), UNKNOWN));
    }
    for control in ['\0', '\x01', '\x0b', '\x0c', '\x7f'] {
        let fields = format!("Transfer-Encoding: chunked{control}\r\n");
        all.push(sample(format!("control {control:?}"), post(&fields, &format!("{CHUNKS}{INNER}")), &[&[400], &[501]]));
    }
    all
}

/// Where lines end, and what a line may be.
fn lines() -> Vec<Sample> {
    let bare = |text: &str| text.replace("\r\n", "\n");
    let whole = format!("Content-Length: {}\r\n", INNER.len());
    let mut all = vec![
        sample("line feeds alone", bare(&post("Content-Length: 5\r\n", "hello")), CLEAR),
        sample(
            "a line feed alone at the end",
            post("Content-Length: 5\r\n", "").replacen("\r\n\r\n", "\r\n\nhello", 1),
            CLEAR,
        ),
        sample(
            "chunks hidden by a line feed",
            post(&format!("X: a\nTransfer-Encoding: chunked\r\n{whole}"), INNER),
            BAD,
        ),
        sample("a length hidden by a line feed", post(&format!("{whole}X: a\nContent-Length: 0\r\n"), INNER), BAD),
        sample("a carriage return alone", post(&format!("X: a\rContent-Length: 0\r\n{whole}"), INNER), BAD),
        sample("a carriage return in the name", post(&format!("X\r: a\r\n{whole}"), INNER), BAD),
        sample("two carriage returns", post(&format!("{whole}X: a\r\r\n"), INNER), BAD),
        sample("a folded line", post(&format!("X: a\r\n b\r\n{whole}"), INNER), BAD),
        sample("a folded line by tab", post(&format!("X: a\r\n\tTransfer-Encoding: chunked\r\n{whole}"), INNER), BAD),
        sample("a folded length", post("Content-Length: 5\r\n 0\r\n", INNER), BAD),
        sample(
            "a folded first line",
            format!("POST /bad HTTP/1.1\r\n Host: localhost\r\n{whole}\r\n{INNER}{LAST}"),
            BAD,
        ),
        sample("no colon", post(&format!("X\r\n{whole}"), INNER), BAD),
        sample("no name", post(&format!(": x\r\n{whole}"), INNER), BAD),
        sample("a blank in the name", post(&format!("X Y: x\r\n{whole}"), INNER), BAD),
        sample("a null in the name", post(&format!("X\0: x\r\n{whole}"), INNER), BAD),
        sample("a null in the value", post(&format!("X: \0\r\n{whole}"), INNER), BAD),
        sample("two hosts", post(&format!("Host: other\r\n{whole}"), INNER), BAD),
        sample("empty lines in front", format!("\r\n\r\n{}", post("Content-Length: 5\r\n", "hello")), CLEAR),
        sample("a blank in front", format!(" {}", post(&whole, INNER)), BAD),
    ];
    for host in ["a, b", "a b", "a/b", "a\\b", "a#b", "a?b", "<a>"] {
        let bytes = format!("POST /bad HTTP/1.1\r\nHost: {host}\r\n{whole}\r\n{INNER}{LAST}");
        all.push(sample(format!("host {host:?}"), bytes, BAD));
    }
    all
}

/// Chunks that are not what they say.
fn chunks() -> Vec<Sample> {
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    let mut all = vec![];
    for body in [
        "5;a=b\r\nhello\r\n0\r\n\r\n",
        "5;a=\"b\"\r\nhello\r\n0;c\r\n\r\n",
        "05\r\nhello\r\n00\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        "5\r\nhello\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        all.push(sample(format!("chunks {body:?}"), chunked(body), CLEAR));
    }
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(1 << 20));
    all.push(sample("an extension of 1 MiB", chunked(&format!("{long}{INNER}")), BROKEN));
    let trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(1 << 17));
    all.push(sample("trailers of 768 KiB", chunked(&format!("{trailers}{INNER}")), BROKEN));
    for body in [
        "5\nhello\n0\n\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "\r\n0\r\n\r\n",
        ";a\r\n0\r\n\r\n",
        "g\r\n\r\n",
        "3\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\r\nb\"\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "0\r\n\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX\ry\r\n\r\n",
        "0\n\r\n",
    ] {
        all.push(sample(format!("chunks {body:?}"), chunked(&format!("{body}{INNER}")), BROKEN));
    }
    all
}

/// Bodies that nobody reads, because the answer is known before.
fn unread() -> Vec<Sample> {
    let length = INNER.len();
    let to = |line: &str, fields: &str, rest: &str| {
        format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{rest}{LAST}")
    };
    let inside = format!("{length:x}\r\n{INNER}\r\n0\r\n\r\n");
    let sized = format!("Content-Length: {length}\r\n");
    let not_found: &[&[u16]] = &[&[404], &[404, 404]];
    let method: &[&[u16]] = &[&[405], &[405, 404]];
    vec![
        sample("no route", to("POST /nowhere", &sized, INNER), not_found),
        sample("no route, chunked", to("POST /nowhere", "Transfer-Encoding: chunked\r\n", &inside), not_found),
        sample("no route, a GET with a body", to("GET /nowhere", &sized, INNER), not_found),
        sample(
            "no route, not invited",
            to("POST /nowhere", &format!("Expect: 100-continue\r\n{sized}"), INNER),
            not_found,
        ),
        sample("another method", to("PUT /bad", &sized, INNER), method),
        sample("another case", to("post /bad", &sized, INNER), method),
        sample("too long", to("POST /bad", "Content-Length: 70000\r\n", INNER), &[&[413]]),
        sample("an expectation", to("POST /bad", &format!("Expect: wonders\r\n{sized}"), INNER), &[&[417]]),
        sample("a tunnel", to("CONNECT localhost:80", "", INNER), &[&[400], &[404], &[405]]),
        sample(
            "the last request",
            post("Connection: close\r\nContent-Length: 5\r\n", &format!("hello{INNER}")),
            &[&[202]],
        ),
        sample(
            "another protocol",
            post(
                "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAA\r\nContent-Length: 5\r\n",
                "hello",
            ),
            CLEAR,
        ),
    ]
}

/// Request lines.
fn versions() -> Vec<Sample> {
    let line = |line: &str, fields: &str, rest: &str| format!("{line}\r\nHost: localhost\r\n{fields}\r\n{rest}");
    let sized = "Content-Length: 5\r\n";
    let old: &[&[u16]] = &[&[202]];
    let mut all = vec![
        sample("1.0", line("POST /bad HTTP/1.0", sized, &format!("hello{INNER}")), old),
        sample(
            "1.0, chunked",
            line("POST /bad HTTP/1.0", "Transfer-Encoding: chunked\r\n", &format!("{CHUNKS}{INNER}")),
            BAD,
        ),
        sample(
            "1.0, kept alive and chunked",
            line(
                "POST /bad HTTP/1.0",
                "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n",
                &format!("{CHUNKS}{INNER}"),
            ),
            BAD,
        ),
        sample(
            "1.0, kept alive",
            line("POST /bad HTTP/1.0", &format!("Connection: keep-alive\r\n{sized}"), &format!("hello{LAST}")),
            CLEAR,
        ),
        sample("with a name", line("POST http://other/bad HTTP/1.1", sized, &format!("hello{LAST}")), CLEAR),
        sample("the preface of HTTP/2", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{INNER}"), BROKEN),
    ];
    for first in [
        "POST /bad",
        "POST /bad HTTP/1.1 HTTP/1.1",
        "POST  /bad HTTP/1.1",
        "POST /bad  HTTP/1.1",
        "POST\t/bad\tHTTP/1.1",
        "POST /bad x HTTP/1.1",
        "POST /bad\t HTTP/1.1",
        "POST /bad HTTP/1.1 ",
        "POST /bad HTTP/01.1",
        "POST /bad HTTP/1.10",
        "POST /bad HTTP/1.2",
        "POST /bad HTTP/3.0",
        "POST /bad http/1.1",
        "POST /bad HTTPS/1.1",
        "POST bad HTTP/1.1",
        "POST /b\0ad HTTP/1.1",
        "PO\0ST /bad HTTP/1.1",
        "P@ST{} /bad HTTP/1.1",
        "POST /bad%zz HTTP/1.1",
        "POST /bad% HTTP/1.1",
    ] {
        all.push(sample(format!("{first:?}"), line(first, sized, &format!("hello{INNER}{LAST}")), BROKEN));
    }
    all
}
