//! The queue above its backends.
//!
//! Owns the [`Store`](store::Store) trait, and all that is the same for every backend: waiting, limits, upkeep, repeats. Called by the
//! services; knows neither HTTP nor SQL.

mod batch;
mod carry;
pub mod memory;
mod queue;
mod repeats;
pub mod store;
mod upkeep;
mod wait;

pub use batch::LeasedBatch;
pub use memory::MemoryStore;
pub use queue::{LeaseWish, Queue, QueueSettings, SettleError};
