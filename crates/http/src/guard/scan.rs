//! Follows requests through a byte stream: where a head ends, how its body is framed, and what must not be served.
//!
//! Costs one pass over the lines of a head; bodies are skipped by their length. Anything malformed that hyper refuses by itself (a bad
//! header name, a bare carriage return, a folded line) is left to it. Framing follows RFC 9112, 6.3, without its allowances.

/// Bytes of a line that are kept when a read ends within it. The lines that matter are shorter.
const KEPT: usize = 64;

/// What a read contained.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing to object to.
    Fine,
    /// From byte `at` on the stream must not be passed on; the request is to be answered with `status`.
    Refuse {
        at: usize,
        status: u16,
        /// Whether the cut is within a request line; between lines otherwise.
        in_first_line: bool,
    },
    /// The chunks of a body are malformed.
    Broken,
    /// Byte `at` is a `#` in a request target. What comes behind it was not looked at.
    Hash { at: usize },
}

#[derive(Debug)]
pub(super) struct Scan {
    at: At,
    /// Start of a line that is not complete yet.
    kept: [u8; KEPT],
    /// Length of that line so far; may be more than is kept.
    line_len: usize,
    length: Option<u64>,
    chunked: bool,
    /// Set by a line of the present head; takes effect before the next one.
    refuse: Option<u16>,
    /// Whether the method of the present request line is over.
    in_target: bool,
    max_first_line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before or in a request line.
    FirstLine,
    /// In a header line.
    Header,
    /// This many bytes of a body are left.
    Body(u64),
    /// In a chunk's size line; how many digits there were, and whether they are over.
    ChunkSize { size: u64, digits: u8, over: bool, cr: bool },
    /// This many bytes of a chunk are left.
    ChunkData(u64),
    /// Behind a chunk.
    ChunkEnd { cr: bool },
    /// Behind the last chunk.
    Trailer { empty: bool, cr: bool },
}

/// What stands for a `#` in a request target.
pub(super) const HASH: &[u8] = b"%23";

const CHUNK_SIZE: At = At::ChunkSize { size: 0, digits: 0, over: false, cr: false };

impl Scan {
    pub(super) fn new(max_first_line: usize) -> Self {
        Self {
            at: At::FirstLine,
            kept: [0; KEPT],
            line_len: 0,
            length: None,
            chunked: false,
            refuse: None,
            in_target: false,
            max_first_line,
        }
    }

    /// Whether everything read so far is complete requests.
    pub(super) fn between_requests(&self) -> bool {
        self.at == At::FirstLine && self.line_len == 0
    }

    /// Whether what comes next belongs to a head.
    pub(super) fn in_head(&self) -> bool {
        matches!(self.at, At::FirstLine | At::Header)
    }

