//! Durations in the form that the parameters and answers of trends have: `1h30m0s`, `250ms`.

use std::time::Duration;

/// Reads numbers with units, such as `1h30m` or `1.5h`. Negative ones and ones over ten years are `None`; `0` is zero.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let number: f64 = number.parse().ok()?;
        seconds += number * unit_seconds(unit)?;
        rest = tail;
    }
    let bounded = !text.is_empty() && seconds < 10.0 * 366.0 * 86_400.0;
    // Whole milliseconds; rounding keeps `0.1s` exact.
    bounded.then(|| Duration::from_secs_f64((seconds * 1e6).round() / 1e6))
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "h" => 3600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    })
}

/// Hours, minutes and seconds; leading zero parts are left out.
pub(crate) fn show(duration: Duration) -> String {
    let (secs, millis) = (duration.as_secs(), duration.subsec_millis());
    if secs == 0 && millis > 0 {
        return format!("{millis}ms");
    }
    let fraction = if millis == 0 { String::new() } else { format!(".{millis:03}").trim_end_matches('0').to_owned() };
    match (secs / 3600, secs / 60 % 60, secs % 60) {
        (0, 0, s) => format!("{s}{fraction}s"),
        (0, m, s) => format!("{m}m{s}{fraction}s"),
        (h, m, s) => format!("{h}h{m}m{s}{fraction}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_show() {
        for (text, shown) in [
            ("168h", "168h0m0s"),
            ("90s", "1m30s"),
            ("16h40m", "16h40m0s"),
            ("1.5h", "1h30m0s"),
            ("250ms", "250ms"),
            ("1500ms", "1.5s"),
            ("0", "0s"),
            ("15m", "15m0s"),
        ] {
            assert_eq!(parse(text).map(show).as_deref(), Some(shown), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["", "x", "7d", "-1h", "1", "h", "1h30", "1..5h", "1e3s", "999999999h", "1 h"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
