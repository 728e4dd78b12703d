//! One stored message and the lane it travels in.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::{Content, EnvelopeId, LeaseId, State, UnixMillis};

/// The target of every message that workers pull.
pub const PULL_TARGET: &str = "pull";

/// Number under which a store knows a lane. Stable for the life of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub u32);

/// A pair of route and target: the unit that is leased from, counted and woken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The store's number.
    pub id: LaneId,
    /// Ingress path of the route; also the queue's name.
    pub route: Arc<str>,
    /// [`PULL_TARGET`], a URL, or `exec:COMMAND`.
    pub target: Arc<str>,
}

/// One stored message as lists and workers see it.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Its name.
    pub id: EnvelopeId,
    /// Route and target.
    pub lane: Arc<Lane>,
    /// Where it stands.
    pub state: State,
    /// When it was accepted, or what the publisher said.
    pub received_at: UnixMillis,
    /// Earliest instant at which it may be leased.
    pub next_run_at: UnixMillis,
    /// How often it has been leased.
    pub attempt: u32,
    /// The current lease; `None` unless leased.
    pub lease: Option<LeaseId>,
    /// End of the current lease; `None` unless leased.
    pub lease_until: Option<UnixMillis>,
    /// Why it is dead; `None` unless dead, or when nobody said.
    pub dead_reason: Option<DeadReason>,
    /// Body, headers, trace. `None` where a list did not ask for them.
    pub content: Option<Arc<Content>>,
}

/// Why a message is dead. The constants are ours; workers give their own text.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadReason(pub Cow<'static, str>);

impl DeadReason {
    /// The retry policy has no attempt left.
    pub const MAX_RETRIES: Self = Self(Cow::Borrowed("max_retries"));
    /// The target's answer is final.
    pub const NO_RETRY: Self = Self(Cow::Borrowed("no_retry"));
    /// The egress policy forbids the target.
    pub const POLICY_DENIED: Self = Self(Cow::Borrowed("policy_denied"));
    /// Workers took it as often as the route allows, and none acknowledged it.
    pub const MAX_RECEIVES: Self = Self(Cow::Borrowed("max_receives"));

    /// [`Self::MAX_RECEIVES`], with what the last worker said that gave it back.
    #[must_use]
    pub fn max_receives(said: Option<&Self>) -> Self {
        said.filter(|said| !said.as_str().is_empty()).map_or(Self::MAX_RECEIVES, |said| {
            Self(format!("{}: {}", Self::MAX_RECEIVES.as_str(), said.as_str()).into())
        })
    }

    /// The text as stored and shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
