//! Lists of messages by lane, state and time of receipt.
//!
//! Each state has its own way: few messages come from the index of their state and are sorted; many are met soon when the table is
//! read in order of receipt. The counters in memory say which it is, and which states need not be looked at. Queued messages without a
//! row of their own come from [`super::bundles`].

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use hookaido_model::{Envelope, LaneId, Seq, State};
use hookaido_queue::store::ListQuery;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::bundles;
use crate::lanes::{LaneEntry, Lanes};
use crate::{content, row};

/// Up to this many messages are fetched by state and sorted.
const FEW: u64 = 4096;

/// Messages that match.
pub(crate) fn list(conn: &Connection, lanes: &Lanes, query: &ListQuery) -> rusqlite::Result<Vec<Envelope>> {
    // One snapshot for all statements.
    let snapshot = conn.unchecked_transaction()?;
    let wanted = wanted_lanes(lanes, query.route.as_deref(), query.target.as_deref());
    let filter = Filter { query, lanes, wanted: &wanted };
    let mut found = match &query.ids {
        Some(_) => filter.by_id(conn)?,
        None => filter.by_state(conn)?,
    };
    found.sort_by_key(|placed| placed.seq);
    if !query.oldest_first {
        found.reverse();
    }
    found.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
    if query.content {
        add_content(conn, &mut found)?;
    }
    drop(snapshot);
    Ok(found.into_iter().map(|placed| placed.envelope).collect())
}

/// Lanes of a route, a target, or both.
pub(super) fn wanted_lanes(lanes: &Lanes, route: Option<&str>, target: Option<&str>) -> Vec<Arc<LaneEntry>> {
    let same = |wanted: Option<&str>, name: &str| wanted.is_none_or(|wanted| wanted == name);
    let mut wanted = lanes.all();
    wanted.retain(|entry| same(route, &entry.lane.route) && same(target, &entry.lane.target));
    wanted
}

/// What is wanted.
pub(super) struct Filter<'q> {
    pub(super) query: &'q ListQuery,
    pub(super) lanes: &'q Lanes,
    pub(super) wanted: &'q [Arc<LaneEntry>],
}

/// A message that was found, and where its content is.
pub(super) struct Placed {
    pub(super) seq: Seq,
    pub(super) content: i64,
    /// Where it begins in the content of a bundle.
    pub(super) part: Option<i64>,
    pub(super) envelope: Envelope,
}

impl Filter<'_> {
    pub(super) fn wants(&self, state: State) -> bool {
        self.query.states.is_empty() || self.query.states.contains(&state)
    }

    fn by_state(&self, conn: &Connection) -> rusqlite::Result<Vec<Placed>> {
        let mut many = Vec::new();
        let mut found = Vec::new();
        for state in State::ALL.into_iter().filter(|state| self.wants(*state)) {
            match self.wanted.iter().map(|entry| entry.rows(state)).sum::<u64>() {
                0 => {}
                count if count <= FEW || state >= State::Delivered => found.extend(self.select(conn, by_index(state))?),
                _ => many.push(state.code().to_string()),
            }
        }
        if !many.is_empty() {
            let source = format!("message NOT INDEXED WHERE state IN ({})", many.join(","));
            found.extend(self.select(conn, &source)?);
        }
        if self.wants(State::Queued) && self.wanted.iter().any(|entry| entry.bundled() > 0) {
            found.extend(bundles::select(conn, self)?);
        }
        Ok(found)
    }

    /// `source` names the table, its index and the states.
    fn select(&self, conn: &Connection, source: &str) -> rusqlite::Result<Vec<Placed>> {
        let (mut sql, mut values) = (format!("SELECT {} FROM {source}", row::ENVELOPE_COLUMNS), Vec::new());
        if self.query.route.is_some() || self.query.target.is_some() {
            let ids: Vec<String> = self.wanted.iter().map(|entry| entry.lane.id.0.to_string()).collect();
            let _infallible = write!(sql, " AND lane IN ({})", ids.join(","));
        }
        if let Some(before) = self.query.before {
            sql.push_str(" AND seq < ?");
            values.push(Value::from(Seq::first_at(before).0));
        }
        sql.push_str(if self.query.oldest_first { " ORDER BY seq LIMIT ?" } else { " ORDER BY seq DESC LIMIT ?" });
        values.push(Value::from(self.query.limit));
        let mut statement = conn.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(values), |row| self.placed(row))?;
        rows.collect()
    }

    fn by_id(&self, conn: &Connection) -> rusqlite::Result<Vec<Placed>> {
        let columns = row::ENVELOPE_COLUMNS;
        let mut by_seq = conn.prepare_cached(&format!("SELECT {columns} FROM message WHERE seq = ?1"))?;
        let mut by_text = conn.prepare_cached(&format!("SELECT {columns} FROM message WHERE given_id = ?1"))?;
        let wanted: HashSet<LaneId> = self.wanted.iter().map(|entry| entry.lane.id).collect();
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for id in self.query.ids.iter().flatten().filter(|id| seen.insert(*id)) {
            let mut hit = None;
            if let Some((seq, _)) = id.place() {
                let row = by_seq.query_row((seq.0,), |row| self.placed(row)).optional()?;
                hit = row.filter(|placed| placed.envelope.id == *id);
            }
            if let (None, Some((seq, nonce))) = (&hit, id.place()) {
                hit = bundles::find(conn, self, seq, nonce)?;
            }
            if hit.is_none() {
                hit = by_text.query_row((id.to_string(),), |row| self.placed(row)).optional()?;
            }
            found.extend(hit.filter(|Placed { envelope, .. }| {
                let early = self.query.before.is_none_or(|before| envelope.received_at < before);
                early && self.wants(envelope.state) && wanted.contains(&envelope.lane.id)
            }));
        }
        Ok(found)
    }

    fn placed(&self, row: &Row<'_>) -> rusqlite::Result<Placed> {
        let (seq, lane) = (Seq(row.get(0)?), LaneId(row.get(1)?));
        let lane = self.lanes.get(lane).ok_or(rusqlite::Error::IntegralValueOutOfRange(1, i64::from(lane.0)))?;
        let content = row.get::<_, Option<i64>>(row::CONTENT_COLUMN)?.unwrap_or(seq.0);
        let part = row.get(row::CONTENT_COLUMN + 1)?;
        Ok(Placed { seq, content, part, envelope: row::envelope(row, Arc::clone(&lane.lane))? })
    }
}

/// The table through the index of a state.
fn by_index(state: State) -> &'static str {
    match state {
        State::Queued => "message INDEXED BY message_ready WHERE state = 0",
        State::Leased => "message INDEXED BY message_leased WHERE state = 1",
        State::Delivered => "message INDEXED BY message_done WHERE state = 2 AND state >= 2",
        State::Dead => "message INDEXED BY message_done WHERE state = 3 AND state >= 2",
        State::Canceled => "message INDEXED BY message_done WHERE state = 4 AND state >= 2",
    }
}

fn add_content(conn: &Connection, found: &mut [Placed]) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached("SELECT headers, trace, payload FROM content WHERE id = ?1")?;
    for placed in found {
        if placed.envelope.content.is_some() {
            continue;
        }
        let content = statement.query_row((placed.content,), |row| match placed.part {
            None => content::from_row(row, 0),
            Some(offset) => bundles::content(row.get_ref(2)?.as_blob()?, offset),
        })?;
        placed.envelope.content = Some(Arc::new(content));
    }
    Ok(())
}
