//! What must hold of any text as a value. Property tests and the fuzz targets call the same functions.

use std::time::Duration;

use hookaido_model::{EnvelopeId, LeaseId, Span, UnixMillis};

use crate::value;

/// Durations, sizes, numbers and times: what is read is within its bounds and reads back from its plain form. Everything else that has a
/// form of its own is read or not, without a panic.
///
/// # Panics
/// If it does not hold.
pub fn values(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(duration) = value::duration(text) {
        assert_eq!(value::duration(&format!("{}ns", duration.as_nanos())), Ok(duration));
    }
    if let Ok(size) = value::size(text) {
        assert!((1..=1 << 40).contains(&size));
        assert_eq!(value::size(&format!("{size}B")), Ok(size));
    }
    if let Some(number) = value::number(text).filter(|number| number.is_finite()) {
        assert_eq!(value::number(&number.to_string()), Some(number));
    }
    if let Some((ip, bits)) = value::network(text) {
        assert!(bits <= if ip.is_ipv4() { 32 } else { 128 });
    }
    let _read_or_not = (value::time(text), value::integer(text), value::http_url(text).is_ok());
    let _read_or_not =
        (value::path(text), value::prefix(text), value::host_pattern(text).is_ok(), value::egress_rule(text));
    spans(text);
}

/// The forms of the APIs.
fn spans(text: &str) {
    match Span::parse(text) {
        Some(span @ Span::Forward(duration)) => {
            assert!(duration <= Duration::from_nanos(i64::MAX.unsigned_abs()));
            assert_eq!(Span::parse(&format!("{}ns", duration.as_nanos())), Some(span));
        }
        Some(span @ Span::Back(duration)) => {
            assert!(!duration.is_zero());
            assert_eq!(Span::parse(&format!("-{}ns", duration.as_nanos())), Some(span));
        }
        None => {}
    }
    if let Ok(at) = UnixMillis::parse_rfc3339(text) {
        assert_eq!(UnixMillis::parse_rfc3339(&at.to_string()), Ok(at));
    }
    if let Ok(lease) = text.parse::<LeaseId>() {
        assert_eq!(lease.to_string().parse::<LeaseId>(), Ok(lease));
    }
    let id = EnvelopeId::from(text);
    assert_eq!(EnvelopeId::from(id.to_string().as_str()), id);
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    const KNOWN: &[&str] = &[
        "1",
        "0",
        "9223372036854775807",
        ".5",
        "h",
        "m",
        "s",
        "ms",
        "us",
        "\u{b5}s",
        "ns",
        "d",
        "kb",
        "MB",
        "g",
        "b",
        "off",
        "-",
        "+",
        "_",
        "e3",
        ".",
        "nan",
        "inf",
        "2026-02-06",
        "T",
        "12:00:00",
        "Z",
        "+01:00",
        "/",
        "::1",
        "10.0.0.0",
        "/8",
        "http://",
        "h",
        "*.",
        "evt_",
        "lease_",
        " ",
    ];

    proptest! {
        #[test]
        fn values_read_back(parts in vec(prop_oneof![4 => select(KNOWN).prop_map(str::to_owned), 1 => "\\PC{0,4}"], 0..8)) {
            super::values(parts.concat().as_bytes());
        }
    }
}
