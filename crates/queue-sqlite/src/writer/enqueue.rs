//! New messages: all of an operation or none.

use std::collections::HashSet;
use std::sync::Arc;

use hookaido_model::{EnvelopeId, LaneId, Seq, State, UnixMillis};
use hookaido_queue::store::{Admission, Enqueue, Enqueued, NewMessage, StoreError};

use super::bundles;
use super::find::{self, Bounds};
use super::tx::{Fault, Tx};
use crate::bundle::ENOUGH_BYTES;
use crate::fault::corrupt;
use crate::inbox::Stored;
use crate::{content, row};

/// Stores the messages. Everything that can be refused is refused before the first row is written.
pub(crate) fn enqueue(tx: &mut Tx<'_, '_>, op: &Enqueue) -> Result<Stored, Fault> {
    let incoming = check(tx, op)?;
    let dropped = match Admission::decide(op.limits, tx.depth(), incoming) {
        Admission::Admit => 0,
        Admission::MakeRoom(n) => {
            bundles::write(tx)?;
            make_room(tx, n)?
        }
        Admission::Refuse => return Err(StoreError::Full.into()),
    };
    let mut ids = Vec::with_capacity(usize::try_from(incoming).unwrap_or(0));
    for message in &op.messages {
        match message.lanes.as_slice() {
            [lane] if may_be_bundled(message) => bundle(tx, *lane, message, &mut ids)?,
            _ => insert(tx, message, &mut ids)?,
        }
    }
    Ok(Stored { done: Enqueued { ids, dropped }, spent: Vec::new() })
}

/// Refuses unknown lanes and ids that are taken; says how many envelopes there will be.
fn check(tx: &mut Tx<'_, '_>, op: &Enqueue) -> Result<u64, Fault> {
    let mut incoming = 0;
    let mut given: HashSet<&str> = HashSet::new();
    for message in &op.messages {
        incoming += u64::try_from(message.lanes.len()).unwrap_or(u64::MAX);
        if message.lanes.is_empty() {
            return Err(corrupt("a message without a lane").into());
        }
        for lane in &message.lanes {
            tx.lane(*lane)?;
        }
        if let Some(text) = &message.id {
            let id = EnvelopeId::from(text.as_ref());
            if !given.insert(text) || find::message(tx, &id)?.is_some() {
                return Err(StoreError::Conflict(EnvelopeId::Given(Arc::clone(text))).into());
            }
        }
    }
    Ok(incoming)
}

/// Removes the `n` oldest queued messages.
fn make_room(tx: &mut Tx<'_, '_>, n: u64) -> Result<u64, Fault> {
    if tx.count(State::Queued) < n {
        return Err(StoreError::Full.into());
    }
    let oldest = find::oldest_queued(tx, Seq(i64::MAX), Bounds::rows(n))?.doomed;
    for found in &oldest {
        tx.remove(found.seq, found.lane, State::Queued, found.content)?;
    }
    Ok(u64::try_from(oldest.len()).unwrap_or(u64::MAX))
}

/// Whether it says nothing that its place in a bundle does not: for one lane, ready at once, without an id of the sender.
fn may_be_bundled(message: &NewMessage) -> bool {
    message.id.is_none() && message.next_run_at == message.received_at && content::size(&message.content) < ENOUGH_BYTES
}

/// Puts the message into the bundle of its lane.
fn bundle(tx: &mut Tx<'_, '_>, lane: LaneId, message: &NewMessage, ids: &mut Vec<EnvelopeId>) -> Result<(), Fault> {
    let seq = place(tx, message.received_at)?;
    if row::received_at(seq) != message.received_at {
        return insert_at(tx, seq, message, ids);
    }
    let nonce = (tx.random.next()? >> 10).cast_signed();
    bundles::add(tx, lane, (seq, nonce), &message.content)?;
    tx.changes.moved(lane, None, Some(State::Queued));
    tx.changes.ready(lane, message.next_run_at);
    ids.push(row::id(seq, nonce, None));
    Ok(())
}

/// A place for a message.
fn place(tx: &mut Tx<'_, '_>, received_at: UnixMillis) -> Result<Seq, Fault> {
    if let Some(seq) = tx.places.known(received_at) {
        return Ok(seq);
    }
    bundles::write(tx)?;
    tx.places.asked(received_at, tx.sql)
}

/// Writes the content once and a message for each lane.
fn insert(tx: &mut Tx<'_, '_>, message: &NewMessage, ids: &mut Vec<EnvelopeId>) -> Result<(), Fault> {
    let seq = place(tx, message.received_at)?;
    insert_at(tx, seq, message, ids)
}

/// The first message at a place, the others behind it.
fn insert_at(tx: &mut Tx<'_, '_>, at: Seq, message: &NewMessage, ids: &mut Vec<EnvelopeId>) -> Result<(), Fault> {
    let size = i64::try_from(content::size(&message.content)).unwrap_or(i64::MAX);
    let fan_out = message.lanes.len() > 1;
    let mut first: Option<Seq> = None;
    let mut given: Option<&Arc<str>> = message.id.as_ref();
    for lane in &message.lanes {
        let seq = if first.is_none() { at } else { place(tx, message.received_at)? };
        let content = *first.get_or_insert(seq);
        let nonce = (tx.random.next()? >> 10).cast_signed();
        let exact = row::received_at(seq) == message.received_at;
        let received_at = (!exact).then_some(message.received_at.0);
        let text = given.take();
        tx.sql.insert_message.execute((
            seq.0,
            lane.0,
            message.next_run_at.0,
            nonce,
            size,
            fan_out.then_some(content.0),
            received_at,
            text.map(AsRef::as_ref),
        ))?;
        tx.changes.moved(*lane, None, Some(State::Queued));
        tx.changes.queued(*lane, seq, UnixMillis(message.next_run_at.0));
        tx.places.queued(seq);
        ids.push(row::id(seq, nonce, text.map(AsRef::as_ref)));
    }
    let Some(id) = first else { return Ok(()) };
    let (headers, trace) = (message.content.headers.as_bytes(), message.content.trace.as_bytes());
    tx.sql.insert_content.execute((id.0, headers.as_ref(), trace.as_ref(), message.content.payload.as_ref()))?;
    if fan_out {
        tx.sql.insert_shared.execute((id.0, i64::try_from(message.lanes.len()).unwrap_or(i64::MAX)))?;
    }
    Ok(())
}
