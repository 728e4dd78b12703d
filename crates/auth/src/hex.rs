//! Hex digits of 32-byte digests, without allocation.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The digest in lower-case hex.
pub(crate) fn encode(digest: &[u8; 32]) -> [u8; 64] {
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
        for (digit, value) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
        }
    }
    text
}

/// Exactly 64 hex digits in either case.
pub(crate) fn decode(text: &[u8]) -> Option<[u8; 32]> {
    let text: &[u8; 64] = text.try_into().ok()?;
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | value(*digit)?;
        }
    }
    Some(digest)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_in_either_case() {
        let digest: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 8 + 7).unwrap());
        let text = encode(&digest);
        assert_eq!(decode(&text), Some(digest));
        assert_eq!(decode(&text.to_ascii_uppercase()), Some(digest));
    }

    #[test]
    fn only_64_digits_decode() {
        for bad in ["", "ab", "zz", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64)] {
            assert_eq!(decode(bad.as_bytes()), None);
        }
    }
}
