//! The path that routes are matched against.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Decodes percent escapes, then removes empty and `.` segments, resolves `..` and drops a trailing slash. The result starts with `/`.
///
/// An escaped slash separates segments like a plain one. Bytes that are no UTF-8 become U+FFFD. A path that is clean already is borrowed.
#[must_use]
pub fn clean_path(raw: &str) -> Cow<'_, str> {
    if is_clean(raw) {
        return Cow::Borrowed(raw);
    }
    let decoded = percent_decode_str(raw).decode_utf8_lossy();
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let mut clean = String::with_capacity(decoded.len() + 1);
    for segment in segments {
        clean.push('/');
        clean.push_str(segment);
    }
    if clean.is_empty() {
        clean.push('/');
    }
    Cow::Owned(clean)
}

/// Whether cleaning would change nothing: starts with a slash, holds no escape, no empty segment and none that starts with a dot.
fn is_clean(raw: &str) -> bool {
    let mut after_slash = false;
    for (i, byte) in raw.bytes().enumerate() {
        match byte {
            b'%' => return false,
            b'/' if after_slash => return false,
            b'.' if after_slash => return false,
            _ if i == 0 && byte != b'/' => return false,
            _ => {}
        }
        after_slash = byte == b'/';
    }
    raw == "/" || (!raw.is_empty() && !after_slash)
}

/// Whether every percent sign starts an escape of two hexadecimal digits.
#[must_use]
pub fn escapes_are_valid(raw: &str) -> bool {
    let mut rest = raw.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        match rest.get(at + 1..at + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => rest = rest.get(at + 3..).unwrap_or_default(),
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        for (raw, clean) in [
            ("/", "/"),
            ("", "/"),
            ("*", "/*"),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("//a//b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/x/../b/", "/a/b"),
            ("/a/..", "/"),
            ("/../..", "/"),
            ("/../a", "/a"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a/..b", "/a/..b"),
            ("/a%2Fb", "/a/b"),
            ("/a%2f..%2fb", "/b"),
            ("/%61", "/a"),
            ("/a%20b", "/a b"),
            ("/a%zz", "/a%zz"),
            ("/%ff", "/\u{fffd}"),
        ] {
            assert_eq!(clean_path(raw), clean, "{raw}");
        }
    }

    #[test]
    fn clean_paths_are_borrowed() {
        assert!(matches!(clean_path("/hooks/github"), Cow::Borrowed(_)));
    }

    #[test]
    fn escapes_need_two_digits() {
        for (raw, valid) in
            [("/a", true), ("/%41%4a", true), ("/%", false), ("/%4", false), ("/%zz", false), ("/%41%", false)]
        {
            assert_eq!(escapes_are_valid(raw), valid, "{raw}");
        }
    }
}
