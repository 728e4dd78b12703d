//! Instants in RFC 3339, read as generously as the reference reads them.

use hookaido_model::UnixMillis;

/// Reads an instant. The hour may have one digit, the fraction may start with a comma.
pub(crate) fn time(text: &str) -> Option<UnixMillis> {
    if !text.is_ascii() {
        return None;
    }
    let mut text = text.replacen(',', ".", 1);
    if text.as_bytes().get(12) == Some(&b':') {
        text.insert(11, '0');
    }
    UnixMillis::parse_rfc3339(&text).ok().filter(|_| text.get(17..19).is_some_and(|seconds| seconds != "60"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_generously() {
        let at = time("2026-01-01T01:00:00.5Z");
        assert!(at.is_some());
        assert_eq!(time("2026-01-01T1:00:00,5Z"), at);
        assert_eq!(time("2026-01-0\u{20ac}:00:00Z"), None);
        for text in [
            "",
            "2026-01-01",
            "2026-01-01t00:00:00z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T23:59:60Z",
            "http://h\u{111e1}:",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
