//! Durations: `250ms`, `1h30m`, `7d`, `off`. All but days and `off` is read by the model.

use std::time::Duration;

use hookaido_model::Span;

/// Why text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DurationProblem {
    /// It has another form.
    Form,
    /// It is below zero.
    Negative,
}

/// Reads a duration. `off` and `0` are zero; days are whole numbers of 24 hours; anything else is as in the APIs.
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
    match Span::parse(text) {
        Some(Span::Forward(duration)) => Ok(duration),
        Some(Span::Back(_)) => Err(DurationProblem::Negative),
        None => Err(DurationProblem::Form),
    }
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
