//! How much may wait, how long it is kept, how fast it may come.

use std::time::Duration;

/// `queue_limits { ... }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Most messages queued or leased at a time; `None` for no bound.
    pub max_depth: Option<u64>,
    /// What happens to the next one.
    pub drop_policy: DropPolicy,
}

/// What happens when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DropPolicy {
    /// The new message is refused.
    #[default]
    Reject,
    /// The oldest queued message makes room; leased ones never do.
    DropOldest,
}

/// The four retention blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retentions {
    /// `queue_retention`: messages still queued.
    pub queued: Retention,
    /// `delivered_retention`: acknowledged messages. Off means they are removed at once.
    pub delivered: Retention,
    /// `dlq_retention`: dead letters.
    pub dead: Retention,
    /// `attempts_retention`: records of deliveries.
    pub attempts: Retention,
    /// Time between two prunings.
    pub prune_interval: Duration,
}

/// One retention block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Whether the block keeps or prunes anything at all (`off` turns it off).
    pub enabled: bool,
    /// Older ones are removed; `None` for no bound.
    pub max_age: Option<Duration>,
    /// More than this many are removed, oldest first; `None` for no bound.
    pub max_rows: Option<u64>,
}

/// `rate_limit { ... }`: a token bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// Tokens a second; greater than zero.
    pub rps: f64,
    /// Size of the bucket; at least 1.
    pub burst: u32,
}
