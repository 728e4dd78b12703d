//! Random numbers from the system, fetched a page at a time.

/// Numbers fetched at once.
const NUMBERS: usize = 256;

/// Unpredictable numbers for ids and lease tokens.
#[derive(Default)]
pub(crate) struct Random {
    numbers: Vec<u64>,
}

impl Random {
    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        if let Some(number) = self.numbers.pop() {
            return number;
        }
        let mut bytes = [0; NUMBERS * 8];
        if getrandom::fill(&mut bytes).is_err() {
            // The system's source does not fail once it worked; the keys of hashers come from it too.
            use std::hash::{BuildHasher, Hasher};
            return std::collections::hash_map::RandomState::new().build_hasher().finish();
        }
        let (chunks, _) = bytes.as_chunks::<8>();
        self.numbers.extend(chunks.iter().map(|chunk| u64::from_ne_bytes(*chunk)));
        self.numbers.pop().unwrap_or_default()
    }
}

impl std::fmt::Debug for Random {
    /// What comes next is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random")
    }
}
