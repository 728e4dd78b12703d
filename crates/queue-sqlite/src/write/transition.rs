//! Changes by an operator.

use hookaido_model::{LaneId, Move, Seq, State, UnixMillis};
use hookaido_queue::store::{Step, Transition, Transitioned};
use rusqlite::OptionalExtension;

use super::Tx;
use crate::failure::Failure;

impl Tx<'_> {
    pub(super) fn transition(&mut self, op: &Transition) -> Result<Transitioned, Failure> {
        let mut done = Transitioned::default();
        for id in &op.ids {
            let Some(seq) = self.seq_of(id)? else { continue };
            if self.transition_one(seq, op)? {
                done.changed.push(id.clone());
            }
        }
        Ok(done)
    }

    fn transition_one(&mut self, seq: Seq, op: &Transition) -> Result<bool, Failure> {
        let found = self
            .connection
            .prepare_cached("SELECT lane, state, content FROM message WHERE seq = ?1")?
            .query_row([seq.0], |row| {
                let state = State::from_code(row.get(1)?);
                Ok((LaneId(row.get(0)?), state, row.get::<_, Option<i64>>(2)?))
            })
            .optional()?;
        let Some((lane, Some(state), content)) = found else { return Ok(false) };
        if !op.only.is_empty() && !op.only.contains(&state) {
            return Ok(false);
        }
        match op.step {
            Step::Delete => {
                self.remove_message(seq, content)?;
                self.counters.remove(lane, state, 1);
            }
            Step::Move(step) => match (step, state.after(step)) {
                (Move::Cancel | Move::Requeue | Move::Resume, Some(to)) => {
                    self.move_to(seq, lane, (state, to), op.now)?;
                }
                _ => return Ok(false),
            },
        }
        Ok(true)
    }

    fn move_to(&mut self, seq: Seq, lane: LaneId, step: (State, State), now: UnixMillis) -> Result<(), Failure> {
        let (from, to) = step;
        let sql = if to == State::Queued {
            "UPDATE message SET state = 0, next_run_at = ?2, attempt = 0, lease_token = NULL, lease_until = NULL,
             dead_reason = NULL, settled_at = NULL WHERE seq = ?1"
        } else {
            "UPDATE message SET state = 4, lease_token = NULL, lease_until = NULL, settled_at = ?2 WHERE seq = ?1"
        };
        self.connection.prepare_cached(sql)?.execute([seq.0, now.0])?;
        self.counters.shift(lane, from, to);
        if to == State::Queued {
            self.note_queued(lane, seq, now);
        }
        Ok(())
    }
}
