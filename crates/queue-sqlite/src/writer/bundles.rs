//! Bundles: new messages of a commit that share a row until a worker wants them.
//!
//! Writing fifty small rows costs the file a page and the writer a tree walk each; one bundle costs one. Messages leave a bundle from
//! its front when they are leased, and all at once when anything else is done to one of them. The content stays where it is until the
//! last message is gone.

use std::collections::VecDeque;

use bytes::Bytes;
use hookaido_model::{Content, LaneId, Seq, State};
use rusqlite::{OptionalExtension, Row};

use super::tx::{Fault, Tx};
use crate::bundle::{self, ENOUGH_BYTES, ENOUGH_MESSAGES, SPAN};
use crate::row;

/// Bundles whose bytes are kept in memory: those that workers are about to take from.
const KEPT: usize = 16;
/// Larger ones are read anew.
const KEPT_BYTES: usize = 2 * ENOUGH_BYTES;

/// A bundle in the making.
#[derive(Debug)]
pub(crate) struct Making {
    pub(crate) lane: LaneId,
    first: Seq,
    last: Seq,
    count: u32,
    bytes: Vec<u8>,
}

/// A bundle in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bundle {
    /// Its number, and that of its content.
    pub(crate) id: i64,
    pub(crate) lane: LaneId,
    /// Messages that it was made of.
    pub(crate) count: u32,
    /// Of these, messages that have a row, or had one.
    pub(crate) taken: u32,
}

impl Bundle {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, lane: LaneId(row.get(1)?), count: row.get(2)?, taken: row.get(3)? })
    }

    /// What a message's row says of its content: a lone message owns it.
    pub(crate) fn content(&self) -> Option<i64> {
        (self.count > 1).then_some(self.id)
    }

    /// Messages without a row.
    pub(crate) fn left(&self) -> u32 {
        self.count.saturating_sub(self.taken)
    }
}

/// Bytes of bundles, so that workers that follow the senders read no file.
#[derive(Debug, Default)]
pub(crate) struct Kept(VecDeque<(i64, Bytes)>);

impl Kept {
    fn get(&self, id: i64) -> Option<Bytes> {
        self.0.iter().rev().find(|(known, _)| *known == id).map(|(_, bytes)| bytes.clone())
    }

    fn put(&mut self, id: i64, bytes: Bytes) {
        if bytes.len() <= KEPT_BYTES {
            if self.0.len() >= KEPT {
                self.0.pop_front();
            }
            self.0.push_back((id, bytes));
        }
    }

    /// The content is gone, and its number may be given to another.
    pub(crate) fn forget(&mut self, id: i64) {
        self.0.retain(|(known, _)| *known != id);
    }

