//! Bodies and parameters of requests: strict JSON, durations as the reference writes them.
//!
//! Member names are exact, unknown and repeated ones are refused, nothing may follow the document. `null` stands for a member that is
//! not there.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::PullError;

/// `dequeue`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dequeue {
    pub(crate) batch: Option<i64>,
    pub(crate) max_wait: Option<String>,
    pub(crate) lease_ttl: Option<String>,
}

/// `ack` and `nack`; what only one of them has does not disturb the other.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settle {
    pub(crate) lease_id: Option<String>,
    pub(crate) lease_ids: Option<Vec<String>>,
    pub(crate) delay: Option<String>,
    pub(crate) dead: Option<bool>,
    pub(crate) reason: Option<String>,
}

/// `extend`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extend {
    pub(crate) lease_id: Option<String>,
    pub(crate) extend_by: Option<String>,
}

/// Reads a body. A missing one counts as missing members only where `optional`.
pub(crate) fn parse<T: DeserializeOwned + Default>(body: &[u8], optional: bool) -> Result<T, PullError> {
    if optional && body.iter().all(u8::is_ascii_whitespace) {
        return Ok(T::default());
    }
    let parsed = serde_json::from_slice::<Option<T>>(body);
    parsed.map(Option::unwrap_or_default).map_err(|error| PullError::Invalid(format!("invalid JSON body: {error}")))
}

/// A duration that may be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// Zero or more.
    Forward(Duration),
    /// Less than zero.
    Back,
}

impl Span {
    /// The duration; zero where it is negative.
    pub(crate) fn or_zero(self) -> Duration {
        match self {
            Self::Forward(duration) => duration,
            Self::Back => Duration::ZERO,
        }
    }
}

/// The duration of a member; `None` where it is missing or empty.
pub(crate) fn span(name: &str, text: Option<&str>) -> Result<Option<Span>, PullError> {
    match text {
        None | Some("") => Ok(None),
        Some(text) => parse_span(text)
            .map(Some)
            .ok_or_else(|| PullError::Invalid(format!("{name} must be a duration such as 30s, 1m30s or 250ms"))),
    }
}

/// Nanoseconds of each unit.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// `[+-]` and numbers with units in a row, such as `1h15m30.5s`; `0` needs no unit. Source: the syntax of Go's durations.
pub(crate) fn parse_span(text: &str) -> Option<Span> {
    let (back, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(Span::Forward(Duration::ZERO));
    }
    let mut nanos: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (digits, after) = rest.split_at(number);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(scaled(digits, *scale)?)?;
        rest = next;
    }
    i64::try_from(nanos).ok()?;
    Some(if back && nanos > 0 { Span::Back } else { Span::Forward(Duration::from_nanos(nanos)) })
}

/// `1.5` of a unit, in nanoseconds.
fn scaled(digits: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = whole.checked_mul(scale)?;
    let mut place = scale;
    for digit in fraction.bytes() {
        place /= 10;
        nanos = nanos.checked_add(u64::from(digit - b'0').checked_mul(place)?)?;
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_the_reference() {
        let forward = |nanos| Some(Span::Forward(Duration::from_nanos(nanos)));
        for (text, want) in [
            ("30s", forward(30_000_000_000)),
            ("1h2m3s", forward(3_723_000_000_000)),
            ("1.5ms", forward(1_500_000)),
            (".5s", forward(500_000_000)),
            ("1.s", forward(1_000_000_000)),
            ("+1s", forward(1_000_000_000)),
            ("0", forward(0)),
            ("-0", forward(0)),
            ("0s", forward(0)),
            ("-1h", Some(Span::Back)),
            ("7µs", forward(7_000)),
            ("", None),
            ("5", None),
            ("1d", None),
            (" 1s", None),
            ("1s ", None),
            ("abc", None),
            (".s", None),
            ("1..5s", None),
            ("9999999999h", None),
            ("-", None),
        ] {
            assert_eq!(parse_span(text), want, "{text:?}");
        }
    }

    #[test]
    fn bodies_are_strict() {
        let dequeue = |text: &str| parse::<Dequeue>(text.as_bytes(), true);
        assert_eq!(dequeue("{\"batch\":5}").unwrap().batch, Some(5));
        for fine in ["", " \n", "null", "{}", "{\"batch\":null}"] {
            assert_eq!(dequeue(fine).unwrap().batch, None, "{fine}");
        }
        for text in [
            "{\"x\":1}",
            "{\"BATCH\":1}",
            "{\"batch\":1,\"batch\":2}",
            "{} {}",
            "[]",
            "{\"batch\":1.5}",
            "{\"max_wait\":5}",
        ] {
            let error = dequeue(text).unwrap_err().to_string();
            assert!(error.starts_with("invalid JSON body: "), "{text}: {error}");
        }
        assert!(dequeue("{\"lease_tll\":\"1s\"}").unwrap_err().to_string().contains("lease_tll"));
        assert!(parse::<Settle>(b"", false).is_err());
    }
}
