//! Lists of attempts.

use std::sync::Arc;

use hookaido_model::{Attempt, AttemptId, AttemptOutcome, DeadReason, Lane, LaneId, UnixMillis};
use hookaido_queue::store::AttemptQuery;
use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use crate::rows::{event_key, event_of};

/// Finds the attempts of a query, the newest first.
pub(crate) fn attempts(
    connection: &Connection,
    query: &AttemptQuery,
    lanes: &[Arc<Lane>],
) -> rusqlite::Result<Vec<Attempt>> {
    let wanted = |lane: &&Arc<Lane>| {
        query.route.as_ref().is_none_or(|route| *route == lane.route)
            && query.target.as_ref().is_none_or(|target| *target == lane.target)
    };
    let matching: Vec<String> = lanes.iter().filter(wanted).map(|lane| lane.id.0.to_string()).collect();
    if matching.is_empty() || query.limit == 0 {
        return Ok(Vec::new());
    }
    let mut sql = String::from(
        "SELECT id, event, lane, attempt, outcome, status_code, error, dead_reason, created_at FROM attempt WHERE true",
    );
    let mut parameters = Vec::new();
    if matching.len() < lanes.len() {
        sql.push_str(" AND lane IN (SELECT value FROM json_each(?))");
        parameters.push(Value::Text(format!("[{}]", matching.join(","))));
    }
    if let Some(event) = &query.event_id {
        sql.push_str(" AND event = ?");
        parameters.push(Value::Blob(event_key(event)));
    }
    if let Some(outcome) = query.outcome {
        sql.push_str(" AND outcome = ?");
        parameters.push(Value::Integer(outcome as i64));
    }
    if let Some(before) = query.before {
        sql.push_str(" AND created_at < ?");
        parameters.push(Value::Integer(before.0));
    }
    sql.push_str(" ORDER BY id DESC LIMIT ?");
    parameters.push(Value::Integer(i64::from(query.limit)));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(attempt(row, lanes)?);
    }
    Ok(found)
}

fn attempt(row: &Row<'_>, lanes: &[Arc<Lane>]) -> rusqlite::Result<Option<Attempt>> {
    let id = LaneId(row.get(2)?);
    let Some(lane) = lanes.binary_search_by_key(&id, |lane| lane.id).ok().and_then(|at| lanes.get(at)) else {
        return Ok(None);
    };
    Ok(Some(Attempt {
        id: AttemptId(row.get(0)?),
        event_id: event_of(row.get_ref(1)?.as_blob()?),
        lane: Arc::clone(lane),
        attempt: row.get(3)?,
        outcome: AttemptOutcome::from_code(row.get(4)?).unwrap_or(AttemptOutcome::Retry),
        status_code: row.get(5)?,
        error: row.get(6)?,
        dead_reason: row.get::<_, Option<String>>(7)?.map(|reason| DeadReason(reason.into())),
        created_at: UnixMillis(row.get(8)?),
    }))
}
