//! The vocabulary of hookaido: what an envelope is, how its state may move, when a delivery is retried, and what a
//! compiled configuration says.
//!
//! Everything here is data and pure functions. This crate does no I/O (the system clock is the one exception, behind
//! [`Clock`]) and knows neither tokio nor HTTP, SQL or the configuration language.

pub mod attempt;
pub mod config;
pub mod content;
pub mod duration;
pub mod envelope;
pub mod id;
pub mod network;
pub mod redelivery;
pub mod retry;
pub mod secret;
mod stack;
pub mod state;
pub mod time;

pub use attempt::{Attempt, AttemptOutcome};
pub use config::Config;
pub use content::{Content, JsonMap, JsonMapError};
pub use duration::Span;
pub use envelope::{DeadReason, Envelope, Lane, LaneId, PULL_TARGET};
pub use id::{AttemptId, EnvelopeId, LeaseId, Seq};
pub use network::Networks;
pub use redelivery::{Backoff, Comeback, LeaseEnd, Redelivery, after_lease};
pub use retry::{Outcome, RetryPolicy, Verdict, decide};
pub use secret::SecretRef;
pub use state::{Move, State};
pub use time::{Clock, ManualClock, SystemClock, UnixMillis};
