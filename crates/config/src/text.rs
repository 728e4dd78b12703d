//! Values as the language writes them, for whatever shows a compiled configuration.

use std::time::Duration;

/// A duration such as `250ms`, `1m30s` or `7d`; zero is `0`.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    const DAY: u128 = 86_400_000_000_000;
    if nanos == 0 {
        return "0".to_owned();
    }
    if nanos.is_multiple_of(DAY) {
        return format!("{}d", nanos / DAY);
    }
    let mut text = String::new();
    let mut rest = nanos;
    for (unit, size) in [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ] {
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back() {
        for text in ["0", "250ms", "1m30s", "7d", "25h", "1us", "1s500ms"] {
            let duration = crate::value::duration(text).unwrap();
            assert_eq!(duration_text(duration), text);
        }
    }
}
