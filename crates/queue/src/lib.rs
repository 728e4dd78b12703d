//! The queue above its backends.
//!
//! Owns the [`Store`] trait, and all that is the same for every backend: waiting, wake-ups, repeats and the cadence of upkeep
//! ([`Queue`]), a backend in memory ([`MemoryStore`]), the suite that every backend passes ([`conformance`]) and the faults that every
//! backend outlives ([`simulation`]). Knows neither HTTP nor SQL.

pub mod conformance;
pub mod memory;
pub mod queue;
pub mod simulation;
pub mod store;

mod dice;
mod random;

pub use memory::{MemoryBounds, MemoryStore};
pub use queue::{LeaseWish, LeasedBatch, Queue, QueueSettings, SettleError};
pub use store::Store;
