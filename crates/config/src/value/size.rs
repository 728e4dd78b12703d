//! Sizes: `64kb`, `2m`, `1024`.

/// Largest size: 1024gb.
const LARGEST: u64 = 1 << 40;

/// Why text is no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SizeProblem {
    /// It has another form, or is not above zero.
    Form,
    /// It is above 1024gb.
    TooLarge,
}

/// Reads a size in bytes: a whole number above zero and a unit in any case, powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64, SizeProblem> {
    let text = text.to_ascii_lowercase();
    let units = [("kb", 10), ("mb", 20), ("gb", 30), ("k", 10), ("m", 20), ("g", 30), ("b", 0)];
    let (number, shift) =
        units.iter().find_map(|&(unit, shift)| Some((text.strip_suffix(unit)?, shift))).unwrap_or((&text, 0));
    let number: i64 = super::trim(number).parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        std::num::IntErrorKind::PosOverflow => SizeProblem::TooLarge,
        _ => SizeProblem::Form,
    })?;
    let number = u64::try_from(number).ok().filter(|&number| number > 0).ok_or(SizeProblem::Form)?;
    number.checked_mul(1 << shift).filter(|&size| size <= LARGEST).ok_or(SizeProblem::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_and_bounds() {
        for (text, bytes) in
            [("5", 5), ("+5b", 5), ("007", 7), ("1K", 1024), ("2 mb", 2 << 20), ("1gb", 1 << 30), ("1024g", 1 << 40)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "-1", "1.5mb", "1tb", "1kib", "off", "1e3", "mb"] {
            assert_eq!(size(text), Err(SizeProblem::Form), "{text}");
        }
        for text in ["1025gb", "99999999999999999999", "9223372036854775807gb"] {
            assert_eq!(size(text), Err(SizeProblem::TooLarge), "{text}");
        }
    }
}
