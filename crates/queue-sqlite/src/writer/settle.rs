//! Ending leases, and the record of deliveries.

use hookaido_model::{
    Attempt, Comeback, DeadReason, EnvelopeId, LaneId, LeaseEnd, LeaseId, Redelivery, Seq, State, UnixMillis,
    after_lease,
};
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
            Ok(held) => Ok(Settled { lane: held.lane, died: end(tx, &held, one, op)? }),
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

/// Ends one lease. Whether the message is dead now.
fn end(tx: &mut Tx<'_, '_>, held: &Found, one: &Settle, op: &SettleBatch) -> Result<bool, Fault> {
    let (seq, lane) = (held.seq, held.lane);
    match &one.settlement {
        Settlement::Ack if op.keep_delivered => {
            tx.sql.deliver.execute((seq.0, op.now.0))?;
            tx.changes.moved(lane, Some(State::Leased), Some(State::Delivered));
        }
        Settlement::Ack => tx.remove(seq, lane, State::Leased, held.content)?,
        Settlement::Nack { ready_at, reason } => {
            return come_back(tx, Ended::of(held), (*ready_at, reason.as_ref()), op.rules.of(lane), op.now);
        }
        Settlement::Release => {
            let attempt = held.attempt.saturating_sub(1);
            queue_again(tx, (seq, lane), held.next_run_at, attempt, None)?;
        }
        Settlement::Bury { reason } => {
            bury(tx, &Ended::of(held), reason.as_ref(), op.now)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// A lease that ended without an ack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) seq: Seq,
    pub(crate) lane: LaneId,
    pub(crate) attempt: u32,
    pub(crate) token: i64,
    /// Where its content is, and where in a bundle.
    pub(crate) content: Option<i64>,
    pub(crate) part: Option<i64>,
}

impl Ended {
    fn of(held: &Found) -> Self {
        let Found { seq, lane, attempt, token, content, part, .. } = *held;
        Self { seq, lane, attempt, token: token.unwrap_or(0), content, part }
    }
}

/// Does what the lane's rule says. Whether the message is dead now.
pub(crate) fn come_back(
    tx: &mut Tx<'_, '_>,
    ended: Ended,
    (ready_at, said): (Option<UnixMillis>, Option<&DeadReason>),
    rule: Redelivery,
    now: UnixMillis,
) -> Result<bool, Fault> {
    let Ended { seq, lane, attempt, token, .. } = ended;
    // What was said before matters only where the message may die.
    let before = if said.is_none() && rule.max_receives.is_some() { last_reason(tx, seq)? } else { None };
    let reason = said.or(before.as_ref());
    match after_lease(LeaseEnd { receives: attempt, ready_at, reason, token: token.cast_unsigned(), now }, &rule) {
        Comeback::Queued { ready_at } => {
            queue_again(tx, (seq, lane), ready_at, attempt, said)?;
            Ok(false)
        }
        Comeback::Dead { reason } => {
            bury(tx, &ended, Some(&reason), now)?;
            Ok(true)
        }
    }
}

fn last_reason(tx: &mut Tx<'_, '_>, seq: Seq) -> Result<Option<DeadReason>, Fault> {
    let reason: Option<String> = tx.sql.last_reason.query_row((seq.0,), |row| row.get(0))?;
    Ok(reason.map(|reason| DeadReason(reason.into())))
}

fn bury(tx: &mut Tx<'_, '_>, ended: &Ended, reason: Option<&DeadReason>, now: UnixMillis) -> Result<(), Fault> {
    bundles::set_apart(tx, ended.seq, ended.content, ended.part)?;
    tx.sql.bury.execute((ended.seq.0, reason.map(DeadReason::as_str), now.0))?;
    tx.changes.moved(ended.lane, Some(State::Leased), Some(State::Dead));
    Ok(())
}

/// Gives back leases whose taker went away. Those that are lost already are no matter.
pub(crate) fn release(tx: &mut Tx<'_, '_>, leases: &[LeaseId]) -> Result<(), Fault> {
    for lease in leases {
        let found = find::at(tx.sql, lease.seq)?;
        if let Ok(held) = held(found, *lease, None, UnixMillis(i64::MIN)) {
            let attempt = held.attempt.saturating_sub(1);
            queue_again(tx, (held.seq, held.lane), held.next_run_at, attempt, None)?;
        }
    }
    Ok(())
}

/// Puts a leased message back into the queue; what was said when, or before, it was given back is kept.
fn queue_again(
    tx: &mut Tx<'_, '_>,
    (seq, lane): (Seq, LaneId),
    next_run_at: UnixMillis,
    attempt: u32,
    said: Option<&DeadReason>,
) -> Result<(), Fault> {
    tx.sql.queue_again.execute((seq.0, next_run_at.0, attempt, said.map(DeadReason::as_str)))?;
    queued(tx, State::Leased, (seq, lane), next_run_at);
    Ok(())
}

/// An operator puts a message back into the queue, as if it were new.
pub(crate) fn requeue(
    tx: &mut Tx<'_, '_>,
    from: State,
    (seq, lane): (Seq, LaneId),
    now: UnixMillis,
) -> Result<(), Fault> {
    tx.sql.requeue.execute((seq.0, now.0))?;
    queued(tx, from, (seq, lane), now);
    Ok(())
}

fn queued(tx: &mut Tx<'_, '_>, from: State, (seq, lane): (Seq, LaneId), next_run_at: UnixMillis) {
    tx.changes.moved(lane, Some(from), Some(State::Queued));
    tx.changes.queued(lane, seq, next_run_at);
    tx.places.queued(seq);
}

/// Records a try to deliver.
pub(crate) fn record(tx: &mut Tx<'_, '_>, attempt: &Attempt) -> Result<(), Fault> {
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
