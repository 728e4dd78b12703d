//! Durations in the form that the answers of trends have: `1h30m0s`, `250ms`.

use std::time::Duration;

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
    fn durations_are_shown_with_hours_minutes_and_seconds() {
        for (millis, shown) in [
            (604_800_000, "168h0m0s"),
            (90_000, "1m30s"),
            (60_000_000, "16h40m0s"),
            (250, "250ms"),
            (1500, "1.5s"),
            (0, "0s"),
        ] {
            assert_eq!(show(Duration::from_millis(millis)), shown);
        }
    }
}
