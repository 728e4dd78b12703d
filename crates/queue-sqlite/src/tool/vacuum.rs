//! Giving the free pages of a queue file back to the disk.
//!
//! In slices, each a transaction of its own: whatever stops it, the file is whole, and what was given back stays given back. Needs no room
//! for a second copy of the file.

use std::path::Path;

use hookaido_telemetry::Metrics;
use rusqlite::Connection;

use super::error::ToolError;
use super::open::size;
use super::{Progress, Unit, Watch};
use crate::file::{PAGE, QueueFile};
use crate::writer::{free_and_all, give_back};
use crate::{SqliteOptions, checkpoint};

/// Pages given back in one transaction.
const SLICE: i64 = 1024;
/// Slices after which the log is copied into the file and cut.
const SLICES: u32 = 16;

/// What was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vacuum {
    /// Bytes of the file before, its log left out.
    pub before: u64,
    /// Bytes of the file now.
    pub after: u64,
}

/// Gives back every free page, and cuts the log to nothing.
///
/// # Errors
/// The file is not there, not a queue, in use, or cannot be written. What was given back before an error stays given back.
pub fn vacuum(path: &Path, watch: Watch<'_>) -> Result<Vacuum, ToolError> {
    std::fs::metadata(path).map_err(|source| ToolError::io(path, source))?;
    let advice = "stop it first; a running server gives free pages back by itself, beside its work";
    let (file, conn) =
        QueueFile::open(path, SqliteOptions::default()).map_err(|error| ToolError::open(error, advice))?;
    let before = size(path);
    let done = shrink(&conn, watch).map_err(|source| ToolError::sqlite(path, source));
    drop(conn);
    file.unlock();
    done.map(|()| Vacuum { before, after: size(path) })
}

fn shrink(conn: &Connection, watch: Watch<'_>) -> rusqlite::Result<()> {
    let (metrics, _exporter) = Metrics::new();
    let (all, _) = free_and_all(conn)?;
    let bytes = |pages: i64| pages.max(0).cast_unsigned() * u64::from(PAGE);
    let mut slices = 0;
    loop {
        let (free, _) = free_and_all(conn)?;
        watch(Progress { doing: "giving back", done: bytes(all - free), total: bytes(all), unit: Unit::Bytes });
        if free == 0 {
            break;
        }
        give_back(conn, SLICE)?;
        slices += 1;
        if slices % SLICES == 0 {
            checkpoint::truncate(conn, &metrics.store)?;
        }
    }
    checkpoint::truncate(conn, &metrics.store).map(|_| ())
}
