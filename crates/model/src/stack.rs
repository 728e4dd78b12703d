//! Short ASCII text on the stack, for the `Display` of what is written with every message: `std::fmt` pads number by number, which
//! costs more than all the rest of an answer.

use std::fmt;

/// At most `N` bytes; more are cut off.
pub(crate) struct Stack<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Stack<N> {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    pub(crate) fn push(&mut self, text: &[u8]) -> &mut Self {
        if let Some(room) = self.bytes.get_mut(self.len..self.len + text.len()) {
            room.copy_from_slice(text);
            self.len += text.len();
        }
        self
    }

    /// The last `D` decimal digits.
    pub(crate) fn decimal<const D: usize>(&mut self, mut number: u64) -> &mut Self {
        let mut digits = [b'0'; D];
        for digit in digits.iter_mut().rev() {
            *digit += u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
        }
        self.push(&digits)
    }

    /// 16 hexadecimal digits.
    pub(crate) fn hex(&mut self, number: u64) -> &mut Self {
        let mut digits = [0; 16];
        for (digit, nibble) in digits.iter_mut().zip((0..64).step_by(4).rev()) {
            let value = u8::try_from((number >> nibble) & 0xf).unwrap_or(0);
            *digit = if value < 10 { b'0' + value } else { b'a' - 10 + value };
        }
        self.push(&digits)
    }

    /// Hands the text on as a whole.
    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        f.write_str(std::str::from_utf8(bytes).map_err(|_not_ascii| fmt::Error)?)
    }
}
