//! Retention.

use hookaido_model::config::Retention;
use hookaido_model::{Seq, State, UnixMillis};

use super::core::Core;
use crate::store::{Prune, Pruned};

impl Core {
    pub(super) fn prune(&mut self, op: &Prune) -> Pruned {
        let retentions = &op.retentions;
        let queued = self.prune_queued(retentions.queued, op);
        let delivered = self.prune_ended(State::Delivered, retentions.delivered, op);
        let dead = self.prune_ended(State::Dead, retentions.dead, op);
        let attempts = self.prune_attempts(retentions.attempts, op);
        let more = [queued, delivered, dead, attempts].iter().any(|removed| *removed >= u64::from(op.max_rows));
        Pruned { queued, delivered, dead, attempts, more }
    }

    /// Queued messages by the time of their receipt.
    fn prune_queued(&mut self, keep: Retention, op: &Prune) -> u64 {
        let Some(age) = keep.max_age.filter(|_| keep.enabled) else { return 0 };
        let before = Seq::first_at(op.now.minus(age));
        let old: Vec<Seq> = self.queued.range(..before).take(rows(op)).copied().collect();
        self.remove_all(&old)
    }

    /// Messages that ended too long ago, or too many of them, the first to end first.
    fn prune_ended(&mut self, state: State, keep: Retention, op: &Prune) -> u64 {
        if !keep.enabled {
            return 0;
        }
        let excess = keep.max_rows.map_or(0, |most| self.total(state).saturating_sub(most));
        let oldest = keep.max_age.map_or(UnixMillis(i64::MIN), |age| op.now.minus(age));
        let from = (state, UnixMillis(i64::MIN), Seq(i64::MIN));
        let ended = self.ended.range(from..).take_while(|(found, ..)| *found == state);
        let old = (0u64..).zip(ended).take_while(|(n, (_, at, _))| *n < excess || *at < oldest);
        let old: Vec<Seq> = old.take(rows(op)).map(|(_, (.., seq))| *seq).collect();
        self.remove_all(&old)
    }

    fn prune_attempts(&mut self, keep: Retention, op: &Prune) -> u64 {
        if !keep.enabled {
            return 0;
        }
        let all = u64::try_from(self.attempts.len()).unwrap_or(u64::MAX);
        let excess = keep.max_rows.map_or(0, |most| all.saturating_sub(most));
        let oldest = keep.max_age.map_or(UnixMillis(i64::MIN), |age| op.now.minus(age));
        let old = (0u64..).zip(&self.attempts).take_while(|(n, (_, a))| *n < excess || a.created_at < oldest);
        let old: Vec<i64> = old.take(rows(op)).map(|(_, (id, _))| *id).collect();
        for id in &old {
            let Some(attempt) = self.attempts.remove(id) else { continue };
            if let Some(ids) = self.attempts_of.get_mut(&attempt.event_id) {
                ids.remove(id);
                if ids.is_empty() {
                    self.attempts_of.remove(&attempt.event_id);
                }
            }
        }
        u64::try_from(old.len()).unwrap_or(u64::MAX)
    }

    fn remove_all(&mut self, seqs: &[Seq]) -> u64 {
        for seq in seqs {
            self.remove(*seq);
        }
        u64::try_from(seqs.len()).unwrap_or(u64::MAX)
    }
}

fn rows(op: &Prune) -> usize {
    usize::try_from(op.max_rows).unwrap_or(usize::MAX)
}
