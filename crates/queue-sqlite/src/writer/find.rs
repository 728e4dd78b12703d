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

/// At most `n` queued messages before `end`, the oldest first. The caller removes them all.
pub(crate) fn oldest_queued(tx: &mut Tx<'_, '_>, end: Seq, n: u64) -> Result<Vec<Doomed>, Fault> {
    loop {
        let oldest = oldest_rows(tx, end, n)?;
        let enough = u64::try_from(oldest.len()).is_ok_and(|found| found >= n);
        let end = if enough { oldest.last().map_or(end, |last| last.seq) } else { end };
        if !bundles::unfold_oldest(tx, end)? {
            // Everything queued before the end of the search was found: the next search may begin there.
            tx.places.oldest_queued = end.max(tx.places.oldest_queued);
            return Ok(oldest);
        }
    }
}

fn oldest_rows(tx: &mut Tx<'_, '_>, end: Seq, n: u64) -> Result<Vec<Doomed>, Fault> {
    let limit = i64::try_from(n).unwrap_or(i64::MAX);
    let rows = tx.sql.oldest_queued.query_map((tx.places.oldest_queued.0, end.0, limit), doomed)?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?)
}

/// At most `n` messages that reached a final state before `end`, the first of them first.
pub(crate) fn oldest_done(tx: &mut Tx<'_, '_>, state: State, end: UnixMillis, n: u64) -> Result<Vec<Doomed>, Fault> {
    let limit = i64::try_from(n).unwrap_or(i64::MAX);
    let rows = tx.sql.done.query_map((i64::from(state.code()), end.0, limit), doomed)?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?)
}

fn doomed(row: &Row<'_>) -> rusqlite::Result<Doomed> {
    Ok(Doomed { seq: Seq(row.get(0)?), lane: LaneId(row.get(1)?), content: row.get(2)? })
}
