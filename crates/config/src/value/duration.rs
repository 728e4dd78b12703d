//! Durations: `250ms`, `1h30m`, `7d`, `off`.

use std::time::Duration;

/// Why text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DurationProblem {
    /// It has another form.
    Form,
    /// It is below zero.
    Negative,
}

/// Reads a duration. `off` and `0` are zero; days are whole numbers of 24 hours; anything else is a list of decimal numbers with a unit.
///
/// Days past the range of signed 64-bit nanoseconds (106,751 of them) are as the reference takes them: zero.
pub(crate) fn duration(text: &str) -> Result<Duration, DurationProblem> {
    if text.eq_ignore_ascii_case("off") || text == "0" {
        return Ok(Duration::ZERO);
    }
    if let Some(days) = text.strip_suffix(['d', 'D']).filter(|days| !days.is_empty()) {
        let days: i64 = days.parse().map_err(|_not_whole| DurationProblem::Negative)?;
        let days = u64::try_from(days).map_err(|_below_zero| DurationProblem::Negative)?;
        let nanos = days.checked_mul(86_400_000_000_000).filter(|&nanos| i64::try_from(nanos).is_ok());
        return Ok(Duration::from_nanos(nanos.unwrap_or(0)));
    }
    let nanos = nanoseconds(text).ok_or(DurationProblem::Form)?;
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_below_zero| DurationProblem::Negative)
}

/// A sign, then numbers with units; the sum must fit signed 64 bits.
fn nanoseconds(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, after) = rest.split_at(number);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        total = total.checked_add(scaled(digits, unit_nanos(unit)?)?)?;
        rest = next;
    }
    let limit = i128::from(i64::MAX) + i128::from(negative);
    if total > limit {
        return None;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

fn unit_nanos(unit: &str) -> Option<i128> {
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

/// `digits`, which may have one point, times `unit`, rounded down.
fn scaled(digits: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok().filter(|&w| w <= i128::from(i64::MAX))? };
    let mut nanos = whole * unit;
    let mut part = unit;
    for digit in fraction.bytes().take(18) {
        let digit = i128::from(digit - b'0');
        nanos += digit * part / 10;
        // Tenths of what is left; the rest below a nanosecond is dropped by the division above.
        part /= 10;
        if part == 0 {
            break;
        }
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_the_reference_reads_them() {
        for (text, nanos) in [
            ("0", 0),
            ("OFF", 0),
            ("250ms", 250_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("-0s", 0),
            ("1µs", 1_000),
            ("1μs", 1_000),
            ("1D", 86_400_000_000_000),
            ("+2d", 172_800_000_000_000),
            ("106752d", 0),
            ("2562047h47m16.854775807s", 9_223_372_036_854_775_807),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
        for text in ["", "5", "00", "1w", "5S", "abc", "1d12h", "1h 5m", "1h-5m", "d", ".s", "999999999h", "5..s", "-"]
        {
            assert_eq!(duration(text), Err(DurationProblem::Form), "{text}");
        }
        for text in ["-1s", "-1d", "1.5d", "5 d"] {
            assert_eq!(duration(text), Err(DurationProblem::Negative), "{text}");
        }
    }
}
