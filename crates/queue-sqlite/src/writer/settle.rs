//! Ending leases, and the record of deliveries.

use hookaido_model::{Attempt, DeadReason, EnvelopeId, LaneId, LeaseId, Seq, State, UnixMillis};
use hookaido_queue::store::{LeaseLost, Settle, SettleBatch, Settled, Settlement};

use super::bundles;
use super::find::{self, Found};
use super::tx::{Fault, Tx};
use crate::inbox::SettleOutcomes;

/// Ends the leases and records the attempts.
pub(crate) fn settle(tx: &mut Tx<'_, '_>, op: &SettleBatch) -> Result<SettleOutcomes, Fault> {
    let mut outcomes = Vec::with_capacity(op.settles.len());
    for one in &op.settles {
        let held = held(find::at(tx.sql, one.lease.seq)?, one.lease, one.scope, op.now);
        outcomes.push(match held {
            Ok(held) => Ok(end(tx, &held, one, op)?),
            Err(lost) => Err(lost),
        });
    }
    for attempt in &op.attempts {
        record(tx, attempt)?;
    }
    Ok(outcomes)
}

/// The message of a lease, if the lease is good.
pub(crate) fn held(
    found: Option<Found>,
    lease: LeaseId,
    scope: Option<LaneId>,
    now: UnixMillis,
) -> Result<Found, LeaseLost> {
    let of_lease = |found: &Found| found.state == State::Leased && found.token == Some(lease.token.cast_signed());
    let found = found.filter(of_lease).ok_or(LeaseLost::NotFound)?;
    if scope.is_some_and(|lane| lane != found.lane) {
        return Err(LeaseLost::Foreign);
    }
    if found.lease_until <= now {
        return Err(LeaseLost::Expired);
    }
    Ok(found)
}

fn end(tx: &mut Tx<'_, '_>, held: &Found, one: &Settle, op: &SettleBatch) -> Result<Settled, Fault> {
    let (seq, lane) = (held.seq, held.lane);
    match &one.settlement {
        Settlement::Ack if op.keep_delivered => {
            tx.sql.deliver.execute((seq.0, op.now.0))?;
            tx.changes.moved(lane, Some(State::Leased), Some(State::Delivered));
        }
        Settlement::Ack => tx.remove(seq, lane, State::Leased, held.content)?,
        Settlement::Nack { ready_at } => queue_again(tx, State::Leased, (seq, lane), *ready_at, held.attempt)?,
        Settlement::Release => {
            let attempt = held.attempt.saturating_sub(1);
            queue_again(tx, State::Leased, (seq, lane), held.next_run_at, attempt)?;
        }
        Settlement::Bury { reason } => {
            bundles::set_apart(tx, seq, held.content, held.part)?;
            tx.sql.bury.execute((seq.0, reason.as_ref().map(DeadReason::as_str), op.now.0))?;
            tx.changes.moved(lane, Some(State::Leased), Some(State::Dead));
        }
    }
    Ok(Settled { lane })
}

/// Gives back leases whose taker went away. Those that are lost already are no matter.
pub(crate) fn release(tx: &mut Tx<'_, '_>, leases: &[LeaseId]) -> Result<(), Fault> {
    for lease in leases {
        let found = find::at(tx.sql, lease.seq)?;
        if let Ok(held) = held(found, *lease, None, UnixMillis(i64::MIN)) {
            let attempt = held.attempt.saturating_sub(1);
            queue_again(tx, State::Leased, (held.seq, held.lane), held.next_run_at, attempt)?;
        }
    }
    Ok(())
}

/// Puts a message (back) into the queue.
pub(crate) fn queue_again(
    tx: &mut Tx<'_, '_>,
    from: State,
    (seq, lane): (Seq, LaneId),
    next_run_at: UnixMillis,
    attempt: u32,
) -> Result<(), Fault> {
    tx.sql.queue_again.execute((seq.0, next_run_at.0, attempt))?;
    tx.changes.moved(lane, Some(from), Some(State::Queued));
    tx.changes.queued(lane, seq, next_run_at);
    tx.places.queued(seq);
    Ok(())
}

fn record(tx: &mut Tx<'_, '_>, attempt: &Attempt) -> Result<(), Fault> {
    let id = tx.next_attempt + tx.changes.attempts;
    let place = attempt.event_id.place();
    let given = if let EnvelopeId::Given(text) = &attempt.event_id { Some(text.as_ref()) } else { None };
    tx.sql.insert_attempt.execute((
        id,
        place.map(|(seq, _)| seq.0),
        place.map(|(_, nonce)| nonce.cast_signed()),
        given,
        attempt.lane.id.0,
        attempt.attempt,
        attempt.status_code,
        attempt.error.as_deref(),
        attempt.outcome as i64,
        attempt.dead_reason.as_ref().map(DeadReason::as_str),
        attempt.created_at.0,
    ))?;
    tx.changes.attempts += 1;
    Ok(())
}
