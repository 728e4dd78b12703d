//! Retention, in slices.

use hookaido_model::config::Retention;
use hookaido_model::{LaneId, Seq, State, UnixMillis};
use hookaido_queue::store::{Prune, Pruned};
use rusqlite::{OptionalExtension, params};

use super::Tx;
use crate::failure::Failure;

impl Tx<'_> {
    pub(super) fn prune(&mut self, op: &Prune) -> Result<Pruned, Failure> {
        let retentions = &op.retentions;
        let queued = self.prune_queued(retentions.queued, op)?;
        let delivered = self.prune_ended(State::Delivered, retentions.delivered, op)?;
        let dead = self.prune_ended(State::Dead, retentions.dead, op)?;
        let attempts = self.prune_attempts(retentions.attempts, op)?;
        let most = u64::from(op.max_rows);
        let more = [queued, delivered, dead, attempts].iter().any(|removed| *removed >= most);
        Ok(Pruned { queued, delivered, dead, attempts, more })
    }

    /// Queued messages by the time of their receipt.
    fn prune_queued(&mut self, keep: Retention, op: &Prune) -> Result<u64, Failure> {
        let Some(age) = keep.max_age.filter(|_| keep.enabled) else { return Ok(0) };
        let before = Seq::first_at(op.now.minus(age));
        let rows = self.pick(
            "SELECT seq, lane, content FROM message WHERE seq >= ?1 AND seq < ?2 AND state = 0 ORDER BY seq LIMIT ?3",
            &[self.oldest_queued.0, before.0, i64::from(op.max_rows)],
        )?;
        self.remove_rows(rows, State::Queued)
    }

    /// Delivered and dead messages: too old by the time they ended, or too many, the oldest first.
    fn prune_ended(&mut self, state: State, keep: Retention, op: &Prune) -> Result<u64, Failure> {
        if !keep.enabled {
            return Ok(0);
        }
        let limit = i64::from(op.max_rows);
        let mut removed = 0;
        if let Some(age) = keep.max_age {
            let rows = self.pick(
                "SELECT seq, lane, content FROM message INDEXED BY message_aged
                 WHERE state >= 2 AND state = ?1 AND settled_at < ?2 ORDER BY settled_at LIMIT ?3",
                &[i64::from(state.code()), op.now.minus(age).0, limit],
            )?;
            removed += self.remove_rows(rows, state)?;
        }
        if let Some(most) = keep.max_rows {
            let excess = self.counters.total(state).saturating_sub(most).min(u64::from(op.max_rows));
            if excess > 0 {
                let rows = self.pick(
                    "SELECT seq, lane, content FROM message INDEXED BY message_aged
                     WHERE state >= 2 AND state = ?1 ORDER BY settled_at LIMIT ?2",
                    &[i64::from(state.code()), i64::try_from(excess).unwrap_or(limit)],
                )?;
                removed += self.remove_rows(rows, state)?;
            }
        }
        Ok(removed)
    }

    /// Attempts have rising ids without gaps, and are made in order of time.
    fn prune_attempts(&mut self, keep: Retention, op: &Prune) -> Result<u64, Failure> {
        if !keep.enabled {
            return Ok(0);
        }
        let bound = |sql: &str| {
            let id: Option<Option<i64>> =
                self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
            Ok::<_, Failure>(id.flatten())
        };
        let (Some(first), Some(last)) = (bound("SELECT min(id) FROM attempt")?, bound("SELECT max(id) FROM attempt")?)
        else {
            return Ok(0);
        };
        let slice_end = first.saturating_add(i64::from(op.max_rows));
        let most = keep.max_rows.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
        let by_count = most.map_or(first, |most| last.saturating_add(1).saturating_sub(most)).min(slice_end);
        let oldest = keep.max_age.map_or(UnixMillis(i64::MIN), |age| op.now.minus(age));
        let removed = self
            .connection
            .prepare_cached("DELETE FROM attempt WHERE id >= ?1 AND id < ?2 AND (id < ?3 OR created_at < ?4)")?
            .execute(params![first, slice_end, by_count, oldest.0])?;
        Ok(u64::try_from(removed).unwrap_or(u64::MAX))
    }

    fn pick(&self, sql: &str, parameters: &[i64]) -> Result<Vec<(Seq, LaneId, Option<i64>)>, Failure> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push((Seq(row.get(0)?), LaneId(row.get(1)?), row.get(2)?));
        }
        Ok(found)
    }

    fn remove_rows(&mut self, rows: Vec<(Seq, LaneId, Option<i64>)>, state: State) -> Result<u64, Failure> {
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        for (seq, lane, content) in rows {
            self.remove_message(seq, content)?;
            self.counters.remove(lane, state, 1);
        }
        Ok(count)
    }
}