    /// After a roll-back: it may hold what was never stored.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Adds a message to the bundle of its lane that this transaction makes.
pub(crate) fn add(tx: &mut Tx<'_, '_>, lane: LaneId, (seq, nonce): (Seq, i64), content: &Content) -> Result<(), Fault> {
    let size = crate::content::size(content);
    let fits = |open: &Making| {
        seq > open.last
            && seq.0 - open.first.0 < SPAN
            && open.count < ENOUGH_MESSAGES
            && open.bytes.len() + size <= ENOUGH_BYTES
    };
    let known = tx.changes.bundle_of(lane);
    match known.and_then(|at| tx.changes.bundles.get_mut(at)).filter(|open| fits(open)) {
        Some(open) => {
            (open.last, open.count) = (seq, open.count + 1);
            bundle::append(&mut open.bytes, seq, nonce, content);
        }
        None => {
            let mut bytes = Vec::new();
            bundle::append(&mut bytes, seq, nonce, content);
            tx.changes.begin_bundle(Making { lane, first: seq, last: seq, count: 1, bytes });
        }
    }
    tx.changes.bundled(lane, 1);
    Ok(())
}

/// Writes the bundles in the making.
pub(crate) fn write(tx: &mut Tx<'_, '_>) -> Result<(), Fault> {
    for made in tx.changes.take_bundles() {
        let empty: &[u8] = &[];
        tx.sql.insert_content.execute((made.first.0, empty, empty, made.bytes.as_slice()))?;
        tx.sql.insert_bundle.execute((made.first.0, made.lane.0, made.last.0, made.count))?;
        tx.changes.made_bundle(made.lane, made.first);
        tx.kept.put(made.first.0, Bytes::from(made.bytes));
    }
    Ok(())
}

/// The first bundle of a lane behind `after`.
pub(crate) fn next_of_lane(tx: &mut Tx<'_, '_>, lane: LaneId, after: i64) -> Result<Option<Bundle>, Fault> {
    Ok(tx.sql.next_of_lane.query_row((lane.0, after), Bundle::from_row).optional()?)
}

/// The bytes of a bundle.
pub(crate) fn bytes(tx: &mut Tx<'_, '_>, id: i64) -> Result<Bytes, Fault> {
    if let Some(bytes) = tx.kept.get(id) {
        return Ok(bytes);
    }
    let read = tx.sql.content.query_row((id,), |row| Ok(Bytes::copy_from_slice(row.get_ref(2)?.as_blob()?)))?;
    tx.kept.put(id, read.clone());
    Ok(read)
}

/// The first message that was taken from a bundle makes its content a shared one.
pub(crate) fn share(tx: &mut Tx<'_, '_>, of: &Bundle) -> Result<(), Fault> {
    if of.taken == 0 && of.count > 1 {
        tx.sql.insert_shared.execute((of.id, of.count))?;
    }
    Ok(())
}

/// Gives every message that is left in a bundle a row, queued.
pub(crate) fn unfold(tx: &mut Tx<'_, '_>, of: &Bundle) -> Result<(), Fault> {
    let bytes = bytes(tx, of.id)?;
    share(tx, of)?;
    let taken = usize::try_from(of.taken).unwrap_or(usize::MAX);
    let mut left = 0;
    for part in bundle::parts(&bytes).skip(taken) {
        let state = i64::from(State::Queued.code());
        let at = row::received_at(part.seq).0;
        let (size, offset) = (number(part.size()), number(part.offset));
        let nothing: Option<i64> = None;
        tx.sql.insert_taken.execute((
            part.seq.0,
            of.lane.0,
            state,
            at,
            part.nonce,
            size,
            nothing,
            nothing,
            of.content(),
            offset,
        ))?;
        tx.changes.unfolded(of.lane, part.seq);
        tx.places.queued(part.seq);
        left += 1;
    }
    if left != of.left() {
        return Err(damaged("a bundle does not hold what it says"));
    }
    tx.sql.delete_bundle.execute((of.id,))?;
    tx.changes.bundled(of.lane, -i64::from(left));
    Ok(())
}

/// Unfolds the bundle in which the message with this place and these random bits waits. Whether there is one.
pub(crate) fn unfold_around(tx: &mut Tx<'_, '_>, seq: Seq, nonce: i64) -> Result<bool, Fault> {
    let around = tx.sql.bundles_around.query_map((seq.0, SPAN), Bundle::from_row)?;
    let around = around.collect::<Result<Vec<_>, _>>()?;
    for of in around {
        let bytes = bytes(tx, of.id)?;
        let taken = usize::try_from(of.taken).unwrap_or(usize::MAX);
        if bundle::parts(&bytes).skip(taken).any(|part| part.seq == seq && part.nonce == nonce) {
            unfold(tx, &of)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Unfolds the oldest bundle if it holds a message before `end`. How many messages have a row now.
pub(crate) fn unfold_oldest(tx: &mut Tx<'_, '_>, end: Seq) -> Result<u32, Fault> {
    let oldest = tx.sql.oldest_bundle.query_row([], |row| Ok((Bundle::from_row(row)?, row.get::<_, i64>(4)?)));
    match oldest.optional()? {
        Some((of, head)) if head < end.0 => unfold(tx, &of).map(|()| of.left()),
        _ => Ok(0),
    }
}

/// A message that stays gets its content for itself, so that it does not keep that of its whole bundle.
pub(crate) fn set_apart(tx: &mut Tx<'_, '_>, seq: Seq, content: Option<i64>, part: Option<i64>) -> Result<(), Fault> {
    let (Some(id), Some(offset)) = (content, part) else { return Ok(()) };
    if id == seq.0 {
        // Its content would have the number of the bundle's.
        return Ok(());
    }
    let bytes = bytes(tx, id)?;
    let part = part_at(&bytes, offset)?;
    let (headers, trace, payload) = part.columns();
    tx.sql.insert_content.execute((seq.0, headers, trace, payload))?;
    tx.sql.own_content.execute((seq.0,))?;
    tx.changes.release(id);
    Ok(())
}

/// The content of a message that has a row.
pub(crate) fn content(
    tx: &mut Tx<'_, '_>,
    seq: Seq,
    content: Option<i64>,
    part: Option<i64>,
) -> Result<Content, Fault> {
    let id = content.unwrap_or(seq.0);
    let Some(offset) = part else {
        return Ok(tx.sql.content.query_row((id,), |row| crate::content::from_row(row, 0))?);
    };
    let bytes = bytes(tx, id)?;
    Ok(part_at(&bytes, offset)?.content())
}

fn part_at(bytes: &[u8], offset: i64) -> Result<bundle::Part<'_>, Fault> {
    let part = usize::try_from(offset).ok().and_then(|offset| bundle::part_at(bytes, offset));
    part.ok_or_else(|| damaged("a message begins behind the end of its bundle"))
}

/// Bytes that make no sense. Something may be written already, so the transaction must not be committed.
pub(crate) fn damaged(what: &'static str) -> Fault {
    Fault::Sql(rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, what.into()))
}

/// As SQLite has numbers.
pub(crate) fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
