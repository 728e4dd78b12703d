//! The admin API: health, messages, dead letters, attempts, publish, changes by operators, backlog views.
//!
//! A [`Table`] is built from a configuration and answers from it; what outlives a reload is in [`State`]. [`AdminApi`] puts a table on a
//! listener.

mod audit;
mod backlog;
mod body;
mod error;
mod filter;
mod go_duration;
mod handle;
mod health;
mod ids;
mod json;
mod list;
mod model;
mod publish;
mod query;
mod router;
mod signals;
mod state;
mod table;

pub use handle::{AdminApi, handle};
pub use state::State;
pub use table::{BuildError, Generation, Parts, Table};
