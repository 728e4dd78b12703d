//! The record of one delivery try.

use std::str::FromStr;
use std::sync::Arc;

use crate::{AttemptId, DeadReason, EnvelopeId, Lane, UnixMillis};

/// What a delivery try came to. The numbers are stored; never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// Delivered.
    Acked = 0,
    /// Will be tried again.
    Retry = 1,
    /// Given up.
    Dead = 2,
}

impl AttemptOutcome {
    /// All outcomes, in stored order.
    pub const ALL: [Self; 3] = [Self::Acked, Self::Retry, Self::Dead];

    /// The word used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acked => "acked",
            Self::Retry => "retry",
            Self::Dead => "dead",
        }
    }

    /// The outcome of a stored number.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        usize::try_from(code).ok().and_then(|i| Self::ALL.get(i)).copied()
    }
}

/// A word that names no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an outcome; use acked, retry or dead")]
pub struct NotAnOutcome;

impl FromStr for AttemptOutcome {
    type Err = NotAnOutcome;

    fn from_str(word: &str) -> Result<Self, NotAnOutcome> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word).ok_or(NotAnOutcome)
    }
}

/// One delivery try, as stored and listed.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Given by the store when it is recorded; zero before.
    pub id: AttemptId,
    /// The message.
    pub event_id: EnvelopeId,
    /// Route and target.
    pub lane: Arc<Lane>,
    /// Which try it was, from 1.
    pub attempt: u32,
    /// The target's HTTP status, or what stands for it; `None` when there was no answer.
    pub status_code: Option<u16>,
    /// What went wrong, in words, at most 1,024 bytes; `None` when nothing did.
    pub error: Option<String>,
    /// What it came to.
    pub outcome: AttemptOutcome,
    /// Set when `outcome` is [`AttemptOutcome::Dead`].
    pub dead_reason: Option<DeadReason>,
    /// When it ended.
    pub created_at: UnixMillis,
}
