//! Ending leases, recording attempts, and what operators do.

use hookaido_model::{Attempt, AttemptId, Move, Seq, State, UnixMillis};

use super::core::{Core, Effects, Stand};
use crate::store::{LeaseLost, Settle, SettleBatch, Settled, Settlement, Step, Transition, Transitioned};

impl Core {
    pub(super) fn settle(&mut self, op: SettleBatch, effects: &mut Effects) -> Vec<Result<Settled, LeaseLost>> {
        let SettleBatch { settles, attempts, keep_delivered, now } = op;
        let outcomes =
            settles.into_iter().map(|settle| self.settle_one(settle, keep_delivered, now, effects)).collect();
        for attempt in attempts {
            self.record(attempt);
        }
        outcomes
    }

    fn settle_one(
        &mut self,
        settle: Settle,
        keep_delivered: bool,
        now: UnixMillis,
        effects: &mut Effects,
    ) -> Result<Settled, LeaseLost> {
        let seq = settle.lease.seq;
        let (lane, _) = self.lease_of(settle.lease, settle.scope, now)?;
        if settle.settlement == Settlement::Ack && !keep_delivered {
            self.remove(seq);
            return Ok(Settled { lane });
        }
        let Some(mut message) = self.take(seq) else { return Err(LeaseLost::NotFound) };
        let (step, stand) = match settle.settlement {
            Settlement::Ack => (Move::Ack, Stand::Delivered { at: now }),
            Settlement::Nack { ready_at } => {
                message.next_run_at = ready_at;
                (Move::Release, Stand::Queued)
            }
            Settlement::Release => {
                // It was never really taken: it keeps its place in line.
                message.attempt = message.attempt.saturating_sub(1);
                (Move::Release, Stand::Queued)
            }
            Settlement::Bury { reason } => (Move::Bury, Stand::Dead { at: now, reason }),
        };
        debug_assert_eq!(message.stand.state().after(step), Some(stand.state()));
        if stand.state() == State::Queued {
            effects.ready(lane, message.next_run_at);
        }
        message.stand = stand;
        self.put(seq, message);
        Ok(Settled { lane })
    }

    fn record(&mut self, mut attempt: Attempt) {
        self.last_attempt += 1;
        attempt.id = AttemptId(self.last_attempt);
        self.attempts_of.entry(attempt.event_id.clone()).or_default().insert(attempt.id.0);
        self.attempts.insert(attempt.id.0, attempt);
    }

    pub(super) fn transition(&mut self, op: &Transition, effects: &mut Effects) -> Transitioned {
        let mut done = Transitioned::default();
        for id in &op.ids {
            if let Some(seq) = self.seq_of(id)
                && self.step(seq, op, effects)
            {
                done.changed.push(id.clone());
            }
        }
        done
    }

    fn step(&mut self, seq: Seq, op: &Transition, effects: &mut Effects) -> bool {
        let Some(state) = self.messages.get(&seq).map(|message| message.stand.state()) else { return false };
        if !op.only.is_empty() && !op.only.contains(&state) {
            return false;
        }
        let step = match op.step {
            Step::Delete => {
                self.remove(seq);
                return true;
            }
            Step::Move(step @ (Move::Cancel | Move::Requeue | Move::Resume)) => step,
            Step::Move(_) => return false,
        };
        let Some(to) = state.after(step) else { return false };
        let Some(mut message) = self.take(seq) else { return false };
        if to == State::Queued {
            message.stand = Stand::Queued;
            message.next_run_at = op.now;
            message.attempt = 0;
            effects.ready(message.lane, op.now);
        } else {
            message.stand = Stand::Canceled { at: op.now };
        }
        self.put(seq, message);
        true
    }
}
