//! A `Store` over SQLite: the queue of one node, in one file.
//!
//! [`SqliteStore`] turns every operation into a message for one of its threads and never blocks its caller. Waiting for messages, limits and
//! retention cadence are not its business: they live in `hookaido_queue`.

mod answer;
mod bundle;
mod checkpoint;
mod content;
mod fault;
mod file;
mod inbox;
mod lanes;
mod options;
mod reader;
mod reserve;
mod row;
mod schema;
mod shared;
mod store;
pub mod tool;
mod writer;

#[cfg(test)]
mod tests;

pub use options::{OpenError, SqliteOptions};
pub use store::SqliteStore;
