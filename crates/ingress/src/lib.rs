//! Match, limit, authenticate, enqueue, acknowledge.
//!
//! A [`Table`] is the compiled form of the routes that ingress serves, one for each configuration; [`handle`] answers a request from it.
//! What must outlive a reload (balances of rate limits, used nonces) is in [`State`]. Never answers 202 before the queue has stored the
//! message, and never lets a route without its authentication into a table.

mod error;
mod forward;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod handle;
mod headers;
mod limit;
mod matcher;
mod paths;
mod pressure;
mod query;
mod router;
mod state;
mod table;

pub use forward::{AuthCaller, AuthCallers, CallAnswer, CallError, CallRequest, Calling};
pub use handle::{Ingress, handle};
pub use state::State;
pub use table::{BuildError, Parts, Table};
