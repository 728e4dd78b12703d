//! Finding messages from within the transaction.

use hookaido_model::{EnvelopeId, LaneId, Seq, State, UnixMillis};
use rusqlite::{OptionalExtension, Row};

use super::bundles;
use super::sql::Statements;
use super::tx::{Fault, Tx};

/// What decides about a change of one message.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) seq: Seq,
    pub(crate) lane: LaneId,
    pub(crate) state: State,
    pub(crate) token: Option<i64>,
    pub(crate) lease_until: UnixMillis,
    pub(crate) content: Option<i64>,
    pub(crate) part: Option<i64>,
    pub(crate) attempt: u32,
    pub(crate) next_run_at: UnixMillis,
}

/// A message that is to be removed.
#[derive(Debug)]
pub(crate) struct Doomed {
    pub(crate) seq: Seq,
    pub(crate) lane: LaneId,
    pub(crate) content: Option<i64>,
    size: u64,
}

/// The message at a place.
pub(crate) fn at(sql: &mut Statements<'_>, seq: Seq) -> Result<Option<Found>, Fault> {
    let found = sql.get.query_row((seq.0,), |row| found(row, seq)).optional()?;
    Ok(found)
}

/// The message of an id. It has a row afterwards, should it have waited in a bundle.
pub(crate) fn message(tx: &mut Tx<'_, '_>, id: &EnvelopeId) -> Result<Option<Found>, Fault> {
    if let Some((seq, nonce)) = id.place() {
        let made = tx.sql.get.query_row((seq.0,), |row| {
            let same =
                row.get::<_, i64>(6)?.cast_unsigned() == nonce && row.get_ref(7)? == rusqlite::types::ValueRef::Null;
            Ok((same, found(row, seq)?))
        });
        if let Some((true, found)) = made.optional()? {
            return Ok(Some(found));
        }
        if bundles::unfold_around(tx, seq, nonce.cast_signed())? {
            return at(tx.sql, seq);
        }
    }
    let seq = tx.sql.find_given.query_row((id.to_string(),), |row| row.get(0)).optional()?;
    seq.map_or(Ok(None), |seq| at(tx.sql, Seq(seq)))
}

fn found(row: &Row<'_>, seq: Seq) -> rusqlite::Result<Found> {
    Ok(Found {
        seq,
        lane: LaneId(row.get(0)?),
        state: State::from_code(row.get(1)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(1, row.get(1)?))?,
        token: row.get(2)?,
        lease_until: UnixMillis(row.get::<_, Option<i64>>(3)?.unwrap_or(0)),
        content: row.get(4)?,
        attempt: row.get(5)?,
        next_run_at: UnixMillis(row.get(8)?),
        part: row.get(9)?,
    })
}

/// How much one search finds, and how much it looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Messages found.
    pub(crate) rows: u64,
    /// Bytes of content found; passed by at most one message. Large contents are many pages to let go of.
    pub(crate) bytes: u64,
    /// Messages looked at, of any state.
    pub(crate) visits: u64,
}

impl Bounds {
    /// So many messages, whatever it takes.
    pub(crate) fn rows(rows: u64) -> Self {
        Self { rows, bytes: u64::MAX, visits: u64::MAX }
    }

    fn are_reached(self, found: &[Doomed], visited: u64) -> bool {
        let rows = u64::try_from(found.len()).unwrap_or(u64::MAX);
        rows >= self.rows || visited >= self.visits || found.iter().map(|one| one.size).sum::<u64>() >= self.bytes
    }
}

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Oldest {
    pub(crate) doomed: Vec<Doomed>,
    /// It stopped at its bounds: there may be more.
    pub(crate) more: bool,
}

/// The queued messages before `end`, the oldest first, within the bounds. The caller removes them all.
pub(crate) fn oldest_queued(tx: &mut Tx<'_, '_>, end: Seq, bounds: Bounds) -> Result<Oldest, Fault> {
    loop {
        let (doomed, searched) = oldest_rows(tx, end, bounds)?;
        let mut unfolded = 0;
        while unfolded < bounds.rows {
            match bundles::unfold_oldest(tx, searched)? {
                0 => break,
                messages => unfolded += u64::from(messages),
            }
        }
        if unfolded == 0 {
            // Everything queued before the end of the search was found: the next search may begin there.
            tx.places.oldest_queued = searched.max(tx.places.oldest_queued);
            return Ok(Oldest { doomed, more: searched < end });
        }
    }
}

/// Rows, and the place before which there are no others.
fn oldest_rows(tx: &mut Tx<'_, '_>, end: Seq, bounds: Bounds) -> Result<(Vec<Doomed>, Seq), Fault> {
    let mut rows = tx.sql.oldest_queued.query((tx.places.oldest_queued.0, end.0))?;
    let (mut found, mut visited) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        visited += 1;
        if row.get::<_, i64>(4)? == i64::from(State::Queued.code()) {
            found.push(doomed(row)?);
        }
        if bounds.are_reached(&found, visited) {
            let searched = Seq(row.get(0)?).next().unwrap_or(end);
            return Ok((found, searched.min(end)));
        }
    }
    Ok((found, end))
}

/// The messages that reached a final state before `end`, the first of them first, within the bounds.
pub(crate) fn oldest_done(tx: &mut Tx<'_, '_>, state: State, end: UnixMillis, bounds: Bounds) -> Result<Oldest, Fault> {
    let mut rows = tx.sql.done.query((i64::from(state.code()), end.0))?;
    let mut oldest = Oldest::default();
    while let Some(row) = rows.next()? {
        oldest.doomed.push(doomed(row)?);
        if bounds.are_reached(&oldest.doomed, 0) {
            oldest.more = true;
            break;
        }
    }
    Ok(oldest)
}

fn doomed(row: &Row<'_>) -> rusqlite::Result<Doomed> {
    let size = row.get::<_, i64>(3)?.max(0).cast_unsigned();
    Ok(Doomed { seq: Seq(row.get(0)?), lane: LaneId(row.get(1)?), content: row.get(2)?, size })
}
