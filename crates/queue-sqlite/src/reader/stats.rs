//! Counts and ages of lanes: the counts from memory, the ages from the two ends of an index.

use std::sync::Arc;

use hookaido_model::{Seq, State, UnixMillis};
use hookaido_queue::store::{LaneStats, Stats};
use rusqlite::{Connection, OptionalExtension, Statement};

use crate::lanes::{LaneEntry, Lanes};
use crate::row;

/// Of every lane that was ever used, in order of id.
pub(crate) fn stats(conn: &Connection, lanes: &Lanes) -> rusqlite::Result<Stats> {
    // Searched from where the last search ended: what lies before is settled.
    let mut oldest = conn.prepare_cached(
        "SELECT seq, received_at FROM message WHERE seq >= ?1 AND lane = ?2 AND state = 0 ORDER BY seq LIMIT 1",
    )?;
    let mut earliest = conn.prepare_cached(
        "SELECT next_run_at FROM message INDEXED BY message_ready WHERE lane = ?1 AND state = 0 ORDER BY next_run_at LIMIT 1",
    )?;
    let mut bundled =
        conn.prepare_cached("SELECT head FROM bundle INDEXED BY bundle_lane WHERE lane = ?1 ORDER BY seq LIMIT 1")?;
    let mut stats = Stats::default();
    for entry in lanes.all() {
        let counts = entry.counts();
        let mut of_lane = LaneStats {
            lane: Arc::clone(&entry.lane),
            counts,
            oldest_queued_received_at: None,
            earliest_queued_next_run_at: None,
        };
        if entry.rows(State::Queued) > 0 {
            of_lane.oldest_queued_received_at = oldest_received(&mut oldest, &entry)?;
            let at = earliest.query_row((entry.lane.id.0,), |row| row.get(0)).optional()?;
            of_lane.earliest_queued_next_run_at = at.map(UnixMillis);
        }
        if entry.bundled() > 0 {
            // Whatever is bundled is ready from its receipt on.
            let head: Option<i64> = bundled.query_row((entry.lane.id.0,), |row| row.get(0)).optional()?;
            let at = head.map(|head| row::received_at(Seq(head)));
            for age in [&mut of_lane.oldest_queued_received_at, &mut of_lane.earliest_queued_next_run_at] {
                *age = age.take().into_iter().chain(at).min();
            }
        }
        stats.lanes.push(of_lane);
    }
    Ok(stats)
}

fn oldest_received(statement: &mut Statement<'_>, entry: &LaneEntry) -> rusqlite::Result<Option<UnixMillis>> {
    let since = entry.oldest();
    let found = statement
        .query_row((since.from.0, entry.lane.id.0), |row| Ok((Seq(row.get(0)?), row.get::<_, Option<i64>>(1)?)))
        .optional()?;
    let Some((seq, received_at)) = found else { return Ok(None) };
    entry.found_oldest(since, seq);
    Ok(Some(received_at.map_or_else(|| row::received_at(seq), UnixMillis)))
}
