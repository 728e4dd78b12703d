//! The admin API: health, messages, dead letters, attempts, publish, changes by operators, backlog views, endpoints, runtime secrets.
//!
//! A [`Table`] is built from a configuration and answers from it; what outlives a reload is in [`State`]. [`AdminApi`] puts a table on a
//! listener. Endpoints are changed by whoever owns the configuration file; this crate asks ([`EndpointChanges`]) and answers.

mod audit;
mod backlog;
mod body;
mod change;
mod endpoint;
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
mod secrets;
mod signals;
mod state;
mod table;

pub use change::{
    EndpointAction, EndpointChange, EndpointChanged, EndpointChanges, EndpointError, EndpointStep, EndpointWork,
};
pub use handle::{AdminApi, handle};
pub use state::State;
pub use table::{BuildError, Generation, Parts, Table};
