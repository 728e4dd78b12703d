//! The only place that reads the wall clock or puts a thread to sleep.
//!
//! Scenarios ask for pauses by name, and what cannot be waited for as an event (a listener of another process, a log
//! line) is polled with a bound. Everything else waits on sockets, channels and condition variables.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often something in another process is looked at again.
pub const POLL: Duration = Duration::from_millis(20);

/// Pauses this thread.
#[expect(clippy::disallowed_methods, reason = "the pauses that scenarios ask for, and the bounded polls below")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Time since 1970.
#[expect(clippy::disallowed_methods, reason = "requests are signed with the real time, as a provider would")]
pub fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Seconds since 1970.
pub fn unix_now() -> i64 {
    i64::try_from(since_epoch().as_secs()).unwrap_or(i64::MAX)
}

/// Asks again every `every` until there is an answer or `within` has passed; asks at least once.
pub fn poll<T>(within: Duration, every: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + within;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > end {
            return None;
        }
        pause(every);
    }
}

/// Looks again every `every` until no differences are left or `within` has passed; yields the last ones.
pub fn settle<T, E>(
    within: Duration,
    every: Duration,
    mut look: impl FnMut() -> Result<(Vec<String>, T), E>,
) -> Result<(Vec<String>, T), E> {
    let end = Instant::now() + within;
    loop {
        let (diffs, seen) = look()?;
        if diffs.is_empty() || Instant::now() > end {
            return Ok((diffs, seen));
        }
        pause(every);
    }
}

/// Whole milliseconds since `start`.
pub fn millis_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970 as `2026-01-31T23:59:59Z`.
pub fn rfc3339(unix_secs: i64) -> String {
    let (days, rest) = (unix_secs.div_euclid(86_400), unix_secs.rem_euclid(86_400));
    // Days to a civil date (Howard Hinnant's algorithm, eras of 400 years that start on 1 March).
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn seconds_become_dates() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(secs), text);
        }
    }
}
