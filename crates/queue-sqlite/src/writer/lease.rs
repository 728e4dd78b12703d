//! Handing messages out, and taking them back when their time is over.

use std::sync::Arc;

use hookaido_model::{Envelope, LaneId, LeaseId, Seq, State, UnixMillis};
use hookaido_queue::store::{ExtendBatch, Lease, LeaseLost, Leased, Reclaimed};
use rusqlite::OptionalExtension;

use super::tx::{Fault, Tx};
use super::{find, settle};
use crate::inbox::ExtendOutcomes;
use crate::{content, row};

/// A message that is to be leased.
struct Picked {
    seq: Seq,
    content: Option<i64>,
    envelope: Envelope,
}

/// Leases what is ready, the earliest first.
pub(crate) fn lease(tx: &mut Tx<'_, '_>, op: &Lease) -> Result<Leased, Fault> {
    let (picked, next_ready_at) = pick(tx, op)?;
    let mut envelopes = Vec::with_capacity(picked.len());
    for Picked { seq, content, mut envelope } in picked {
        let token = tx.random.next()?;
        tx.sql.lease.execute((seq.0, envelope.attempt, token.cast_signed(), op.until.0))?;
        let stored = tx.sql.content.query_row((content.unwrap_or(seq.0),), |row| content::from_row(row, 0));
        envelope.content = Some(Arc::new(stored?));
        envelope.lease = Some(LeaseId { seq, token });
        tx.changes.moved(op.lane, Some(State::Queued), Some(State::Leased));
        envelopes.push(envelope);
    }
    if !envelopes.is_empty() {
        tx.changes.leased_until(op.until);
    }
    Ok(Leased { envelopes, next_ready_at })
}

/// Chooses messages within the limits of number and size, and looks at the one behind them.
fn pick(tx: &mut Tx<'_, '_>, op: &Lease) -> Result<(Vec<Picked>, Option<UnixMillis>), Fault> {
    let lane = Arc::clone(&tx.lane(op.lane)?.lane);
    let max = usize::try_from(op.max.max(1)).unwrap_or(usize::MAX);
    let mut picked = Vec::with_capacity(max.min(128));
    let mut bytes = 0_u64;
    let mut rows = tx.sql.ready.query((op.lane.0, i64::from(op.max.max(1)) + 1))?;
    while let Some(row) = rows.next()? {
        let next_run_at = UnixMillis(row.get(1)?);
        if next_run_at > op.now {
            return Ok((picked, Some(next_run_at)));
        }
        bytes = bytes.saturating_add(row.get::<_, i64>(4)?.max(0).cast_unsigned());
        if picked.len() >= max || (!picked.is_empty() && bytes > op.max_bytes) {
            tx.changes.ready(op.lane, op.now);
            return Ok((picked, None));
        }
        let seq = Seq(row.get(0)?);
        let given = row.get_ref(7)?;
        let envelope = Envelope {
            id: row::id(seq, row.get(3)?, given.as_str_or_null().map_err(rusqlite::Error::from)?),
            lane: Arc::clone(&lane),
            state: State::Leased,
            received_at: row.get::<_, Option<i64>>(6)?.map_or_else(|| row::received_at(seq), UnixMillis),
            next_run_at,
            attempt: row.get::<_, u32>(2)?.saturating_add(1),
            lease: None,
            lease_until: Some(op.until),
            dead_reason: None,
            content: None,
        };
        picked.push(Picked { seq, content: row.get(5)?, envelope });
    }
    Ok((picked, None))
}

/// Moves ends of leases.
pub(crate) fn extend(tx: &mut Tx<'_, '_>, op: &ExtendBatch) -> Result<ExtendOutcomes, Fault> {
    let mut outcomes = Vec::with_capacity(op.leases.len());
    for lease in &op.leases {
        outcomes.push(extend_one(tx, op, *lease)?);
    }
    Ok(outcomes)
}

fn extend_one(tx: &mut Tx<'_, '_>, op: &ExtendBatch, lease: LeaseId) -> Result<Result<UnixMillis, LeaseLost>, Fault> {
    let held = match settle::held(find::at(tx.sql, lease.seq)?, lease, op.scope, op.now) {
        Ok(held) => held,
        Err(lost) => return Ok(Err(lost)),
    };
    let wanted = held.lease_until.plus(op.by);
    let until = op.latest.map_or(wanted, |latest| wanted.min(latest)).max(held.lease_until);
    if until != held.lease_until {
        tx.sql.extend.execute((lease.seq.0, until.0))?;
        tx.changes.leased_until(until);
    }
    Ok(Ok(until))
}

/// Puts messages whose lease ended back into the queue.
pub(crate) fn reclaim(tx: &mut Tx<'_, '_>, now: UnixMillis, max: u32) -> Result<Reclaimed, Fault> {
    let rows = tx
        .sql
        .expired
        .query_map((now.0, max), |row| Ok((Seq(row.get(0)?), LaneId(row.get(1)?), row.get::<_, u32>(2)?)))?;
    let expired = rows.collect::<Result<Vec<_>, _>>()?;
    let mut lanes: Vec<(LaneId, u64)> = Vec::new();
    for (seq, lane, attempt) in expired {
        settle::queue_again(tx, State::Leased, (seq, lane), now, attempt)?;
        match lanes.iter_mut().find(|(known, _)| *known == lane) {
            Some((_, count)) => *count += 1,
            None => lanes.push((lane, 1)),
        }
    }
    let next: Option<Option<i64>> = tx.sql.next_lease_end.query_row([], |row| row.get(0)).optional()?;
    Ok(Reclaimed { lanes, next_lease_end: next.flatten().map(UnixMillis) })
}
