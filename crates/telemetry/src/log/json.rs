//! Writing JSON into a buffer of bytes.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use hookaido_model::UnixMillis;

/// A JSON string, quotes included.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text);
    out.push(b'"');
}

/// What `value` prints, as a JSON string.
pub(crate) fn display(out: &mut Vec<u8>, value: impl fmt::Display) {
    out.push(b'"');
    // Writing into memory fails only if `value` says so; what it wrote until then is kept.
    let _ = write!(Escaped(out), "{value}");
    out.push(b'"');
}

/// A number.
pub(crate) fn number(out: &mut Vec<u8>, value: impl fmt::Display) {
    let _ = write!(out, "{value}");
}

/// The start of every line: `{"time":..,"level":..,"msg":..`.
pub(crate) fn head(out: &mut Vec<u8>, at: UnixMillis, level: &str) {
    out.extend_from_slice(b"{\"time\":\"");
    let _ = write!(out, "{at}");
    out.extend_from_slice(b"\",\"level\":\"");
    out.extend_from_slice(level.as_bytes());
    out.extend_from_slice(b"\",\"msg\":");
}

fn escape(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { return };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let _ = write!(out, "\\u{control:04x}");
            }
        }
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// Escapes whatever is formatted into it.
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        for text in ["", "plain", "a\"b\\c\n\r\t\u{1}\u{7f}", "grün \u{2028} 😀", "\"", "end\""] {
            let (mut whole, mut shown) = (Vec::new(), Vec::new());
            string(&mut whole, text);
            display(&mut shown, text);
            assert_eq!(whole, shown);
            assert_eq!(serde_json::from_slice::<String>(&whole).unwrap(), text);
        }
    }
}
