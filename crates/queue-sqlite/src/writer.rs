//! Writer thread: the only code that may change the queue file.
//!
//! It takes the first waiting operation and all that queued up behind it, applies them in one transaction and answers every caller after
//! the commit, so concurrent webhooks share one sync and a lone one waits for nobody. It never serves lists (see `reader`) and never
//! decides policy. While the disk refuses, it answers at once and tries again by itself.

mod batch;
mod bundles;
mod enqueue;
mod find;
mod idle;
mod import;
mod lease;
mod pick;
mod places;
mod prune;
mod settle;
mod sql;
mod transition;
mod tx;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hookaido_queue::store::{Health, StoreError};
use hookaido_telemetry::StoreOp;
use rusqlite::Connection;

use crate::checkpoint::Checkpointer;
use crate::fault;
use crate::file::{InPlace, PAGE};
use crate::inbox::{Job, Op, Taken};
use crate::lanes::LaneEntry;
use crate::reader::Readers;
use crate::shared::Shared;
pub(crate) use idle::{free_and_all, give_back};
pub(crate) use import::{Loaded, Loader, Standing};
use places::{Places, Random};
use sql::Statements;
use tx::Changes;
pub(crate) use tx::Fault;

/// How long the writer waits for operations before it looks after the file.
const IDLE: Duration = Duration::from_millis(100);
/// Bytes before each page in the log.
const FRAME_HEAD: u32 = 24;

/// What outlives a connection.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    lanes: Vec<Arc<LaneEntry>>,
    places: Places,
    random: Random,
    kept: bundles::Kept,
    depth: u64,
    next_attempt: i64,
    changes: Changes,
    checkpointer: Checkpointer,
    readers: Readers,
    /// Pages in the log after the last commit.
    pages: Arc<AtomicU32>,
    /// Free pages are being given back.
    shrinking: bool,
    /// When the next of them may be, beside work.
    shrink_at: Instant,
    /// How long a commit with a sync takes of late.
    sync_takes: Duration,
    /// Set while writing does not work: when to try again.
    probe_at: Option<Instant>,
    /// Whom to tell when everything is closed.
    closing: Option<Job<(), ()>>,
}

/// A connection and what is known of it.
#[derive(Debug)]
struct Session<'c> {
    conn: &'c Connection,
    sql: Statements<'c>,
    full_sync: bool,
}

/// Why a session ended.
#[derive(Debug)]
enum End {
    /// Somebody asked for it, or the handle is gone; nothing waits any more.
    Closed,
    /// The connection may be in doubt after a fault.
    Reconnect,
}

impl Writer {
    /// Reads what the writer keeps in memory.
    pub(crate) fn load(
        shared: Arc<Shared>,
        conn: &Connection,
        checkpointer: Checkpointer,
        readers: Readers,
    ) -> rusqlite::Result<Self> {
        let lanes = shared.lanes.all();
        let last: Option<i64> = conn.query_row("SELECT max(id) FROM attempt", [], |row| row.get(0))?;
        let depth = lanes.iter().map(|lane| lane.counts().iter().take(2).sum::<u64>()).sum();
        Ok(Self {
            places: Places::load(conn)?,
            random: Random::default(),
            kept: bundles::Kept::default(),
            depth,
            next_attempt: last.unwrap_or(0) + 1,
            changes: Changes::default(),
            checkpointer,
            readers,
            pages: Arc::default(),
            shrinking: false,
            shrink_at: Instant::now(),
            sync_takes: Duration::ZERO,
            probe_at: None,
            closing: None,
            lanes,
            shared,
        })
    }

    /// Serves until the store is closed. Runs on a thread of its own.
    pub(crate) fn run(mut self, conn: Connection) {
        // However this ends, nobody waits for ever.
        let _end = Abandon(Arc::clone(&self.shared));
        let mut conn = Some(conn);
        if self.shared.file.reserve.take().is_err() {
            self.stop_writing(&fault::disk_full());
        }
        loop {
            if let Some(open) = conn.as_mut() {
                match self.session(open) {
                    Ok(End::Closed) => break,
                    Ok(End::Reconnect) => {}
                    Err(error) => {
                        self.stop_writing(&error);
                    }
                }
            }
            drop(conn.take());
            if self.refuse() {
                break;
            }
            conn = self.reconnect();
        }
        self.readers.stop();
        self.checkpointer.stop();
        drop(conn);
        self.shared.file.unlock();
        if let Some(job) = self.closing.take() {
            let _caller_left = job.reply.send(Ok(()));
        }
    }

    fn session(&mut self, conn: &mut Connection) -> rusqlite::Result<End> {
        self.watch_log(conn)?;
        #[cfg(test)]
        {
            let broken = Arc::clone(&self.shared.break_commits);
            conn.commit_hook(Some(move || broken.load(Ordering::Relaxed)))?;
        }
        let mut session = Session { conn, sql: Statements::prepare(conn)?, full_sync: true };
        let mut ops = Vec::new();
        loop {
            let patience = self.probe_at.map_or(IDLE, |at| at.saturating_duration_since(Instant::now()).min(IDLE));
            match self.shared.inbox.take(&mut ops, patience) {
                Taken::Batch => {
                    self.batch(&mut session, &mut ops);
                    self.after_commit(&session);
                    self.shrink_beside(&mut session);
                }
                Taken::Nothing => self.idle(&session),
                Taken::Closed => return Ok(End::Closed),
            }
            if self.probe_at.is_some_and(|at| at <= Instant::now()) && !self.probe(&session) {
                return Ok(End::Reconnect);
            }
        }
    }

