//! Ending leases.

use hookaido_model::{DeadReason, Move, Seq, State, UnixMillis};
use hookaido_queue::store::{LeaseLost, Settle, SettleBatch, Settled, Settlement};
use rusqlite::params;

use super::Tx;
use super::lease::Held;
use crate::failure::Failure;

impl Tx<'_> {
    pub(super) fn settle(&mut self, op: &SettleBatch) -> Result<Vec<Result<Settled, LeaseLost>>, Failure> {
        let mut outcomes = Vec::with_capacity(op.settles.len());
        for settle in &op.settles {
            outcomes.push(self.settle_one(settle, op.keep_delivered, op.now)?);
        }
        for attempt in &op.attempts {
            self.record(attempt)?;
        }
        Ok(outcomes)
    }

    /// Gives back leases that nobody took.
    pub(super) fn release(&mut self, settles: &[Settle], now: UnixMillis) -> Result<(), Failure> {
        for settle in settles {
            let _lost_already = self.settle_one(settle, false, now)?;
        }
        Ok(())
    }

    fn settle_one(
        &mut self,
        settle: &Settle,
        keep_delivered: bool,
        now: UnixMillis,
    ) -> Result<Result<Settled, LeaseLost>, Failure> {
        let seq = settle.lease.seq;
        let held = match self.held(settle.lease, settle.scope, now)? {
            Ok(held) => held,
            Err(lost) => return Ok(Err(lost)),
        };
        match &settle.settlement {
            Settlement::Ack => self.ack(seq, &held, keep_delivered, now)?,
            Settlement::Nack { ready_at } => self.give_back(seq, &held, *ready_at, 0)?,
            Settlement::Release => self.give_back(seq, &held, now, 1)?,
            Settlement::Bury { reason } => self.bury(seq, &held, reason.as_ref(), now)?,
        }
        Ok(Ok(Settled { lane: held.lane }))
    }

    fn ack(&mut self, seq: Seq, held: &Held, keep: bool, now: UnixMillis) -> Result<(), Failure> {
        debug_assert_eq!(State::Leased.after(Move::Ack), Some(State::Delivered));
        if keep {
            self.connection
                .prepare_cached(
                    "UPDATE message SET state = 2, lease_token = NULL, lease_until = NULL, settled_at = ?2 WHERE seq = ?1",
                )?
                .execute([seq.0, now.0])?;
            self.counters.add(held.lane, State::Delivered, 1);
        } else {
            self.remove_message(seq, held.content)?;
        }
        self.counters.remove(held.lane, State::Leased, 1);
        Ok(())
    }

    /// `uncounted` attempts are taken back.
    fn give_back(&mut self, seq: Seq, held: &Held, ready_at: UnixMillis, uncounted: u32) -> Result<(), Failure> {
        debug_assert_eq!(State::Leased.after(Move::Release), Some(State::Queued));
        // A message that was never really taken keeps its place in line.
        let sql = if uncounted > 0 {
            "UPDATE message SET state = 0, lease_token = NULL, lease_until = NULL, attempt = max(attempt - 1, 0)
             WHERE seq = ?1 RETURNING next_run_at"
        } else {
            "UPDATE message SET state = 0, lease_token = NULL, lease_until = NULL, next_run_at = ?2
             WHERE seq = ?1 RETURNING next_run_at"
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        let at: i64 = if uncounted > 0 {
            statement.query_row([seq.0], |row| row.get(0))?
        } else {
            statement.query_row([seq.0, ready_at.0], |row| row.get(0))?
        };
        drop(statement);
        self.counters.shift(held.lane, State::Leased, State::Queued);
        self.note_queued(held.lane, seq, UnixMillis(at));
        Ok(())
    }

    fn bury(&mut self, seq: Seq, held: &Held, reason: Option<&DeadReason>, now: UnixMillis) -> Result<(), Failure> {
        debug_assert_eq!(State::Leased.after(Move::Bury), Some(State::Dead));
        self.connection
            .prepare_cached(
                "UPDATE message SET state = 3, lease_token = NULL, lease_until = NULL, dead_reason = ?2, settled_at = ?3
                 WHERE seq = ?1",
            )?
            .execute(params![seq.0, reason.map(DeadReason::as_str), now.0])?;
        self.counters.shift(held.lane, State::Leased, State::Dead);
        Ok(())
    }
}
