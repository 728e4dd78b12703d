//! Taking messages, and prolonging what is taken.

use std::sync::Arc;
use std::time::Duration;

use hookaido_model::{Content, Envelope, LaneId, LeaseId, Seq, State, UnixMillis};
use hookaido_queue::store::{ExtendBatch, Lease, LeaseLost, Leased};
use rusqlite::{OptionalExtension, params};
use smallvec::SmallVec;

use super::Tx;
use crate::failure::Failure;
use crate::rows::{content, envelope_id};

/// A message that may be taken.
struct Ready {
    seq: Seq,
    next_run_at: UnixMillis,
    attempt: u32,
    nonce: i64,
    content: Option<i64>,
    given: Option<String>,
}

/// What a lease must be checked against.
pub(super) struct Held {
    pub(super) lane: LaneId,
    pub(super) until: UnixMillis,
    pub(super) content: Option<i64>,
}

impl Tx<'_> {
    pub(super) fn lease(&mut self, op: &Lease) -> Result<Leased, Failure> {
        let Some(lane) = self.counters.lane(op.lane) else { return Ok(Leased::default()) };
        let (lane, queued) = (Arc::clone(&lane.lane), lane.counts.first().copied().unwrap_or_default());
        if queued == 0 {
            return Ok(Leased::default());
        }
        let ready = self.ready(op)?;
        let all = ready.len();
        let (mut envelopes, mut bytes) = (Vec::with_capacity(all), 0u64);
        for message in ready {
            let content = self.content(message.content.unwrap_or(message.seq.0))?;
            let size = content.payload.len() + content.headers.as_bytes().len() + content.trace.as_bytes().len();
            bytes = bytes.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
            if bytes > op.max_bytes && !envelopes.is_empty() {
                break;
            }
            envelopes.push(self.take(&lane, message, content, op)?);
        }
        if !envelopes.is_empty() {
            let taken = u64::try_from(envelopes.len()).unwrap_or(u64::MAX);
            self.counters.remove(op.lane, State::Queued, taken);
            self.counters.add(op.lane, State::Leased, taken);
            self.effects.lease_ends(op.until);
        }
        let next = self.next_ready(op.lane)?;
        let more_now = next.is_some_and(|at| at <= op.now);
        if more_now {
            self.effects.ready(op.lane, op.now);
        }
        Ok(Leased { envelopes, next_ready_at: next.filter(|_| !more_now) })
    }

    fn ready(&self, op: &Lease) -> Result<SmallVec<[Ready; 4]>, Failure> {
        let mut statement = self.connection.prepare_cached(
            "SELECT seq, next_run_at, attempt, nonce, content, given_id FROM message INDEXED BY message_ready
             WHERE lane = ?1 AND state = 0 AND next_run_at <= ?2 ORDER BY next_run_at, seq LIMIT ?3",
        )?;
        let mut rows = statement.query(params![op.lane.0, op.now.0, op.max.max(1)])?;
        let mut ready = SmallVec::new();
        while let Some(row) = rows.next()? {
            ready.push(Ready {
                seq: Seq(row.get(0)?),
                next_run_at: UnixMillis(row.get(1)?),
                attempt: row.get(2)?,
                nonce: row.get(3)?,
                content: row.get(4)?,
                given: row.get(5)?,
            });
        }
        Ok(ready)
    }

    fn content(&self, id: i64) -> Result<Content, Failure> {
        let mut statement =
            self.connection.prepare_cached("SELECT payload, headers, trace FROM content WHERE id = ?1")?;
        Ok(statement.query_row([id], |row| content(row, 0)).optional()?.unwrap_or_default())
    }

    fn take(
        &mut self,
        lane: &Arc<hookaido_model::Lane>,
        message: Ready,
        content: Content,
        op: &Lease,
    ) -> Result<Envelope, Failure> {
        debug_assert_eq!(State::Queued.after(hookaido_model::Move::Lease), Some(State::Leased));
        let token = self.random.next();
        let attempt = message.attempt.saturating_add(1);
        self.connection
            .prepare_cached(
                "UPDATE message SET state = 1, attempt = ?2, lease_token = ?3, lease_until = ?4 WHERE seq = ?1",
            )?
            .execute(params![message.seq.0, attempt, token.cast_signed(), op.until.0])?;
        Ok(Envelope {
            id: envelope_id(message.seq, message.nonce, message.given.as_deref()),
            lane: Arc::clone(lane),
            state: State::Leased,
            received_at: crate::rows::received_at(message.seq),
            next_run_at: message.next_run_at,
            attempt,
            lease: Some(LeaseId { seq: message.seq, token }),
            lease_until: Some(op.until),
            dead_reason: None,
            content: Some(Arc::new(content)),
        })
    }

    /// Checks a lease: who holds what until when.
    pub(super) fn held(
        &self,
        lease: LeaseId,
        scope: Option<LaneId>,
        now: UnixMillis,
    ) -> Result<Result<Held, LeaseLost>, Failure> {
        let held = self
            .connection
            .prepare_cached(
                "SELECT lane, lease_until, content FROM message WHERE seq = ?1 AND state = 1 AND lease_token = ?2",
            )?
            .query_row([lease.seq.0, lease.token.cast_signed()], |row| {
                Ok(Held { lane: LaneId(row.get(0)?), until: UnixMillis(row.get(1)?), content: row.get(2)? })
            })
            .optional()?;
        Ok(match held {
            None => Err(LeaseLost::NotFound),
            Some(held) if scope.is_some_and(|scope| scope != held.lane) => Err(LeaseLost::Foreign),
            Some(held) if held.until <= now => Err(LeaseLost::Expired),
            Some(held) => Ok(held),
        })
    }

    pub(super) fn extend(&mut self, op: &ExtendBatch) -> Result<Vec<Result<UnixMillis, LeaseLost>>, Failure> {
        let mut outcomes = Vec::with_capacity(op.leases.len());
        for lease in &op.leases {
            let outcome = match self.held(*lease, op.scope, op.now)? {
                Err(lost) => Err(lost),
                Ok(held) => Ok(self.prolong(*lease, held.until, op.by, op.latest)?),
            };
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn prolong(
        &mut self,
        lease: LeaseId,
        until: UnixMillis,
        by: Duration,
        latest: Option<UnixMillis>,
    ) -> Result<UnixMillis, Failure> {
        let wanted = until.plus(by);
        // Never shorter than it was: a limit that was lowered meanwhile takes nothing away.
        let end = latest.map_or(wanted, |latest| wanted.min(latest)).max(until);
        if end != until {
            self.connection
                .prepare_cached("UPDATE message SET lease_until = ?2 WHERE seq = ?1")?
                .execute([lease.seq.0, end.0])?;
        }
        self.effects.lease_ends(end);
        Ok(end)
    }
}
