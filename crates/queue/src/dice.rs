//! Reproducible numbers (`SplitMix64`) for random tests: the same for a seed on every machine.

/// Numbers.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The numbers of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// Below `n`, as an index.
    pub(crate) fn index(&mut self, n: u64) -> usize {
        usize::try_from(self.below(n)).unwrap_or(0)
    }

    /// Below `n`, which is small.
    pub(crate) fn small(&mut self, n: u64) -> u32 {
        u32::try_from(self.below(n)).unwrap_or(0)
    }

    /// True so often in a hundred.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A value so often in a hundred.
    pub(crate) fn maybe<T>(&mut self, percent: u64, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.chance(percent) { Some(value(self)) } else { None }
    }

    /// Up to `most` values.
    pub(crate) fn several<T>(&mut self, most: u64, mut value: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| value(self)).collect()
    }

    /// A number to be taken modulo a count that is not known yet.
    pub(crate) fn pick(&mut self) -> usize {
        self.index(1 << 20)
    }
}
