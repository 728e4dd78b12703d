//! What every backend must do, as one suite that each of them runs.
//!
//! [`run_all`] plays every case on a store of its own, then random operations beside a [`ReferenceStore`] too simple to be wrong;
//! durable stores are closed and opened again on the way. A backend's tests bring a [`Place`]; nothing here knows which one it is.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test suite: what it does not expect is a failure of the store"
)]

mod bench;
mod cases;
pub mod ops;
pub mod reference;
mod world;

use std::sync::Arc;

pub use ops::{Op, random_ops};
pub use reference::ReferenceStore;
pub use world::trace;

use crate::Store;
use bench::Bench;

/// Where a store lives: an empty one at first. Opened again after a close, it must hold what it held, if it is durable.
pub trait Place: Send + Sync {
    /// Opens the store.
    fn open(&self) -> Arc<dyn Store>;
    /// Whether what was stored is there again after a close.
    fn durable(&self) -> bool {
        false
    }
}

/// Random sequences that [`run_all`] plays.
const SEEDS: u64 = 24;
/// Operations in each.
const OPERATIONS: usize = 120;

/// Everything: every case on a new place, and random operations on some more.
///
/// ```
/// # use std::sync::Arc;
/// # use hookaido_queue::{MemoryStore, Store, conformance::{Place, run_all}};
/// struct InMemory;
///
/// impl Place for InMemory {
///     fn open(&self) -> Arc<dyn Store> {
///         Arc::new(MemoryStore::new())
///     }
/// }
///
/// async fn the_store_conforms() {
///     run_all(&|| Box::new(InMemory)).await;
/// }
/// ```
///
/// # Panics
/// When the store does not conform.
pub async fn run_all(new_place: &(dyn Fn() -> Box<dyn Place> + Sync)) {
    for case in cases::all() {
        let bench = Bench::new(new_place()).await;
        case(bench).await;
    }
    for seed in 0..SEEDS {
        compare(&*new_place(), seed, OPERATIONS).await;
    }
}

/// Plays the same random operations on a new store and on the reference; a durable one is reopened on the way.
///
/// # Panics
/// At the first operation whose outcome differs.
pub async fn compare(place: &dyn Place, seed: u64, count: usize) {
    let ops = random_ops(seed, count);
    let expected = trace(&ReferencePlace::default(), &ops).await;
    let found = trace(place, &ops).await;
    for (n, (op, (expected, found))) in ops.iter().zip(expected.iter().zip(&found)).enumerate() {
        assert_eq!(expected, found, "seed {seed}, operation {n}: {op:?}\n(left: reference, right: store)");
    }
    assert_eq!(expected.len(), found.len());
}

/// Plays given operations on two places and compares every outcome, such as memory and a file.
///
/// # Panics
/// At the first operation whose outcome differs.
pub async fn compare_places(one: &dyn Place, other: &dyn Place, ops: &[Op]) {
    let (one, other) = (trace(one, ops).await, trace(other, ops).await);
    for (n, (op, (one, other))) in ops.iter().zip(one.iter().zip(&other)).enumerate() {
        assert_eq!(one, other, "operation {n}: {op:?}");
    }
}

/// The reference, which stays what it is when it is opened again.
#[derive(Debug, Default)]
struct ReferencePlace(ReferenceStore);

impl Place for ReferencePlace {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

#[cfg(test)]
mod tests;
