//! Instants as stored and shown, and the clock everything asks.
//!
//! An instant is a count of milliseconds since the Unix epoch, UTC. Nothing outside this module reads the system clock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::stack::Stack;

/// Milliseconds since 1970-01-01T00:00:00Z. Negative before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

/// The latest instant that has a text form (9999-12-31T23:59:59.999Z); RFC 3339 years have four digits.
const LAST: i64 = 253_402_300_799_999;
/// The earliest one (0000-01-01T00:00:00Z).
const FIRST: i64 = -62_167_219_200_000;

impl UnixMillis {
    /// The instant `after` later; stops at the end of the range.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        let millis = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// The instant `before` earlier; stops at the end of the range.
    #[must_use]
    pub fn minus(self, before: Duration) -> Self {
        let millis = i64::try_from(before.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Reads an RFC 3339 instant such as `2026-02-06T12:00:00Z` or `2026-02-06T13:00:00.25+01:00`.
    ///
    /// # Errors
    /// Text in any other form, or an instant outside the years 0 to 9999.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimeError> {
        // jiff also reads forms that RFC 3339 does not have (a blank or lower-case separator, no seconds, no colon in the offset), and
        // second 60, which no instant here can be.
        let shaped = text.len() >= 20
            && text.bytes().enumerate().take(19).all(|(i, b)| match i {
                4 | 7 => b == b'-',
                10 => b == b'T',
                13 | 16 => b == b':',
                _ => b.is_ascii_digit(),
            })
            && !text.contains(['[', ',', ' '])
            && text.get(17..19) != Some("60");
        let instant = text.parse::<jiff::Timestamp>().ok().filter(|_| shaped);
        instant.map(|at| Self(at.as_millisecond())).ok_or_else(|| TimeError { text: text.chars().take(64).collect() })
    }
}

/// Text that is no RFC 3339 instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an RFC 3339 time; write one such as 2026-02-06T12:00:00Z")]
pub struct TimeError {
    /// The text, cut to 64 characters.
    pub text: String,
}

/// RFC 3339 in UTC; the fraction has three digits and is left out when it is zero.
impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.clamp(FIRST, LAST);
        let (days, in_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
        let (year, month, day) = civil_from_days(days);
        let [year, month, day, in_day] = [year, month, day, in_day].map(i64::unsigned_abs);
        let (secs, frac) = (in_day / 1000, in_day % 1000);
        let mut text = Stack::<24>::new();
        text.decimal::<4>(year).push(b"-").decimal::<2>(month).push(b"-").decimal::<2>(day).push(b"T");
        text.decimal::<2>(secs / 3600).push(b":").decimal::<2>(secs / 60 % 60).push(b":").decimal::<2>(secs % 60);
        if frac != 0 {
            text.push(b".").decimal::<3>(frac);
        }
        text.push(b"Z").write(f)
    }
}

/// Days since the epoch to a proleptic Gregorian date. Written out because this runs for every line of the access log.
/// Source: the usual era arithmetic (400-year cycles of 146,097 days, years starting in March).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Where the time comes from. Injected everywhere, so that tests decide what time it is.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The present instant.
    fn now(&self) -> UnixMillis;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system clock")]
    fn now(&self) -> UnixMillis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixMillis(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// A clock that stands still until told otherwise. Clones share the time.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `at`.
    #[must_use]
    pub fn at(at: UnixMillis) -> Self {
        Self(Arc::new(AtomicI64::new(at.0)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.store(self.now().plus(by).0, Ordering::SeqCst);
    }

    /// Sets the clock, forward or back.
    pub fn set(&self, at: UnixMillis) {
        self.0.store(at.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_print_as_rfc3339() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_614_265_330_000, "2021-02-25T15:02:10Z"),
            (1_709_210_096_007, "2024-02-29T12:34:56.007Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (LAST, "9999-12-31T23:59:59.999Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(UnixMillis(millis).to_string(), text);
        }
    }

    #[test]
    fn printed_instants_read_back() {
        for millis in (-62_167_219_200_000..=LAST).step_by(7_777_777_777_777) {
            let at = UnixMillis(millis);
            assert_eq!(UnixMillis::parse_rfc3339(&at.to_string()), Ok(at));
        }
    }

    #[test]
    fn only_rfc3339_is_read() {
        assert_eq!(UnixMillis::parse_rfc3339("1970-01-01T01:00:00.5+01:00"), Ok(UnixMillis(500)));
        for text in [
            "",
            "now",
            "2026-02-06",
            "2026-02-06 12:00:00Z",
            "2026-02-06T12:00Z",
            "2026-02-30T00:00:00Z",
            "2026-02-06T12:00:60Z",
            "2026-02-06T12:00:00",
        ] {
            assert!(UnixMillis::parse_rfc3339(text).is_err(), "{text}");
        }
    }
}
