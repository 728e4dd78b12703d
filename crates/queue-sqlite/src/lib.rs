//! A `Store` over SQLite.
//!
//! One writer thread owns the only connection that changes the file and commits everything that waits in one transaction, so that
//! concurrent webhooks share an fsync; readers have connections of their own; a third thread copies the log back into the file. Never
//! waits for messages, never decides limits or retention of its own: that is written once, in `hookaido-queue`.

mod checkpoint;
mod counters;
mod failure;
mod lock;
mod mailbox;
mod open;
mod ops;
mod random;
mod read;
mod rows;
mod seqs;
mod store;
mod write;
mod writer;

pub use open::{OpenError, SqliteOptions};
pub use store::SqliteStore;
