//! Listeners: bind, TLS, accept loop with limits, drain, prefix mux, access log, error body.
//!
//! Knows nothing of what is served: a service implements [`Handler`], a [`PrefixMux`] puts services on one listener, and [`serve`] runs
//! it. Everything a peer can make grow has a bound here: connections, request heads, bodies, time without progress.

pub mod bind;
pub mod body;
mod conn;
pub mod forwarded;
pub mod front;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod guard;
pub mod identity;
pub mod json;
pub mod mux;
pub mod path;
pub mod peer;
pub mod problem;
mod proxy;
pub mod read;
pub mod serve;
mod service;
pub mod tls;

pub use bind::{BindError, BoundListener, bind};
pub use body::{Body, BoxError, RequestBody};
pub use forwarded::TrustedProxies;
pub use front::Front;
pub use identity::{AltName, Identity};
pub use mux::{Handler, PrefixMux, Reply};
pub use path::clean_path;
pub use peer::{ClientCert, Peer, TlsPeer};
pub use problem::Problem;
pub use read::{BodyError, ByteBudget, read_body};
pub use serve::{Drain, Drained, ListenerLimits, ListenerOptions, Protocol, serve};
pub use tls::{ServerTls, TlsError};

/// A request as services see it.
pub type Request = http::Request<RequestBody>;
/// An answer.
pub type Response = http::Response<Body>;
