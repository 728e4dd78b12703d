//! Durations as clients of the APIs write them: `30s`, `1h15m30.5s`, `250ms`, `-1s`.
//!
//! The form is that of Go's `time.ParseDuration`. The configuration language has days and `off` besides, which it reads itself.

use std::time::Duration;

/// A duration that may be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Zero or more.
    Forward(Duration),
    /// Less than zero, by this much.
    Back(Duration),
}

impl Span {
    /// Reads a sign and numbers with units in a row; `0` needs no unit. `None` for any other text, and for what does not fit 64 bits of
    /// nanoseconds. Fractions of a nanosecond are dropped.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (back, number) = match text.strip_prefix('-') {
            Some(number) => (true, number),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let duration = Duration::from_nanos(if number == "0" { 0 } else { nanoseconds(number)? });
        Some(if back && !duration.is_zero() { Self::Back(duration) } else { Self::Forward(duration) })
    }

    /// The duration; zero where it is negative.
    #[must_use]
    pub fn or_zero(self) -> Duration {
        match self {
            Self::Forward(duration) => duration,
            Self::Back(_) => Duration::ZERO,
        }
    }
}

/// The sum of numbers with units; at least one.
fn nanoseconds(mut rest: &str) -> Option<u64> {
    let mut total: u64 = 0;
    loop {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit);
        total = total.checked_add(scaled(digits, unit_nanos(unit)?)?).filter(|total| i64::try_from(*total).is_ok())?;
        if next.is_empty() {
            return Some(total);
        }
        rest = next;
    }
}

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// `digits`, which may hold one point, times `unit`.
fn scaled(digits: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // 18 digits below the point are more than any unit can show; with them the product fits 128 bits.
    let (mut parts, mut scale) = (0u128, 1u128);
    for digit in fraction.bytes().take(18) {
        parts = parts * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    let below = u64::try_from(parts * u128::from(unit) / scale).ok()?;
    whole.checked_mul(unit)?.checked_add(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, nanos) in [
            ("30s", 30_000_000_000),
            ("1h2m3s", 3_723_000_000_000),
            ("1.5ms", 1_500_000),
            ("0.7m", 42_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("+1s", 1_000_000_000),
            ("1.9ns", 1),
            ("7µs7μs7us", 21_000),
            ("0", 0),
            ("-0", 0),
            ("+0", 0),
            ("0s", 0),
            ("-0s", 0),
            ("9223372036854775807ns", i64::MAX.unsigned_abs()),
            ("0.3333333333333333333333h", 1_200_000_000_000 - 1),
        ] {
            assert_eq!(Span::parse(text), Some(Span::Forward(Duration::from_nanos(nanos))), "{text}");
        }
        assert_eq!(Span::parse("-1h"), Some(Span::Back(Duration::from_secs(3600))));
        assert_eq!(Span::parse("-1h").map(Span::or_zero), Some(Duration::ZERO));
    }

    #[test]
    fn other_text_is_no_duration() {
        for text in [
            "",
            "-",
            "+",
            "5",
            "00",
            "1d",
            " 1s",
            "1s ",
            "abc",
            ".s",
            "s",
            "1..5s",
            "1.5",
            "1h30",
            "1 h",
            "--1s",
            "1S",
            "1e3s",
            "9223372036854775808ns",
            "9999999999h",
            "99999999999999999999s",
            "١s",
        ] {
            assert_eq!(Span::parse(text), None, "{text:?}");
        }
    }
}
