//! Whole numbers and fractions.

/// A whole number with an optional sign.
pub(crate) fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A decimal number, perhaps with an exponent, or `inf` or `nan`. `_` may stand between digits.
pub(crate) fn number(text: &str) -> Option<f64> {
    let digits = text.as_bytes();
    let between_digits = |at: usize| {
        let digit = |at: Option<usize>| at.and_then(|at| digits.get(at)).is_some_and(u8::is_ascii_digit);
        digit(at.checked_sub(1)) && digit(at.checked_add(1))
    };
    if digits.iter().enumerate().any(|(at, &byte)| byte == b'_' && !between_digits(at)) {
        return None;
    }
    let number: f64 = text.replace('_', "").parse().ok()?;
    let infinite = text.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
    (number.is_finite() || number.is_nan() || infinite).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_the_reference_reads_them() {
        for (text, want) in [("5", 5.0), ("+5", 5.0), ("1.5", 1.5), ("1e3", 1000.0), ("1_000", 1000.0), (".5", 0.5)] {
            assert_eq!(number(text), Some(want), "{text}");
        }
        assert_eq!(number("inf"), Some(f64::INFINITY));
        assert!(number("nan").is_some_and(f64::is_nan));
        for text in ["", "abc", "1_", "_1", "1__0", "1e400", "0x10", "1,5"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!((integer("+5"), integer("007"), integer("1e3"), integer("1_0")), (Some(5), Some(7), None, None));
    }
}
