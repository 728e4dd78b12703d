//! Lists of delivery attempts, the newest first.

use std::fmt::Write;
use std::sync::Arc;

use hookaido_model::{Attempt, AttemptId, AttemptOutcome, DeadReason, LaneId, Seq, UnixMillis};
use hookaido_queue::store::AttemptQuery;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::list::wanted_lanes;
use crate::lanes::Lanes;
use crate::row;

/// Attempts that match.
pub(crate) fn attempts(conn: &Connection, lanes: &Lanes, query: &AttemptQuery) -> rusqlite::Result<Vec<Attempt>> {
    let mut sql = String::from(
        "SELECT id, event_seq, event_nonce, event_id, lane, attempt, status_code, error, outcome, dead_reason, created_at
         FROM attempt WHERE 1",
    );
    let mut values: Vec<Value> = Vec::new();
    if let Some(id) = &query.event_id {
        if let Some((seq, nonce)) = id.place() {
            sql.push_str(" AND event_seq = ? AND event_nonce = ?");
            values.extend([Value::from(seq.0), Value::from(nonce.cast_signed())]);
        } else {
            sql.push_str(" AND event_id = ?");
            values.push(Value::from(id.to_string()));
        }
    }
    if query.route.is_some() || query.target.is_some() {
        let ids = wanted_lanes(lanes, query.route.as_deref(), query.target.as_deref());
        let ids: Vec<String> = ids.iter().map(|entry| entry.lane.id.0.to_string()).collect();
        let _infallible = write!(sql, " AND lane IN ({})", ids.join(","));
    }
    if let Some(outcome) = query.outcome {
        sql.push_str(" AND outcome = ?");
        values.push(Value::from(outcome as i64));
    }
    if let Some(before) = query.before {
        sql.push_str(" AND created_at < ?");
        values.push(Value::from(before.0));
    }
    sql.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(Value::from(query.limit));
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| attempt(row, lanes))?;
    rows.collect()
}

fn attempt(row: &Row<'_>, lanes: &Lanes) -> rusqlite::Result<Attempt> {
    let lane = LaneId(row.get(4)?);
    let lane = lanes.get(lane).ok_or(rusqlite::Error::IntegralValueOutOfRange(4, i64::from(lane.0)))?;
    let given: Option<String> = row.get(3)?;
    let seq = Seq(row.get::<_, Option<i64>>(1)?.unwrap_or(0));
    let nonce = row.get::<_, Option<i64>>(2)?.unwrap_or(0);
    let outcome = row.get(8)?;
    Ok(Attempt {
        id: AttemptId(row.get(0)?),
        event_id: row::id(seq, nonce, given.as_deref()),
        lane: Arc::clone(&lane.lane),
        attempt: row.get(5)?,
        status_code: row.get(6)?,
        error: row.get(7)?,
        outcome: AttemptOutcome::from_code(outcome).ok_or(rusqlite::Error::IntegralValueOutOfRange(8, outcome))?,
        dead_reason: row.get::<_, Option<String>>(9)?.map(|reason| DeadReason(reason.into())),
        created_at: UnixMillis(row.get(10)?),
    })
}
