//! What a queue file holds and how large it is: from tallies and the ends of indexes, so that it costs the same on any length.

use std::path::Path;
use std::sync::Arc;

use hookaido_model::{Lane, Seq, State, UnixMillis};
use rusqlite::{Connection, OptionalExtension};

use super::error::ToolError;
use super::open::{beside, reading, size};
use crate::lanes::Lanes;
use crate::row;

/// A queue file as it was found.
#[derive(Clone, Debug)]
pub struct FileStats {
    /// Its schema.
    pub schema_version: i64,
    /// Every lane that was ever used, in order of id.
    pub lanes: Vec<LaneRow>,
    /// Attempts on record.
    pub attempts: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Of these, bytes that hold nothing.
    pub free_bytes: u64,
    /// Bytes of the write-ahead log.
    pub log_bytes: u64,
    /// Bytes kept back for the time when the disk is full.
    pub reserve_bytes: u64,
}

/// A lane.
#[derive(Clone, Debug)]
pub struct LaneRow {
    /// Which.
    pub lane: Arc<Lane>,
    /// Messages by [`State::code`].
    pub counts: [u64; 5],
    /// The queued message that is leased next; it may not be ready yet.
    pub next: Option<Ready>,
}

/// When a message came and when it may be leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Receipt.
    pub received_at: UnixMillis,
    /// Earliest lease.
    pub ready_at: UnixMillis,
}

impl FileStats {
    /// Messages of all lanes in one state.
    #[must_use]
    pub fn total(&self, state: State) -> u64 {
        self.lanes.iter().filter_map(|lane| lane.counts.get(usize::from(state.code()))).sum()
    }
}

/// Reads the figures of a queue file, as one snapshot.
///
/// # Errors
/// The file is not there, not a queue, or cannot be read.
pub fn stats(path: &Path) -> Result<FileStats, ToolError> {
    let open = reading(path)?;
    let read = || -> rusqlite::Result<FileStats> {
        let _snapshot = open.conn.unchecked_transaction()?;
        let number = |sql: &str| open.conn.query_row(sql, [], |row| row.get::<_, i64>(0));
        let page = number("PRAGMA page_size")?.cast_unsigned();
        Ok(FileStats {
            schema_version: open.version,
            lanes: lanes(&open.conn)?,
            // Numbered without gaps.
            attempts: number("SELECT coalesce(max(id) - min(id) + 1, 0) FROM attempt")?.cast_unsigned(),
            file_bytes: number("PRAGMA page_count")?.cast_unsigned() * page,
            free_bytes: number("PRAGMA freelist_count")?.cast_unsigned() * page,
            log_bytes: size(&beside(path, "-wal")),
            reserve_bytes: size(&beside(path, ".reserve")),
        })
    };
    read().map_err(|source| ToolError::sqlite(path, source))
}

fn lanes(conn: &Connection) -> rusqlite::Result<Vec<LaneRow>> {
    let mut earliest = conn.prepare(
        "SELECT seq, received_at, next_run_at FROM message INDEXED BY message_ready WHERE lane = ?1 AND state = 0
         ORDER BY next_run_at, seq LIMIT 1",
    )?;
    let mut bundled =
        conn.prepare("SELECT head FROM bundle INDEXED BY bundle_lane WHERE lane = ?1 ORDER BY seq LIMIT 1")?;
    let mut rows = Vec::new();
    for entry in Lanes::load(conn)?.all() {
        let next = earliest.query_row((entry.lane.id.0,), |found| {
            let (seq, given) = (Seq(found.get(0)?), found.get::<_, Option<i64>>(1)?);
            let received_at = given.map_or_else(|| row::received_at(seq), UnixMillis);
            Ok(Ready { received_at, ready_at: UnixMillis(found.get(2)?) })
        });
        // Whatever is bundled is ready from its receipt on.
        let head = bundled.query_row((entry.lane.id.0,), |found| {
            let at = row::received_at(Seq(found.get(0)?));
            Ok(Ready { received_at: at, ready_at: at })
        });
        let next = next.optional()?.into_iter().chain(head.optional()?).min_by_key(|ready| ready.ready_at);
        rows.push(LaneRow { lane: Arc::clone(&entry.lane), counts: entry.counts(), next });
    }
    Ok(rows)
}
