//! Queued messages that lie in bundles and have no row of their own.

use std::fmt::Write;
use std::sync::Arc;

use hookaido_model::{Content, Envelope, LaneId, Seq, State};
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, Row, Statement, params_from_iter};

use super::list::{Filter, Placed};
use crate::bundle::{self, Part, SPAN};
use crate::row;

/// Columns of a bundle. Its bytes are read apart, for most bundles that are met need not be opened.
const COLUMNS: &str = "seq, lane, taken, last FROM bundle";
/// The bytes of a bundle.
const BYTES: &str = "SELECT payload FROM content WHERE id = ?1";

/// The first messages of the wanted lanes in the wanted order: as many as the query's limit, or a few more.
pub(super) fn select(conn: &Connection, filter: &Filter<'_>) -> rusqlite::Result<Vec<Placed>> {
    let lanes: Vec<LaneId> =
        filter.wanted.iter().filter(|entry| entry.bundled() > 0).map(|entry| entry.lane.id).collect();
    let mut found = Vec::new();
    if let [lane] = lanes.as_slice() {
        walk(conn, filter, &format!("lane = {}", lane.0), &mut found)?;
    } else {
        let mut condition = String::from("lane IN (");
        for (at, lane) in lanes.iter().enumerate() {
            let _infallible = write!(condition, "{}{}", if at == 0 { "" } else { "," }, lane.0);
        }
        condition.push(')');
        // Read in order of receipt: without an index on lanes that would have to be sorted.
        walk(conn, filter, &format!("+{condition}"), &mut found)?;
    }
    Ok(found)
}

fn walk(conn: &Connection, filter: &Filter<'_>, condition: &str, found: &mut Vec<Placed>) -> rusqlite::Result<()> {
    let query = filter.query;
    let mut sql = format!("SELECT {COLUMNS} WHERE {condition}");
    let before = query.before.map_or(i64::MAX, |before| Seq::first_at(before).0);
    sql.push_str(if query.oldest_first { " AND seq < ? ORDER BY seq" } else { " AND seq < ? ORDER BY seq DESC" });
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let mut statement = conn.prepare_cached(&sql)?;
    let mut bytes = conn.prepare_cached(BYTES)?;
    let mut rows = statement.query(params_from_iter([Value::from(before)]))?;
    // Bundles overlap by at most their span, so a few behind the limit may hold messages that belong before it.
    let mut stop = None;
    while let Some(row) = rows.next()? {
        let first: i64 = row.get(0)?;
        let beyond = |stop: i64| if query.oldest_first { first > stop } else { first < stop.saturating_sub(SPAN) };
        if stop.is_some_and(beyond) {
            break;
        }
        if !query.oldest_first && stop.is_some_and(|stop| row.get(3).is_ok_and(|last: i64| last < stop)) {
            continue;
        }
        each(row, &mut bytes, filter, |part, placed| {
            if part.seq.0 < before {
                found.push(placed);
            }
        })?;
        if stop.is_none() && found.len() >= limit {
            let seqs = found.iter().map(|placed| placed.seq.0);
            stop = if query.oldest_first { seqs.max() } else { seqs.min() };
        }
    }
    Ok(())
}

/// The message with this place and these random bits, if it lies in a bundle.
pub(super) fn find(conn: &Connection, filter: &Filter<'_>, seq: Seq, nonce: u64) -> rusqlite::Result<Option<Placed>> {
    let sql =
        format!("SELECT {COLUMNS} WHERE seq BETWEEN ?1 - ?2 AND ?1 AND last >= ?1 AND head <= ?1 ORDER BY seq DESC");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut bytes = conn.prepare_cached(BYTES)?;
    let mut rows = statement.query((seq.0, SPAN))?;
    let mut found = None;
    while let (None, Some(row)) = (&found, rows.next()?) {
        each(row, &mut bytes, filter, |part, placed| {
            if part.seq == seq && part.nonce.cast_unsigned() == nonce {
                found = Some(placed);
            }
        })?;
    }
    Ok(found)
}

/// The messages of a row of [`COLUMNS`] that were not taken.
fn each(
    row: &Row<'_>,
    bytes: &mut Statement<'_>,
    filter: &Filter<'_>,
    mut visit: impl FnMut(&Part<'_>, Placed),
) -> rusqlite::Result<()> {
    let (id, lane, taken) = (row.get(0)?, LaneId(row.get(1)?), row.get::<_, u32>(2)?);
    let lane = filter.lanes.get(lane).ok_or(rusqlite::Error::IntegralValueOutOfRange(1, i64::from(lane.0)))?;
    bytes.query_row((id,), |row| {
        for part in bundle::parts(row.get_ref(0)?.as_blob()?).skip(usize::try_from(taken).unwrap_or(usize::MAX)) {
            let at = row::received_at(part.seq);
            let envelope = Envelope {
                id: part.id(),
                lane: Arc::clone(&lane.lane),
                state: State::Queued,
                received_at: at,
                next_run_at: at,
                attempt: 0,
                lease: None,
                lease_until: None,
                dead_reason: None,
                content: filter.query.content.then(|| Arc::new(part.content())),
            };
            visit(&part, Placed { seq: part.seq, content: id, part: None, envelope });
        }
        Ok(())
    })
}

/// The content of the message that begins at `offset` of a bundle.
pub(super) fn content(bytes: &[u8], offset: i64) -> rusqlite::Result<Content> {
    let part = usize::try_from(offset).ok().and_then(|offset| bundle::part_at(bytes, offset));
    let damaged =
        || rusqlite::Error::FromSqlConversionFailure(2, Type::Blob, "a message begins behind its bundle".into());
    part.map(|part| part.content()).ok_or_else(damaged)
}
