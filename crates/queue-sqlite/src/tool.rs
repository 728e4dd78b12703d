//! What an operator does to a queue file from the command line: look, check, shrink, copy, take over.
//!
//! Each is one function that blocks its caller and tells how far it is. [`stats`], [`check`] and [`backup`] read beside a running server;
//! [`vacuum`] and [`import`] take the lock of the file for themselves. Nothing here prints, and nothing here serves messages.

mod backup;
mod check;
mod error;
mod import;
mod open;
mod source;
mod stats;
mod vacuum;

#[cfg(test)]
mod tests;

pub use backup::{Backup, backup};
pub use check::{Check, check};
pub use error::ToolError;
pub use import::{Import, Imported, import};
pub use stats::{FileStats, LaneRow, Ready, stats};
pub use vacuum::{Vacuum, vacuum};

/// How far a piece of work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, as a few words for people.
    pub doing: &'static str,
    /// Units done.
    pub done: u64,
    /// Units in all, as far as is known.
    pub total: u64,
    /// What is counted.
    pub unit: Unit,
}

/// What a [`Progress`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of a file.
    Bytes,
    /// Messages and attempts.
    Rows,
}

/// Told now and then how far the work is.
pub type Watch<'w> = &'w mut dyn FnMut(Progress);
