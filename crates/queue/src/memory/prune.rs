//! Retention, in slices.

use hookaido_model::config::Retention;
use hookaido_model::{Seq, State, UnixMillis};

use super::table::Table;
use crate::store::{Prune, Pruned};

impl Table {
    pub(super) fn prune(&mut self, op: &Prune) -> Pruned {
        let retentions = &op.retentions;
        let pruned = Pruned {
            queued: self.prune_queued(retentions.queued, op),
            delivered: self.prune_ended(State::Delivered, retentions.delivered, op),
            dead: self.prune_ended(State::Dead, retentions.dead, op),
            attempts: self.prune_attempts(retentions.attempts, op),
            more: false,
        };
        self.note_evicted("queue_retention", pruned.queued);
        self.note_evicted("delivered_retention", pruned.delivered);
        self.note_evicted("dlq_retention", pruned.dead);
        let most = u64::from(op.max_rows);
        let more =
            [pruned.queued, pruned.delivered, pruned.dead, pruned.attempts].iter().any(|count| *count >= most.max(1));
        Pruned { more, ..pruned }
    }

    /// Queued messages by the time of their receipt.
    fn prune_queued(&mut self, keep: Retention, op: &Prune) -> u64 {
        let Some(age) = keep.max_age.filter(|_| keep.enabled) else { return 0 };
        let before = Seq::first_at(op.now.minus(age));
        let [queued, ..] = &self.by_state;
        let old: Vec<Seq> = queued.range(..before).copied().take(rows(op)).collect();
        self.remove_all(old)
    }

    /// Delivered and dead messages: too old by the time they ended, then too many, the oldest first; a slice in all.
    fn prune_ended(&mut self, state: State, keep: Retention, op: &Prune) -> u64 {
        if !keep.enabled {
            return 0;
        }
        let mut removed = 0;
        if let Some(age) = keep.max_age {
            let before = (op.now.minus(age), Seq(i64::MIN));
            let old = self.ended(state).range(..before).take(rows(op)).map(|(_, seq)| *seq).collect();
            removed += self.remove_all(old);
        }
        if let Some(most) = keep.max_rows {
            let room = u64::from(op.max_rows).saturating_sub(removed);
            let excess = self.total(state).saturating_sub(most).min(room);
            let excess = usize::try_from(excess).unwrap_or(usize::MAX);
            let old = self.ended(state).iter().take(excess).map(|(_, seq)| *seq).collect();
            removed += self.remove_all(old);
        }
        removed
    }

    fn ended(&self, state: State) -> &std::collections::BTreeSet<(UnixMillis, Seq)> {
        let [delivered, dead] = &self.ended;
        if state == State::Delivered { delivered } else { dead }
    }

    /// Attempts are made in order of time, so the old ones are in front.
    fn prune_attempts(&mut self, keep: Retention, op: &Prune) -> u64 {
        if !keep.enabled {
            return 0;
        }
        let most = keep.max_rows.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let oldest = keep.max_age.map(|age| op.now.minus(age));
        let mut removed = 0;
        while removed < u64::from(op.max_rows) {
            let Some(first) = self.attempts.front() else { break };
            let too_old = oldest.is_some_and(|oldest| first.created_at < oldest);
            if !too_old && self.attempts.len() <= most {
                break;
            }
            self.attempts.pop_front();
            removed += 1;
        }
        removed
    }

    fn remove_all(&mut self, seqs: Vec<Seq>) -> u64 {
        let count = u64::try_from(seqs.len()).unwrap_or(u64::MAX);
        seqs.into_iter().for_each(|seq| self.remove(seq));
        count
    }
}

fn rows(op: &Prune) -> usize {
    usize::try_from(op.max_rows).unwrap_or(usize::MAX)
}
