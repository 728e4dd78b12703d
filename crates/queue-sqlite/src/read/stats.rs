//! Ages beside the counts: the oldest queued message and the earliest that is ready, lane by lane.

use std::collections::HashMap;

use hookaido_model::{LaneId, Seq, State, UnixMillis};
use hookaido_queue::store::{LaneStats, Stats};
use rusqlite::{Connection, OptionalExtension};

use crate::counters::Counted;
use crate::rows::received_at;

/// Rows looked at from the oldest place on. A lane that has no queued message among them is answered from its ready index, whose
/// first message is the oldest unless that one waits for a retry.
const LOOK_AT: i64 = 10_000;

pub(crate) fn stats(connection: &Connection, counted: Vec<Counted>) -> rusqlite::Result<Stats> {
    let waiting = counted.iter().filter(|lane| queued(lane) > 0).count();
    let oldest = if waiting > 0 { oldest(connection, waiting)? } else { HashMap::new() };
    let mut lanes = Vec::with_capacity(counted.len());
    for lane in counted {
        let first = if queued(&lane) > 0 { first_ready(connection, lane.lane.id)? } else { None };
        let oldest = oldest.get(&lane.lane.id).copied().or(first.map(|(seq, _)| seq));
        lanes.push(LaneStats {
            counts: lane.counts,
            oldest_queued_received_at: oldest.filter(|_| first.is_some()).map(received_at),
            earliest_queued_next_run_at: first.map(|(_, at)| at),
            lane: lane.lane,
        });
    }
    Ok(Stats { lanes })
}

fn queued(lane: &Counted) -> u64 {
    lane.counts.get(usize::from(State::Queued.code())).copied().unwrap_or_default()
}

/// The first queued message of each lane among the oldest rows.
fn oldest(connection: &Connection, waiting: usize) -> rusqlite::Result<HashMap<LaneId, Seq>> {
    let mut statement = connection.prepare_cached("SELECT seq, lane, state FROM message ORDER BY seq LIMIT ?1")?;
    let mut rows = statement.query([LOOK_AT])?;
    let mut found = HashMap::new();
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(2)? == i64::from(State::Queued.code()) {
            found.entry(LaneId(row.get(1)?)).or_insert(Seq(row.get(0)?));
            if found.len() == waiting {
                break;
            }
        }
    }
    Ok(found)
}

fn first_ready(connection: &Connection, lane: LaneId) -> rusqlite::Result<Option<(Seq, UnixMillis)>> {
    connection
        .prepare_cached(
            "SELECT seq, next_run_at FROM message INDEXED BY message_ready
             WHERE lane = ?1 AND state = 0 ORDER BY next_run_at LIMIT 1",
        )?
        .query_row([lane.0], |row| Ok((Seq(row.get(0)?), UnixMillis(row.get(1)?))))
        .optional()
}
