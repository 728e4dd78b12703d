//! Random numbers from the system, fetched a page at a time.

use std::fmt;

/// Numbers fetched at once.
const NUMBERS: usize = 512;

/// Unpredictable numbers for ids and lease tokens.
#[derive(Default)]
pub(super) struct Random {
    numbers: Vec<u64>,
}

impl fmt::Debug for Random {
    /// They become credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Random").finish_non_exhaustive()
    }
}

impl Random {
    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        if let Some(number) = self.numbers.pop() {
            return number;
        }
        let mut bytes = [0; NUMBERS * 8];
        if getrandom::fill(&mut bytes).is_err() {
            // Not seen once the system's source works; the keys of the standard hasher come from there, too.
            use std::hash::{BuildHasher, Hasher};
            return std::collections::hash_map::RandomState::new().build_hasher().finish();
        }
        let (chunks, _rest) = bytes.as_chunks::<8>();
        self.numbers.extend(chunks.iter().map(|chunk| u64::from_ne_bytes(*chunk)));
        self.numbers.pop().unwrap_or_default()
    }
}
