//! `hookaido db stats` as a table or as JSON.

use std::fmt::Write;

use hookaido_model::{Clock, State, SystemClock, UnixMillis};
use hookaido_queue_sqlite::tool::{self, FileStats, LaneRow, ToolError};
use serde_json::{Value, json};

use super::Answer;
use crate::args::DbFile;
use crate::progress::{size, thousands};

pub(super) fn stats(options: &DbFile) -> Result<Answer, ToolError> {
    let found = tool::stats(&options.db)?;
    let now = SystemClock.now();
    Ok(Answer { text: text(options, &found, now), json: json_of(options, &found, now), fine: true })
}

fn text(options: &DbFile, found: &FileStats, now: UnixMillis) -> String {
    let head = ["route", "target"].into_iter().chain(State::ALL.map(State::as_str)).chain(["oldest ready"]);
    let mut table: Vec<Vec<String>> = vec![head.map(str::to_owned).collect()];
    for row in &found.lanes {
        let mut cells = vec![row.lane.route.to_string(), row.lane.target.to_string()];
        cells.extend(row.counts.map(thousands));
        cells.push(waiting(row, now));
        table.push(cells);
    }
    let mut sums = vec!["in all".to_owned(), String::new()];
    sums.extend(State::ALL.map(|state| thousands(found.total(state))));
    sums.push(String::new());
    table.push(sums);

    let mut text = lines(&table);
    let facts = [
        ("attempts", thousands(found.attempts)),
        ("schema", found.schema_version.to_string()),
        (
            "file",
            format!("{}, {} of it free ({})", size(found.file_bytes), size(found.free_bytes), options.db.display()),
        ),
        ("log", size(found.log_bytes)),
        ("reserve", size(found.reserve_bytes)),
    ];
    text.push('\n');
    for (name, fact) in facts {
        let _infallible = writeln!(text, "{name:<10}{fact}");
    }
    text
}

/// Texts to the left, numbers to the right.
fn lines(table: &[Vec<String>]) -> String {
    let columns = table.first().map_or(0, Vec::len);
    let width =
        |at: usize| table.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in table {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _infallible = if at < 2 { write!(line, "{cell:<width$}  ") } else { write!(line, "{cell:>width$}  ") };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How long the next message of a lane could have been leased.
fn waiting(row: &LaneRow, now: UnixMillis) -> String {
    let Some(next) = row.next.filter(|next| next.ready_at <= now) else { return "-".to_owned() };
    let seconds = now.since(next.ready_at).as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

fn json_of(options: &DbFile, found: &FileStats, now: UnixMillis) -> Value {
    let states = |counts: &dyn Fn(State) -> u64| -> serde_json::Map<String, Value> {
        State::ALL.into_iter().map(|state| (state.as_str().to_owned(), json!(counts(state)))).collect()
    };
    let lane = |row: &LaneRow| {
        let count = |state: State| row.counts.get(usize::from(state.code())).copied().unwrap_or(0);
        let ready = row.next.filter(|next| next.ready_at <= now);
        json!({
            "route": row.lane.route, "target": row.lane.target, "messages": states(&count),
            "oldest_ready": ready.map(|next| json!({
                "received_at": next.received_at.to_string(), "ready_at": next.ready_at.to_string(),
                "ready_seconds": now.since(next.ready_at).as_secs(),
            })),
            "next_ready_at": row.next.map(|next| next.ready_at.to_string()),
        })
    };
    json!({
        "ok": true, "file": options.db, "schema_version": found.schema_version,
        "messages": states(&|state| found.total(state)), "attempts": found.attempts,
        "lanes": found.lanes.iter().map(lane).collect::<Vec<_>>(),
        "bytes": { "file": found.file_bytes, "free": found.free_bytes, "log": found.log_bytes, "reserve": found.reserve_bytes },
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use hookaido_model::{Lane, LaneId};
    use hookaido_queue_sqlite::tool::Ready;

    use super::*;
    use crate::args::Format;

    const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

    fn figures() -> FileStats {
        let lane = |id, route: &str, counts, ready_at: Option<i64>| LaneRow {
            lane: Arc::new(Lane { id: LaneId(id), route: route.into(), target: "pull".into() }),
            counts,
            next: ready_at.map(|at| Ready { received_at: UnixMillis(NOW.0 - 9_000_000), ready_at: UnixMillis(at) }),
        };
        FileStats {
            schema_version: 1,
            lanes: vec![
                lane(1, "/orders", [12_345, 0, 1, 0, 0], Some(NOW.0 - 3_725_000)),
                lane(2, "/b", [1, 2, 3, 4, 5], Some(NOW.0 + 1)),
                lane(3, "/c", [0; 5], None),
            ],
            attempts: 1000,
            file_bytes: 4096,
            free_bytes: 0,
            log_bytes: 0,
            reserve_bytes: 32 << 20,
        }
    }

    #[test]
    fn the_table_lines_up() {
        let options = DbFile { db: PathBuf::from("q.db"), format: Format::Text };
        let want = "\
route    target  queued  leased  delivered  dead  canceled  oldest ready
/orders  pull    12,345       0          1     0         0         1h 2m
/b       pull         1       2          3     4         5             -
/c       pull         0       0          0     0         0             -
in all           12,346       2          4     4         5

attempts  1,000
schema    1
file      4.0 KiB, 0 bytes of it free (q.db)
log       0 bytes
reserve   32.0 MiB
";
        assert_eq!(text(&options, &figures(), NOW), want);
    }

    #[test]
    fn json_tells_what_is_ready_and_what_will_be() {
        let options = DbFile { db: PathBuf::from("q.db"), format: Format::Json };
        let found = json_of(&options, &figures(), NOW);
        assert_eq!(found.pointer("/lanes/0/oldest_ready/ready_seconds"), Some(&json!(3725)));
        assert_eq!(found.pointer("/lanes/1/oldest_ready"), Some(&Value::Null));
        assert_eq!(found.pointer("/lanes/1/next_ready_at"), Some(&json!("2026-09-21T14:13:20.001Z")));
        assert_eq!(found.pointer("/messages/queued"), Some(&json!(12_346)));
    }
}