    /// Keeps `pages` true, and counts what is appended to the log.
    fn watch_log(&self, conn: &mut Connection) -> rusqlite::Result<()> {
        let (pages, metrics) = (Arc::clone(&self.pages), Arc::clone(&self.shared.metrics));
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count: std::ffi::c_int| {
            let now = u32::try_from(count).unwrap_or(0);
            let before = pages.swap(now, Ordering::Relaxed);
            // Fewer than before: the log began again.
            let added = now.checked_sub(before).unwrap_or(now);
            metrics.wal_appended(u64::from(added) * u64::from(PAGE + FRAME_HEAD));
            Ok(())
        }))
    }

    /// From now on new messages are refused, until a probe succeeds. Whether the rest may go on, in the room of the reserve.
    fn stop_writing(&mut self, error: &rusqlite::Error) -> bool {
        let full = matches!(fault::kind(error), hookaido_telemetry::ErrorKind::DiskFull);
        let room = full && self.shared.file.reserve.give_up();
        let reason = fault::reason(error, &self.shared.file.path);
        self.probe_at = Some(Instant::now() + self.shared.options.probe_every);
        self.shared.set_health(Health::ReadOnly { reason });
        room
    }

    /// Tries to write as much as a message needs. `false`: the connection should be made anew.
    fn probe(&mut self, session: &Session<'_>) -> bool {
        if !self.in_place(session.conn) {
            return true;
        }
        let tried = idle::start_over(session.conn, &self.shared.metrics)
            .and_then(|()| self.keep_room(session.conn))
            .and_then(|()| idle::write_and_erase(session.conn));
        if !session.conn.is_autocommit() {
            let _gone_with_the_connection = session.conn.execute_batch("ROLLBACK");
        }
        match tried {
            Ok(()) => {
                self.probe_at = None;
                self.checkpointer.forget();
                self.shared.set_health(Health::Writable);
                true
            }
            Err(error) => {
                self.stop_writing(&error);
                matches!(fault::kind(&error), hookaido_telemetry::ErrorKind::DiskFull)
            }
        }
    }

    /// Whether the files are where they were. If not, nothing new is taken until they are again.
    fn in_place(&mut self, conn: &Connection) -> bool {
        let path = self.shared.file.path.display();
        let reason = match self.shared.file.place() {
            InPlace::Yes => return true,
            InPlace::Gone => {
                format!("{path} was moved or deleted; put it back, or restart to begin with an empty queue")
            }
            InPlace::Replaced => {
                format!(
                    "{path} was replaced by another file; put the first one back, or restart to go on with the other"
                )
            }
            InPlace::WithoutLog => {
                // It can still be read from here, and what is in it belongs into the file before anybody else opens that.
                let saved = idle::start_over(conn, &self.shared.metrics).is_ok();
                let lost =
                    if saved { "everything accepted is in the file" } else { "its last messages could not be saved" };
                format!("{path}-wal was moved or deleted; {lost}; restart the server")
            }
        };
        self.probe_at = Some(Instant::now() + self.shared.options.probe_every);
        self.shared.set_health(Health::ReadOnly { reason: reason.into() });
        false
    }

    fn reconnect(&mut self) -> Option<Connection> {
        match self.shared.file.connect_writer() {
            Ok(conn) => Some(conn),
            Err(error) => {
                self.stop_writing(&error);
                None
            }
        }
    }

    /// Without a connection: answers everybody until it is time to try again. Whether the store is closed.
    fn refuse(&mut self) -> bool {
        let until = Instant::now() + self.shared.options.probe_every;
        let mut ops = Vec::new();
        while let Some(patience) = until.checked_duration_since(Instant::now()) {
            if self.shared.inbox.take(&mut ops, patience) == Taken::Closed {
                return true;
            }
            let error = self.unavailable();
            for op in ops.drain(..) {
                match op {
                    Op::Close(job) => self.closing = Some(job),
                    op => op.fail(&error),
                }
            }
        }
        false
    }

    fn unavailable(&self) -> StoreError {
        match self.shared.health() {
            Health::ReadOnly { reason } => StoreError::Unavailable(reason),
            Health::Writable => StoreError::Unavailable("the queue file is being opened again".into()),
        }
    }

    fn count_commit(&self, begun: Instant, leases_only: bool) {
        let op = if leases_only { StoreOp::DequeueTx } else { StoreOp::WriteTx };
        self.shared.metrics.operation(op, begun.elapsed());
        self.shared.metrics.count(op, 1);
        self.shared.metrics.count(StoreOp::TxCommit, 1);
    }
}

/// Lets go of everybody who waits when the writer ends, even by a panic.
struct Abandon(Arc<Shared>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.inbox.abandon();
    }
}
