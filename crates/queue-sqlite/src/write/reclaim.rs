//! Leases that ran out.

use hookaido_model::{LaneId, Move, Seq, State, UnixMillis};
use hookaido_queue::store::Reclaimed;
use rusqlite::{OptionalExtension, params};

use super::Tx;
use crate::failure::Failure;

impl Tx<'_> {
    pub(super) fn reclaim(&mut self, now: UnixMillis, max: u32) -> Result<Reclaimed, Failure> {
        debug_assert_eq!(State::Leased.after(Move::Release), Some(State::Queued));
        let mut expired = Vec::new();
        {
            let mut statement = self.connection.prepare_cached(
                "SELECT seq, lane FROM message INDEXED BY message_leased
                 WHERE state = 1 AND lease_until <= ?1 ORDER BY lease_until LIMIT ?2",
            )?;
            let mut rows = statement.query(params![now.0, max])?;
            while let Some(row) = rows.next()? {
                expired.push((Seq(row.get(0)?), LaneId(row.get(1)?)));
            }
        }
        let mut reclaimed = Reclaimed::default();
        for (seq, lane) in expired {
            self.connection
                .prepare_cached(
                    "UPDATE message SET state = 0, lease_token = NULL, lease_until = NULL, next_run_at = ?2 WHERE seq = ?1",
                )?
                .execute([seq.0, now.0])?;
            self.counters.shift(lane, State::Leased, State::Queued);
            self.note_queued(lane, seq, now);
            match reclaimed.lanes.iter_mut().find(|(known, _)| *known == lane) {
                Some((_, count)) => *count += 1,
                None => reclaimed.lanes.push((lane, 1)),
            }
        }
        reclaimed.next_lease_end = self
            .connection
            .prepare_cached(
                "SELECT lease_until FROM message INDEXED BY message_leased WHERE state = 1 ORDER BY lease_until LIMIT 1",
            )?
            .query_row([], |row| row.get(0).map(UnixMillis))
            .optional()?;
        Ok(reclaimed)
    }
}
