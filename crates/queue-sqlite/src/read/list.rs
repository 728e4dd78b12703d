//! Lists of messages.

use std::fmt::Write;
use std::sync::Arc;

use hookaido_model::{DeadReason, Envelope, EnvelopeId, Lane, LaneId, LeaseId, Seq, State, UnixMillis};
use hookaido_queue::store::ListQuery;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::rows::{content, envelope_id, received_at};

const COLUMNS: &str = "message.seq, message.lane, message.state, message.next_run_at, message.attempt, message.nonce, \
     message.given_id, message.dead_reason, message.lease_token, message.lease_until";

/// Finds the messages of a query. `lanes` are those that exist.
pub(crate) fn list(connection: &Connection, query: &ListQuery, lanes: &[Arc<Lane>]) -> rusqlite::Result<Vec<Envelope>> {
    let wanted = |lane: &&Arc<Lane>| {
        query.route.as_ref().is_none_or(|route| *route == lane.route)
            && query.target.as_ref().is_none_or(|target| *target == lane.target)
    };
    let matching: Vec<LaneId> = lanes.iter().filter(wanted).map(|lane| lane.id).collect();
    if matching.is_empty() || query.limit == 0 {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(query);
    if matching.len() < lanes.len() {
        sql.one_of("lane", matching.iter().map(|lane| i64::from(lane.0)));
    }
    if let Some(ids) = &query.ids {
        let seqs = ids.iter().map(|id| seq_of(connection, id)).collect::<rusqlite::Result<Vec<_>>>()?;
        sql.one_of("seq", seqs.into_iter().flatten().map(|seq| seq.0));
    }
    let mut statement = connection.prepare_cached(&sql.finish())?;
    let mut rows = statement.query(rusqlite::params_from_iter(sql.parameters))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(envelope(row, lanes, query.content)?);
    }
    Ok(found)
}

/// A statement in the making.
struct Sql {
    text: String,
    parameters: Vec<Value>,
    oldest_first: bool,
    limit: u32,
}

impl Sql {
    fn new(query: &ListQuery) -> Self {
        let mut text = format!("SELECT {COLUMNS}");
        if query.content {
            text.push_str(
                ", content.payload, content.headers, content.trace FROM message \
                 LEFT JOIN content ON content.id = coalesce(message.content, message.seq)",
            );
        } else {
            text.push_str(" FROM message");
        }
        text.push_str(" WHERE true");
        let mut sql = Self { text, parameters: Vec::new(), oldest_first: query.oldest_first, limit: query.limit };
        // Written out for ended states, so that their partial index serves the list.
        match query.states.as_slice() {
            [] => {}
            [state] if *state as u8 >= State::Delivered as u8 => {
                let _infallible = write!(sql.text, " AND message.state >= 2 AND message.state = {}", state.code());
            }
            [state] => {
                let _infallible = write!(sql.text, " AND message.state = {}", state.code());
            }
            several => sql.one_of("state", several.iter().map(|state| i64::from(state.code()))),
        }
        if let Some(before) = query.before {
            sql.text.push_str(" AND message.seq < ?");
            sql.parameters.push(Value::Integer(Seq::first_at(before).0));
        }
        sql
    }

    fn one_of(&mut self, column: &str, values: impl Iterator<Item = i64>) {
        let _infallible = write!(self.text, " AND message.{column} IN (SELECT value FROM json_each(?))");
        let list: Vec<String> = values.map(|value| value.to_string()).collect();
        self.parameters.push(Value::Text(format!("[{}]", list.join(","))));
    }

    fn finish(&mut self) -> String {
        let order = if self.oldest_first { "ASC" } else { "DESC" };
        format!("{} ORDER BY message.seq {order} LIMIT {}", self.text, self.limit)
    }
}

fn seq_of(connection: &Connection, id: &EnvelopeId) -> rusqlite::Result<Option<Seq>> {
    if let Some((seq, nonce)) = id.place() {
        let found = connection
            .prepare_cached("SELECT 1 FROM message WHERE seq = ?1 AND nonce = ?2 AND given_id IS NULL")?
            .query_row([seq.0, i64::try_from(nonce).unwrap_or(i64::MAX)], |_| Ok(()))
            .optional()?;
        if found.is_some() {
            return Ok(Some(seq));
        }
    }
    connection
        .prepare_cached("SELECT seq FROM message WHERE given_id = ?1")?
        .query_row([id.to_string()], |row| row.get(0).map(Seq))
        .optional()
}

/// The envelope of a row; `None` for a lane that was added after `lanes` were taken.
fn envelope(row: &Row<'_>, lanes: &[Arc<Lane>], with_content: bool) -> rusqlite::Result<Option<Envelope>> {
    let (seq, id) = (Seq(row.get(0)?), LaneId(row.get(1)?));
    let Some(lane) = lanes.binary_search_by_key(&id, |lane| lane.id).ok().and_then(|at| lanes.get(at)) else {
        return Ok(None);
    };
    let given: Option<String> = row.get(6)?;
    let token: Option<i64> = row.get(8)?;
    Ok(Some(Envelope {
        id: envelope_id(seq, row.get(5)?, given.as_deref()),
        lane: Arc::clone(lane),
        state: State::from_code(row.get(2)?).unwrap_or(State::Queued),
        received_at: received_at(seq),
        next_run_at: UnixMillis(row.get(3)?),
        attempt: row.get(4)?,
        lease: token.map(|token| LeaseId { seq, token: token.cast_unsigned() }),
        lease_until: row.get::<_, Option<i64>>(9)?.map(UnixMillis),
        dead_reason: row.get::<_, Option<String>>(7)?.map(|reason| DeadReason(reason.into())),
        content: if with_content { Some(Arc::new(content_or_empty(row)?)) } else { None },
    }))
}

fn content_or_empty(row: &Row<'_>) -> rusqlite::Result<hookaido_model::Content> {
    if matches!(row.get_ref(10)?, rusqlite::types::ValueRef::Null) {
        return Ok(hookaido_model::Content::default());
    }
    content(row, 10)
}
