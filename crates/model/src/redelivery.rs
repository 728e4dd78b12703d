//! What becomes of a message whose lease ended without an ack: the decision, as one pure function.
//!
//! Every store asks [`after_lease`] in the transaction that ends the lease, and the comparison with the reference checks that it did.

use std::time::Duration;

use crate::{DeadReason, Move, UnixMillis};

/// Delays that grow: `base * 2^(n-1)` after the n-th time, at most `cap`, varied by `jitter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// Delay after the first time; doubles with each further one.
    pub base: Duration,
    /// Upper bound of the delay, before it is varied.
    pub cap: Duration,
    /// Share of the delay by which it may vary to either side, 0 to 1.
    pub jitter: f64,
}

impl Backoff {
    /// The delay after the `n`-th time, from 1. `chance` is a random number from -1 to 1; zero varies nothing.
    #[must_use]
    pub fn delay(&self, n: u32, chance: f64) -> Duration {
        let doubled = 1u32.checked_shl(n.saturating_sub(1)).map_or(self.cap, |factor| self.base.saturating_mul(factor));
        let share = 1.0 + self.jitter.clamp(0.0, 1.0) * chance.clamp(-1.0, 1.0);
        Duration::try_from_secs_f64(doubled.min(self.cap).as_secs_f64() * share).unwrap_or(self.cap)
    }
}

/// How messages of a lane come again when workers do not finish them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Redelivery {
    /// A message that was leased this often and not acknowledged is dead; `None` for no bound.
    pub max_receives: Option<u32>,
    /// When a message is ready again for which nobody asked for a time; `None` for at once.
    pub backoff: Option<Backoff>,
}

/// A lease that ended without an ack.
#[derive(Clone, Copy, Debug)]
pub struct LeaseEnd<'a> {
    /// How often the message has been leased, this time included.
    pub receives: u32,
    /// When it shall be ready again, if the worker said so.
    pub ready_at: Option<UnixMillis>,
    /// Why the worker, or the last one that said why, gave it back.
    pub reason: Option<&'a DeadReason>,
    /// Token of the lease. It is over and was random, so it decides by chance how a delay is varied.
    pub token: u64,
    /// The present.
    pub now: UnixMillis,
}

/// What becomes of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comeback {
    /// Back into the queue.
    Queued {
        /// Earliest next lease.
        ready_at: UnixMillis,
    },
    /// To the dead letters.
    Dead {
        /// Why.
        reason: DeadReason,
    },
}

impl Comeback {
    /// The move of the state machine that it is.
    #[must_use]
    pub fn step(&self) -> Move {
        match self {
            Self::Queued { .. } => Move::Release,
            Self::Dead { .. } => Move::Bury,
        }
    }
}

/// Decides what follows when a lease was given back or ran out. A worker's own delay counts as it is; the rule's cap does not bound it.
#[must_use]
pub fn after_lease(end: LeaseEnd<'_>, rule: &Redelivery) -> Comeback {
    if rule.max_receives.is_some_and(|most| end.receives >= most) {
        return Comeback::Dead { reason: DeadReason::max_receives(end.reason) };
    }
    let backoff = || rule.backoff.map_or(Duration::ZERO, |backoff| backoff.delay(end.receives, chance(end.token)));
    Comeback::Queued { ready_at: end.ready_at.unwrap_or_else(|| end.now.plus(backoff())) }
}

/// A random number from -1 to 1 made of random bits.
fn chance(bits: u64) -> f64 {
    let high = u32::try_from(bits >> 32).unwrap_or(u32::MAX);
    f64::from(high) / f64::from(u32::MAX) * 2.0 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);
    const BACKOFF: Backoff = Backoff { base: Duration::from_millis(40), cap: Duration::from_millis(150), jitter: 0.5 };
    /// Varies nothing.
    const MIDDLE: u64 = 1 << 63;

    fn end(receives: u32) -> LeaseEnd<'static> {
        LeaseEnd { receives, ready_at: None, reason: None, token: MIDDLE, now: NOW }
    }

    fn delay(end: LeaseEnd<'_>, rule: &Redelivery) -> Option<i64> {
        match after_lease(end, rule) {
            Comeback::Queued { ready_at } => Some(ready_at.0 - NOW.0),
            Comeback::Dead { .. } => None,
        }
    }

    #[test]
    fn without_a_rule_a_message_comes_back_at_once_for_ever() {
        for receives in [1, 2, 1000, u32::MAX] {
            assert_eq!(delay(end(receives), &Redelivery::default()), Some(0));
        }
    }

    #[test]
    fn delays_double_up_to_the_cap() {
        let rule = Redelivery { backoff: Some(BACKOFF), max_receives: None };
        let delays = [1, 2, 3, 33, u32::MAX].map(|receives| delay(end(receives), &rule));
        assert_eq!(delays, [Some(40), Some(80), Some(150), Some(150), Some(150)]);
        let varied = [0, u64::MAX].map(|token| delay(LeaseEnd { token, ..end(1) }, &rule));
        assert_eq!(varied, [Some(20), Some(60)]);
    }

    #[test]
    fn what_the_worker_asks_for_counts() {
        let rule = Redelivery { backoff: Some(BACKOFF), max_receives: None };
        for wish in [0, 7, 5_000_000] {
            let end = LeaseEnd { ready_at: Some(UnixMillis(NOW.0 + wish)), ..end(3) };
            assert_eq!(delay(end, &rule), Some(wish));
        }
    }

    #[test]
    fn the_last_receive_is_the_end() {
        let rule = Redelivery { max_receives: Some(3), backoff: Some(BACKOFF) };
        assert_eq!([1, 2].map(|receives| delay(end(receives), &rule)), [Some(40), Some(80)]);
        let reason = DeadReason("no database".into());
        for (reason, want) in [(None, "max_receives"), (Some(&reason), "max_receives: no database")] {
            // more than the limit: it was lowered meanwhile
            for receives in [3, 4] {
                let end = LeaseEnd { reason, ready_at: Some(NOW), ..end(receives) };
                let Comeback::Dead { reason } = after_lease(end, &rule) else { panic!("it is dead") };
                assert_eq!(reason.as_str(), want);
            }
        }
    }

    #[test]
    fn the_moves_are_those_of_the_state_machine() {
        let queued = Comeback::Queued { ready_at: NOW };
        let dead = Comeback::Dead { reason: DeadReason::max_receives(None) };
        let after = [queued, dead].map(|comeback| crate::State::Leased.after(comeback.step()));
        assert_eq!(after, [Some(crate::State::Queued), Some(crate::State::Dead)]);
    }
}
