//! Lease operations for workers, over HTTP/JSON and server-sent events.
//!
//! [`Table`] is the compiled form of the pulled routes, one for each configuration. [`ops`] holds the operations free of any transport;
//! the HTTP and stream fronts only read requests and write answers. Never keeps a lease for a worker that is gone.

mod encode;
mod error;
mod handle;
pub mod ops;
mod request;
mod stream;
mod table;

pub use error::PullError;
pub use handle::{PullApi, handle};
pub use table::{BuildError, Endpoint, Parts, Table};
