//! Handing messages out, and taking them back when their time is over.

use std::sync::Arc;

use hookaido_model::{Lane, LaneId, LeaseId, Seq, State, UnixMillis};
use hookaido_queue::store::{ExtendBatch, Lease, LeaseLost, Leased, Reclaim, Reclaimed};
use rusqlite::OptionalExtension;

use super::pick::{self, Picked};
use super::settle::Ended;
use super::tx::{Fault, Tx};
use super::{bundles, find, settle};
use crate::inbox::ExtendOutcomes;

/// Leases what is ready, the earliest first.
pub(crate) fn lease(tx: &mut Tx<'_, '_>, op: &Lease) -> Result<Leased, Fault> {
    let lane: Arc<Lane> = Arc::clone(&tx.lane(op.lane)?.lane);
    let (picked, next_ready_at) = pick::pick(tx, op, &lane)?;
    let mut envelopes = Vec::with_capacity(picked.len());
    for one in picked {
        let token = tx.random.next()?;
        let (seq, mut envelope) = match one {
            Picked::Row { seq, content, part, envelope } => {
                tx.sql.lease.execute((seq.0, envelope.attempt, token.cast_signed(), op.until.0))?;
                (seq, pick::with_content(envelope, bundles::content(tx, seq, content, part)?))
            }
            Picked::Part { seq, nonce, offset, content, envelope } => {
                let size = envelope.content.as_ref().map_or(0, |content| crate::content::size(content));
                tx.sql.insert_taken.execute((
                    seq.0,
                    op.lane.0,
                    i64::from(State::Leased.code()),
                    envelope.next_run_at.0,
                    nonce,
                    bundles::number(size),
                    token.cast_signed(),
                    op.until.0,
                    content,
                    offset,
                ))?;
                (seq, envelope)
            }
        };
        envelope.lease = Some(LeaseId { seq, token });
        tx.changes.moved(op.lane, Some(State::Queued), Some(State::Leased));
        envelopes.push(envelope);
    }
    if !envelopes.is_empty() {
        tx.changes.leased_until(op.until);
    }
    Ok(Leased { envelopes, next_ready_at })
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

/// Takes back messages whose lease ended: into the queue, or to the dead letters.
pub(crate) fn reclaim(tx: &mut Tx<'_, '_>, op: &Reclaim) -> Result<Reclaimed, Fault> {
    let rows = tx.sql.expired.query_map((op.now.0, op.max), |row| {
        let (seq, lane) = (Seq(row.get(0)?), LaneId(row.get(1)?));
        Ok(Ended { seq, lane, attempt: row.get(2)?, token: row.get(3)?, content: row.get(4)?, part: row.get(5)? })
    })?;
    let expired = rows.collect::<Result<Vec<_>, _>>()?;
    let mut reclaimed = Reclaimed::default();
    for ended in expired {
        let died = settle::come_back(tx, ended, (None, None), op.rules.of(ended.lane), op.now)?;
        reclaimed.add(&Arc::clone(&tx.lane(ended.lane)?.lane), died);
    }
    let next: Option<Option<i64>> = tx.sql.next_lease_end.query_row([], |row| row.get(0)).optional()?;
    reclaimed.next_lease_end = next.flatten().map(UnixMillis);
    Ok(reclaimed)
}
