//! What can be asked of a store without changing it.

use std::sync::Arc;

use hookaido_model::{AttemptOutcome, EnvelopeId, Lane, State, UnixMillis};

/// Which messages to list.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// Only these; all others conditions hold too.
    pub ids: Option<Vec<EnvelopeId>>,
    /// Exact route.
    pub route: Option<Arc<str>>,
    /// Exact target.
    pub target: Option<Arc<str>>,
    /// Any of these; empty for all.
    pub states: Vec<State>,
    /// Received strictly before.
    pub before: Option<UnixMillis>,
    /// The oldest first instead of the newest first; by time of receipt, then in order of arrival.
    pub oldest_first: bool,
    /// At most this many.
    pub limit: u32,
    /// With body, headers and trace.
    pub content: bool,
}

/// Which attempts to list.
#[derive(Clone, Debug, Default)]
pub struct AttemptQuery {
    /// Of this message.
    pub event_id: Option<EnvelopeId>,
    /// Exact route.
    pub route: Option<Arc<str>>,
    /// Exact target.
    pub target: Option<Arc<str>>,
    /// With this outcome.
    pub outcome: Option<AttemptOutcome>,
    /// Made strictly before.
    pub before: Option<UnixMillis>,
    /// At most this many.
    pub limit: u32,
}

/// Counts and ages.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Every lane that was ever used, in order of its id.
    pub lanes: Vec<LaneStats>,
}

/// Counts and ages of a lane.
#[derive(Clone, Debug)]
pub struct LaneStats {
    /// Which.
    pub lane: Arc<Lane>,
    /// Messages by [`State::code`].
    pub counts: [u64; 5],
    /// Receipt of the oldest queued message.
    pub oldest_queued_received_at: Option<UnixMillis>,
    /// The earliest time at which a queued message is ready.
    pub earliest_queued_next_run_at: Option<UnixMillis>,
}
