//! How many frames the write-ahead log holds, as SQLite tells with every commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hookaido_telemetry::StoreMetrics;
use rusqlite::Connection;

/// Bytes of a frame's head.
const FRAME_HEAD: u64 = 24;

/// The number after the last commit.
#[derive(Clone, Debug)]
pub(crate) struct LogSize(Arc<AtomicI64>);

/// Follows the log of the writing connection, and counts the bytes that are appended to it.
pub(crate) fn watch_log(
    connection: &mut Connection,
    page_size: u64,
    metrics: Arc<StoreMetrics>,
) -> rusqlite::Result<LogSize> {
    let frames = Arc::new(AtomicI64::new(0));
    let size = LogSize(Arc::clone(&frames));
    let mut before = 0;
    connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
        let now = i64::from(pages);
        // A smaller number means that the log was started over.
        let added = if now >= before { now - before } else { now };
        before = now;
        frames.store(now, Ordering::SeqCst);
        metrics.wal_appended(u64::try_from(added).unwrap_or_default() * (page_size + FRAME_HEAD));
        Ok(())
    }))?;
    Ok(size)
}

impl LogSize {
    pub(crate) fn frames(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// All of it has been copied: the next commit starts at the beginning.
    pub(crate) fn start_over(&self) {
        self.0.store(0, Ordering::SeqCst);
    }
}
