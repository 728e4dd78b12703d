//! Leases that were settled moments ago, so that a worker that lost the answer may settle again.
//!
//! A repeat counts when it is of the same kind (ack after ack; nack or bury after nack or bury) and comes through the same lane. What
//! is remembered is lost with the process, and bounded in number and age.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use hookaido_model::{LaneId, LeaseId, UnixMillis};
use parking_lot::Mutex;

use crate::store::{LeaseLost, Settle, Settled, Settlement};

/// Most leases remembered.
const MOST: usize = 65_536;
/// For how long.
const LONGEST: Duration = Duration::from_secs(600);

/// What was done, as far as repeats are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ack,
    Back,
}

/// One settlement that may be repeated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    lease: LeaseId,
    scope: Option<LaneId>,
    kind: Option<Kind>,
}

impl Mark {
    pub(super) fn of(settle: &Settle) -> Self {
        let kind = match settle.settlement {
            Settlement::Ack => Some(Kind::Ack),
            Settlement::Nack { .. } | Settlement::Bury { .. } => Some(Kind::Back),
            Settlement::Release => None,
        };
        Self { lease: settle.lease, scope: settle.scope, kind }
    }
}

/// The memory.
#[derive(Debug, Default)]
pub(super) struct Repeats(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    known: HashMap<LeaseId, (LaneId, Kind)>,
    order: VecDeque<(UnixMillis, LeaseId)>,
}

impl Repeats {
    /// Remembers what was settled, and turns an unknown lease into a success where this is a repeat.
    pub(super) fn review(&self, marks: &[Mark], outcomes: &mut [Result<Settled, LeaseLost>], now: UnixMillis) {
        let mut memory = self.0.lock();
        memory.forget_until(now.minus(LONGEST));
        for (mark, outcome) in marks.iter().zip(outcomes) {
            let Some(kind) = mark.kind else { continue };
            match outcome {
                Ok(settled) => memory.remember(mark.lease, (settled.lane, kind), now),
                Err(LeaseLost::NotFound) => {
                    let known = memory.known.get(&mark.lease).copied();
                    let same =
                        known.filter(|(lane, was)| *was == kind && mark.scope.is_none_or(|scope| scope == *lane));
                    if let Some((lane, _)) = same {
                        *outcome = Ok(Settled { lane, died: false });
                    }
                }
                Err(LeaseLost::Expired | LeaseLost::Foreign) => {}
            }
        }
    }

    /// Forgets what is too old to count, so that an idle queue keeps nothing.
    pub(super) fn forget(&self, now: UnixMillis) {
        self.0.lock().forget_until(now.minus(LONGEST));
    }
}

impl Memory {
    fn remember(&mut self, lease: LeaseId, what: (LaneId, Kind), now: UnixMillis) {
        if self.order.len() >= MOST
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        if self.known.insert(lease, what).is_none() {
            self.order.push_back((now, lease));
        }
    }

    fn forget_until(&mut self, until: UnixMillis) {
        while let Some((at, lease)) = self.order.front() {
            if *at > until {
                break;
            }
            self.known.remove(lease);
            self.order.pop_front();
        }
        if self.order.is_empty() && self.known.capacity() > 1024 {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests;