    /// Looks at the bytes of one read.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Seen {
        let mut rest = bytes;
        while !rest.is_empty() {
            let done = bytes.len() - rest.len();
            rest = match self.at {
                At::FirstLine | At::Header => {
                    let hash = if self.at == At::FirstLine { self.find_hash(rest) } else { None };
                    let lines = hash.and_then(|hash| rest.get(..hash)).unwrap_or(rest);
                    match (self.read_line(lines), hash) {
                        (Err((cut_at, status)), _) => {
                            return Seen::Refuse { at: done + cut_at, status, in_first_line: self.at == At::FirstLine };
                        }
                        (Ok(_), Some(hash)) => {
                            self.line_len += HASH.len();
                            return Seen::Hash { at: done + hash };
                        }
                        (Ok(rest), None) => rest,
                    }
                }
                At::Body(left) => {
                    let (left, rest) = skip(left, rest);
                    self.at = if left == 0 { At::FirstLine } else { At::Body(left) };
                    rest
                }
                At::ChunkData(left) => {
                    let (left, rest) = skip(left, rest);
                    self.at = if left == 0 { At::ChunkEnd { cr: false } } else { At::ChunkData(left) };
                    rest
                }
                At::ChunkSize { .. } | At::ChunkEnd { .. } | At::Trailer { .. } => {
                    let Some((byte, rest)) = rest.split_first() else { return Seen::Fine };
                    match self.chunk_byte(*byte) {
                        Some(next) => self.at = next,
                        None => return Seen::Broken,
                    }
                    rest
                }
            };
        }
        Seen::Fine
    }

    /// Where the rest of a request line has its next `#` behind the method, which may hold one.
    fn find_hash(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' => return None,
                b' ' => self.in_target = true,
                b'#' if self.in_target => return Some(at),
                _ => {}
            }
        }
        None
    }

    /// Takes one line of a head, or the part of it that is there. The error says where to cut and with what to answer.
    fn read_line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], (usize, u16)> {
        if let Some(status) = self.refuse.filter(|_| self.line_len == 0) {
            return Err((0, status));
        }
        let (line, rest) =
            match bytes.iter().position(|byte| *byte == b'\n').and_then(|end| bytes.split_at_checked(end)) {
                Some((line, rest)) => (line, rest.get(1..)),
                None => (bytes, None),
            };
        let had = self.line_len;
        if self.at == At::FirstLine && had + line.len() > self.max_first_line {
            return Err((self.max_first_line.saturating_sub(had), 414));
        }
        let Some(rest) = rest else {
            self.keep(line);
            return Ok(&[]);
        };
        if had == 0 {
            if let Some(status) = self.end_of_line(line, false) {
                return Err((0, status));
            }
        } else {
            self.keep(line);
            let (kept, len) = (self.kept, self.line_len);
            self.line_len = 0;
            // The start of this line is with hyper already: what is wrong with it takes effect at the next line.
            let refuse = self.end_of_line(kept.get(..len).unwrap_or(&kept), len > KEPT);
            self.refuse = self.refuse.or(refuse);
        }
        Ok(rest)
    }

    fn keep(&mut self, part: &[u8]) {
        for (slot, byte) in self.kept.iter_mut().skip(self.line_len).zip(part) {
            *slot = *byte;
        }
        self.line_len += part.len();
    }

    /// A line is complete. `line` is its start where it was `shortened`. Answers with a status when the line itself must be cut off.
    fn end_of_line(&mut self, line: &[u8], shortened: bool) -> Option<u16> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.at == At::FirstLine {
            self.in_target = false;
            // Empty lines before a request line are passed over.
            if !line.is_empty() {
                self.at = At::Header;
            }
            return None;
        }
        match line.first() {
            None => {
                self.end_of_head();
                None
            }
            Some(b'c' | b'C' | b't' | b'T') => self.framing_header(line, shortened),
            Some(_) => None,
        }
    }

    fn end_of_head(&mut self) {
        self.at = match (self.chunked, self.length) {
            (true, _) => CHUNK_SIZE,
            (false, Some(length)) if length > 0 => At::Body(length),
            (false, _) => At::FirstLine,
        };
        self.chunked = false;
        self.length = None;
    }

    /// Notes `Content-Length` and `Transfer-Encoding`. What hyper would refuse with another status is cut off before it.
    fn framing_header(&mut self, line: &[u8], shortened: bool) -> Option<u16> {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at_checked(colon)?;
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            match (std::str::from_utf8(value).ok().and_then(digits), self.length) {
                (None, _) => return Some(400),
                (Some(length), None) if !shortened => self.length = Some(length),
                (Some(length), Some(before)) if length == before && !shortened => {}
                _ => self.refuse = Some(400),
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || shortened || !value.eq_ignore_ascii_case(b"chunked") {
                return Some(501);
            }
            self.chunked = true;
        }
        if self.chunked && self.length.is_some() {
            self.refuse = Some(400);
        }
        None
    }

    /// The state after one byte between the data of chunks; `None` where it is malformed.
    fn chunk_byte(&mut self, byte: u8) -> Option<At> {
        Some(match (self.at, byte) {
            (At::ChunkSize { size, digits, cr: true, .. }, b'\n') if digits > 0 => {
                if size == 0 {
                    At::Trailer { empty: true, cr: false }
                } else {
                    At::ChunkData(size)
                }
            }
            (At::ChunkSize { size, digits, over, cr: false }, _) => match (byte, char::from(byte).to_digit(16)) {
                (b'\r', _) => At::ChunkSize { size, digits, over, cr: true },
                (b'\n', _) => return None,
                (_, Some(digit)) if !over && digits < 15 => {
                    At::ChunkSize { size: size * 16 + u64::from(digit), digits: digits + 1, over, cr: false }
                }
                (b';' | b' ' | b'\t', _) if digits > 0 => At::ChunkSize { size, digits, over: true, cr: false },
                _ if over => self.at,
                _ => return None,
            },
            (At::ChunkEnd { cr: false }, b'\r') => At::ChunkEnd { cr: true },
            (At::ChunkEnd { cr: true }, b'\n') => CHUNK_SIZE,
            (At::Trailer { empty, cr: false }, b'\r') => At::Trailer { empty, cr: true },
            (At::Trailer { empty: true, cr: true }, b'\n') => At::FirstLine,
            (At::Trailer { empty: false, cr: true }, b'\n') => At::Trailer { empty: true, cr: false },
            (At::Trailer { cr: false, .. }, byte) if byte != b'\n' => At::Trailer { empty: false, cr: false },
            _ => return None,
        })
    }
}

/// A length below 2^63: more is nobody's body, and hyper keeps some numbers above for itself.
fn digits(text: &str) -> Option<u64> {
    let fits = |length: &u64| i64::try_from(*length).is_ok();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten().filter(fits)
}

/// Passes over at most `left` bytes.
fn skip(left: u64, bytes: &[u8]) -> (u64, &[u8]) {
    let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (left - take as u64, bytes.get(take..).unwrap_or_default())
}

#[cfg(test)]
mod tests;
