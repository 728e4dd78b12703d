//! What the writer does when nothing waits, or when it is asked to look after the file.

use std::sync::atomic::Ordering;
use std::time::Instant;

use hookaido_telemetry::StoreMetrics;
use rusqlite::Connection;

use super::{Session, Writer};
use crate::file::PAGE;
use crate::{checkpoint, fault};

/// Free pages that are kept for new messages.
const KEEP_FREE: i64 = (16 << 20) / PAGE as i64;
/// Pages given back in one transaction.
const SLICE: i64 = 256;
/// The same beside work, where somebody waits for the end of it.
const SMALL_SLICE: i64 = 64;
/// For each part of its time that giving back takes beside work, so many go to the work.
const REST: u32 = 20;
/// Size at which the log begins again while the disk is full.
const SMALL_LOG: u32 = 1 << 20;
/// Slices of free pages that one probe gives back to the disk.
const SLICES: u32 = 32;
/// Bytes of content that a probe writes.
const PROBE: i64 = 64 << 10;

impl Writer {
    /// After a batch: keeps the log from growing.
    pub(super) fn after_commit(&mut self, session: &Session<'_>) {
        // A log that cannot grow is begun anew early.
        let limit = if self.probe_at.is_some() { SMALL_LOG } else { self.shared.options.checkpoint_bytes };
        let limit = limit.min(self.shared.options.checkpoint_bytes) / PAGE;
        let pages = self.pages.load(Ordering::Relaxed);
        if self.checkpointer.after_commit(session.conn, &self.shared.metrics, pages, limit) {
            // Before the log takes what is left.
            self.stop_writing(&fault::disk_full());
        }
    }

    /// Takes the reserve again. As long as there is no room for it, gives free pages of the file back to the disk.
    pub(super) fn keep_room(&self, conn: &Connection) -> rusqlite::Result<()> {
        for _ in 0..SLICES {
            if self.shared.file.reserve.take().is_ok() {
                return Ok(());
            }
            if free_and_all(conn)?.0 == 0 {
                break;
            }
            give_back(conn, SLICE)?;
            // Cuts the file; and the log, in case it is what takes the room.
            checkpoint::truncate(conn, &self.shared.metrics)?;
        }
        self.shared.file.reserve.take().map_err(|_full| fault::disk_full())
    }

    /// Nothing waits.
    pub(super) fn idle(&mut self, session: &Session<'_>) {
        if self.probe_at.is_some() {
            return;
        }
        self.shrink(session.conn);
        self.checkpointer.when_idle(self.pages.load(Ordering::Relaxed));
    }

    /// Somebody asked for upkeep.
    pub(super) fn maintain(&mut self, conn: &Connection) {
        if !self.in_place(conn) || self.probe_at.is_some() {
            return;
        }
        match free_and_all(conn) {
            // Small gaps are soon filled again; a file that is mostly gaps is cut.
            Ok((free, all)) => self.shrinking = free > KEEP_FREE && free > all / 4,
            Err(error) => tracing::warn!(target: "hookaido", error = %error, "queue_maintenance_failed"),
        }
        self.shrink(conn);
        if self.shared.file.log_bytes() > self.shared.options.log_limit_bytes && self.shared.inbox.is_empty() {
            // Fails only when a reader is at work; then the next time.
            let _tried = checkpoint::truncate(conn, &self.shared.metrics);
        }
    }

    /// Gives back one slice of free pages after the other until somebody waits.
    fn shrink(&mut self, conn: &Connection) {
        while self.shrinking && self.shared.inbox.is_empty() {
            self.shrink_by(conn, SLICE);
        }
    }

    /// After a batch: a small slice now and then, so that the file shrinks though somebody waits all the time.
    pub(super) fn shrink_beside(&mut self, session: &mut Session<'_>) {
        let begun = Instant::now();
        if !self.shrinking || self.probe_at.is_some() || begun < self.shrink_at {
            return;
        }
        // Nothing is lost if a power cut undoes it.
        if session.set_sync(false).is_ok() {
            self.shrink_by(session.conn, SMALL_SLICE);
        }
        self.shrink_at = Instant::now() + begun.elapsed() * REST;
    }

    fn shrink_by(&mut self, conn: &Connection, pages: i64) {
        let left = give_back(conn, pages).and_then(|()| free_and_all(conn));
        self.shrinking = left.is_ok_and(|(free, _)| free > KEEP_FREE);
        let pages = self.pages.load(Ordering::Relaxed);
        let limit = self.shared.options.checkpoint_bytes / PAGE;
        self.checkpointer.after_commit(conn, &self.shared.metrics, pages, limit);
    }
}

/// Cuts up to `pages` free pages off the file, in one transaction. Every step of the statement cuts one.
pub(crate) fn give_back(conn: &Connection, pages: i64) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut steps = statement.query([])?;
    while steps.next()?.is_some() {}
    Ok(())
}

/// Free pages, and all pages.
pub(crate) fn free_and_all(conn: &Connection) -> rusqlite::Result<(i64, i64)> {
    let free = conn.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    let all = conn.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    Ok((free, all))
}

/// After a fault: copies the whole log, so that it begins anew. What a failed sync may have left out of it then no longer matters, and a
/// log that the disk has no room to grow gets room.
pub(super) fn start_over(conn: &Connection, metrics: &StoreMetrics) -> rusqlite::Result<()> {
    checkpoint::restart(conn, metrics).map(|_| ())
}

/// Writes about as much as a message needs, under a place that no message has, and removes it again.
pub(super) fn write_and_erase(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(&format!(
        "PRAGMA synchronous = FULL;
         BEGIN IMMEDIATE;
         INSERT OR REPLACE INTO content (id, headers, trace, payload) VALUES (-1, x'', x'', zeroblob({PROBE}));
         COMMIT;
         BEGIN IMMEDIATE;
         DELETE FROM content WHERE id = -1;
         COMMIT;"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slice_is_one_transaction_of_many_pages() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "PRAGMA auto_vacuum = INCREMENTAL; CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(400000)); DELETE FROM t;",
        )
        .unwrap();
        let (free, all) = free_and_all(&conn).unwrap();
        assert!(free > 90, "{free}");
        give_back(&conn, 60).unwrap();
        assert_eq!(free_and_all(&conn).unwrap(), (free - 60, all - 60));
    }
}
