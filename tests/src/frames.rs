//! A client of HTTP/2 that sends any frame, sensible or not, and reads what comes back (RFC 9113).
//!
//! Heads are literals without Huffman coding, and the server is told to keep no table, so that a head can be read by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use crate::conn::{Conn, ConnError};

/// DATA.
pub const DATA: u8 = 0;
/// HEADERS.
pub const HEADERS: u8 = 1;
/// RST_STREAM.
pub const RST_STREAM: u8 = 3;
/// SETTINGS.
pub const SETTINGS: u8 = 4;
/// PING.
pub const PING: u8 = 6;
/// GOAWAY.
pub const GOAWAY: u8 = 7;
/// WINDOW_UPDATE.
pub const WINDOW_UPDATE: u8 = 8;
/// CONTINUATION.
pub const CONTINUATION: u8 = 9;

/// Flag: nothing more comes on this stream; on SETTINGS and PING, an answer.
pub const END_STREAM: u8 = 1;
/// Flag: the head is complete.
pub const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Such as [`HEADERS`].
    pub kind: u8,
    /// Such as [`END_STREAM`].
    pub flags: u8,
    /// Zero for the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The status of a head, where it begins with one.
    pub fn status(&self) -> Option<u16> {
        status(&self.payload).filter(|_| self.kind == HEADERS)
    }

    /// The error code of RST_STREAM or GOAWAY.
    pub fn error(&self) -> Option<u32> {
        let at = match self.kind {
            RST_STREAM => 0,
            GOAWAY => 4,
            _ => return None,
        };
        Some(u32::from_be_bytes(self.payload.get(at..at + 4)?.try_into().ok()?))
    }
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = length.get(1..).unwrap_or_default().to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A head as header block: every field a literal that no table keeps.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = vec![];
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            number(&mut bytes, text.len());
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// The head of a POST.
pub fn post<'a>(path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<u8> {
    let fixed = [(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", path)];
    block(&[&fixed[..], more].concat())
}

/// A length with a prefix of seven bits (RFC 7541, 5.1).
fn number(bytes: &mut Vec<u8>, number: usize) {
    let small = u8::try_from(number).unwrap_or(u8::MAX);
    if small < 127 {
        return bytes.push(small);
    }
    bytes.push(127);
    let mut rest = number - 127;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap_or_default() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap_or_default());
}

/// One connection.
#[derive(Debug)]
pub struct Frames(Conn);

impl Frames {
    /// Connects, agrees on HTTP/2 and says hello with these settings (RFC 9113, 6.5.2).
    pub fn open(addr: SocketAddr, tls: &Arc<ClientConfig>, settings: &[(u16, u32)]) -> Result<Self, ConnError> {
        let mut config = (**tls).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let mut conn = Conn::open(addr, Duration::from_secs(20), Some(Arc::new(config)))?;
        let payload: Vec<u8> = [(1, 0)].iter().chain(settings).flat_map(setting).collect();
        conn.send(&[PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat())?;
        Ok(Self(conn))
    }

    /// Sends bytes, which are whole frames or not. No error when the server has gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), ConnError> {
        self.0.send(bytes)
    }

    /// Gives everything that follows this much time.
    pub fn within(&mut self, time: Duration) {
        self.0.within(time);
    }

    /// The next frame.
    pub fn read(&mut self) -> Result<Frame, ConnError> {
        let head = self.0.exactly(9)?;
        let [a, b, c, kind, flags, w, x, y, z] = head.as_slice() else { return Err(ConnError::Closed) };
        let length = u32::from_be_bytes([0, *a, *b, *c]);
        let stream = u32::from_be_bytes([*w, *x, *y, *z]);
        let payload = self.0.exactly(usize::try_from(length).unwrap_or(usize::MAX))?;
        Ok(Frame { kind: *kind, flags: *flags, stream, payload })
    }

    /// The next frame of this kind; others are passed over.
    pub fn next_of(&mut self, kind: u8) -> Result<Frame, ConnError> {
        loop {
            let frame = self.read()?;
            if frame.kind == kind {
                return Ok(frame);
            }
        }
    }

    /// Reads until the server closes; the last GOAWAY before that.
    pub fn goodbye(&mut self) -> Result<Option<Frame>, ConnError> {
        let mut goaway = None;
        loop {
            match self.read() {
                Ok(frame) if frame.kind == GOAWAY => goaway = Some(frame),
                Ok(_) => {}
                Err(ConnError::Closed) => return Ok(goaway),
                Err(error) => return Err(error),
            }
        }
    }
}

fn setting((name, value): &(u16, u32)) -> Vec<u8> {
    [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// The status at the start of a header block: one of the seven that have a number, or a literal of three digits.
fn status(block: &[u8]) -> Option<u16> {
    let known = [200, 204, 206, 304, 400, 404, 500];
    let (first, rest) = block.split_first()?;
    match *first {
        // A table of size zero may be announced again before the first field.
        0x20..=0x3f => status(rest),
        0x88..=0x8e => known.get(usize::from(*first - 0x88)).copied(),
        0x08 | 0x18 | 0x48 => {
            let (length, rest) = rest.split_first()?;
            let text = rest.get(..usize::from(*length & 0x7f))?;
            let digits = if *length < 0x80 { std::str::from_utf8(text).ok()?.to_owned() } else { huffman(text)? };
            digits.parse().ok()
        }
        _ => None,
    }
}

/// Three digits in Huffman code (RFC 7541, appendix B): 0 to 2 have five bits, 3 to 9 have six.
fn huffman(bytes: &[u8]) -> Option<String> {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let value = |bits: &[u8]| bits.iter().fold(0, |value, bit| value << 1 | u32::from(*bit));
    let (mut digits, mut rest) = (String::new(), bits.as_slice());
    while digits.len() < 3 {
        let (digit, length) = match value(rest.get(..5)?) {
            short @ 0..=2 => (short, 5),
            _ => (value(rest.get(..6)?).checked_sub(0b01_1001).filter(|at| *at < 7)? + 3, 6),
        };
        digits.push(char::from_digit(digit, 10)?);
        rest = rest.get(length..)?;
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read() {
        for (block, expected) in [
            (&[0x8c][..], Some(400)),
            (&[0x20, 0x8d], Some(404)),
            (&[0x48, 3, b'2', b'0', b'2'], Some(202)),
            // From RFC 7541, C.6.1: 302.
            (&[0x48, 0x82, 0x64, 0x02], Some(302)),
            // From RFC 7541, C.6.2: 307.
            (&[0x48, 0x83, 0x64, 0x0e, 0xff], Some(307)),
            (&[0x40], None),
            (&[], None),
        ] {
            let frame = Frame { kind: HEADERS, flags: 0, stream: 1, payload: block.to_vec() };
            assert_eq!(frame.status(), expected, "{block:x?}");
        }
    }

    #[test]
    fn frames_have_a_head_of_nine_bytes() {
        assert_eq!(frame(PING, 1, 3, b"12345678"), b"\0\0\x08\x06\x01\0\0\0\x0312345678");
        assert_eq!(block(&[("a", "bc")]), b"\0\x01a\x02bc");
        let mut long = vec![];
        number(&mut long, 1337);
        assert_eq!(long, [127, 1337u16.wrapping_sub(127).to_le_bytes()[0] | 128, 9]);
    }
}
