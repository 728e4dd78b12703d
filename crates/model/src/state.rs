//! The state machine of a message, as one pure function.
//!
//! Every store asks [`State::after`] or asserts that what it did agrees with it.
//!
//! ```text
//!            lease            ack
//!   Queued --------> Leased --------> Delivered
//!     ^ ^              | |
//!     | +- release ----+ +-- bury --> Dead --+
//!     |    nack, expire       cancel |       | cancel
//!     +------ requeue -- Canceled <--+-------+
//! ```

use std::fmt;
use std::str::FromStr;

/// Where a message stands. The numbers are stored; never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Waits for a worker or for its time.
    Queued = 0,
    /// A worker holds it until its lease ends.
    Leased = 1,
    /// Acknowledged; kept only where `delivered_retention` says so.
    Delivered = 2,
    /// In the dead-letter queue.
    Dead = 3,
    /// Taken out by an operator.
    Canceled = 4,
}

/// What may happen to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// A worker takes it.
    Lease,
    /// The worker is done with it.
    Ack,
    /// The worker gives it back, or its lease ran out, or the taker went away.
    Release,
    /// The worker, the retry policy or `max_receives` gives it up.
    Bury,
    /// An operator takes it out.
    Cancel,
    /// An operator puts it back, from the dead letters or after a cancel.
    Requeue,
    /// An operator puts it back after a cancel.
    Resume,
}

impl State {
    /// All states, in stored order.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Leased, Self::Delivered, Self::Dead, Self::Canceled];

    /// The state after `step`, or `None` where the step is not allowed.
    #[must_use]
    pub fn after(self, step: Move) -> Option<Self> {
        match (self, step) {
            (Self::Queued, Move::Lease) => Some(Self::Leased),
            (Self::Leased, Move::Ack) => Some(Self::Delivered),
            (Self::Leased, Move::Release)
            | (Self::Dead | Self::Canceled, Move::Requeue)
            | (Self::Canceled, Move::Resume) => Some(Self::Queued),
            (Self::Leased, Move::Bury) => Some(Self::Dead),
            (Self::Queued | Self::Leased | Self::Dead, Move::Cancel) => Some(Self::Canceled),
            _ => None,
        }
    }

    /// The word used in JSON, metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Canceled => "canceled",
        }
    }

    /// The stored number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The state of a stored number.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        usize::try_from(code).ok().and_then(|i| Self::ALL.get(i)).copied()
    }

    /// Whether the state counts towards `queue_limits.max_depth`.
    #[must_use]
    pub fn counts_as_depth(self) -> bool {
        matches!(self, Self::Queued | Self::Leased)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a state; use queued, leased, delivered, dead or canceled")]
pub struct NotAState;

impl FromStr for State {
    type Err = NotAState;

    fn from_str(word: &str) -> Result<Self, NotAState> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or(NotAState)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Move::{Ack, Bury, Cancel, Lease, Release, Requeue, Resume};
    use State::{Canceled, Dead, Delivered, Leased, Queued};

    #[test]
    fn only_the_drawn_moves_are_legal() {
        let legal = [
            (Queued, Lease, Leased),
            (Leased, Ack, Delivered),
            (Leased, Release, Queued),
            (Leased, Bury, Dead),
            (Queued, Cancel, Canceled),
            (Leased, Cancel, Canceled),
            (Dead, Cancel, Canceled),
            (Dead, Requeue, Queued),
            (Canceled, Requeue, Queued),
            (Canceled, Resume, Queued),
        ];
        for state in State::ALL {
            for step in [Lease, Ack, Release, Bury, Cancel, Requeue, Resume] {
                let want = legal.iter().find(|(from, by, _)| (*from, *by) == (state, step)).map(|(_, _, to)| *to);
                assert_eq!(state.after(step), want, "{state:?} {step:?}");
            }
        }
        assert_eq!(Delivered.after(Requeue), None);
    }

    #[test]
    fn codes_and_words_read_back() {
        for state in State::ALL {
            assert_eq!(State::from_code(i64::from(state.code())), Some(state));
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert_eq!(State::from_code(5), None);
        assert_eq!(State::from_code(-1), None);
    }
}
