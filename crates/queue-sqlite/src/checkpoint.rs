//! Copying the write-ahead log into the file, so that the log begins again at its first byte.
//!
//! A thread of its own copies and syncs the bulk while the writer goes on; the writer itself copies only the few pages that came
//! meanwhile, because the log can begin again only when nothing in it is left to copy. So a commit never waits for more than a
//! small checkpoint, and the log file is overwritten in place rather than grown.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hookaido_telemetry::{ErrorKind, StoreMetrics, StoreOp};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use crate::fault;
use crate::file::PAGE;

/// Pages the writer copies itself rather than ask again.
const SMALL: u32 = (1 << 20) / PAGE;
/// Pages that make a checkpoint in an idle moment worth its syncs.
const WORTHWHILE: u32 = (1 << 20) / PAGE;
/// Rounds in the background before the writer finishes whatever is left.
const ROUNDS: u32 = 3;
/// Time after a checkpoint that failed before another is tried in an idle moment.
const REST: Duration = Duration::from_secs(5);

/// What a checkpoint did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Copied {
    /// Pages in the log.
    pub(crate) log: u32,
    /// Of these, pages that are in the file now.
    pub(crate) copied: u32,
}

/// Copies what can be copied without making anybody wait.
pub(crate) fn passive(conn: &Connection, metrics: &StoreMetrics) -> rusqlite::Result<Copied> {
    run(conn, "PRAGMA wal_checkpoint(PASSIVE)", metrics)
}

/// Copies everything, waits for readers, and makes the next commit begin the log anew. An error when that was not possible.
pub(crate) fn restart(conn: &Connection, metrics: &StoreMetrics) -> rusqlite::Result<Copied> {
    let done = run(conn, "PRAGMA wal_checkpoint(RESTART)", metrics)?;
    if done.copied < done.log {
        return Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None));
    }
    Ok(done)
}

/// Copies everything and cuts the log to nothing, if nobody reads.
pub(crate) fn truncate(conn: &Connection, metrics: &StoreMetrics) -> rusqlite::Result<Copied> {
    run(conn, "PRAGMA wal_checkpoint(TRUNCATE)", metrics)
}

fn run(conn: &Connection, sql: &str, metrics: &StoreMetrics) -> rusqlite::Result<Copied> {
    let begun = Instant::now();
    let pages = |number: i64| u32::try_from(number).unwrap_or(0);
    let done = conn.query_row(sql, [], |row| Ok(Copied { log: pages(row.get(1)?), copied: pages(row.get(2)?) }));
    match &done {
        Ok(_) => metrics.operation(StoreOp::Checkpoint, begun.elapsed()),
        Err(error) => metrics.error(StoreOp::Checkpoint, fault::kind(error)),
    }
    done
}

/// The thread.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
    /// Checkpoints since the log began.
    rounds: u32,
    /// Pages that must be in the log before the next one.
    next_at: u32,
    /// Pages in the log when all of them were in the file.
    clean: u32,
    /// After a failure: no idle moment is used before.
    rest_until: Option<Instant>,
    /// The one under way began before the disk took writes again: its failure says nothing any more.
    outdated: bool,
}

#[derive(Debug, Default)]
struct Desk {
    state: Mutex<State>,
    asked: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Idle,
    Asked,
    Done(Result<Copied, ErrorKind>),
    Stopped,
}

impl Checkpointer {
    /// Starts the thread on its connection. Without one (the thread could not start) the writer does everything itself.
    pub(crate) fn start(conn: Connection, metrics: Arc<StoreMetrics>) -> Self {
        let desk = Arc::new(Desk::default());
        let work = Arc::clone(&desk);
        let thread = std::thread::Builder::new().name("queue-checkpoint".into());
        let thread = thread.spawn(move || work.serve(&conn, &metrics)).ok();
        Self { desk, thread, rounds: 0, next_at: 0, clean: 0, rest_until: None, outdated: false }
    }

    /// After a commit that left `pages` in the log, `limit` being the size at which it should begin again. Whether the disk turned out
    /// to be full.
    pub(crate) fn after_commit(&mut self, conn: &Connection, metrics: &StoreMetrics, pages: u32, limit: u32) -> bool {
        let finished = {
            let mut state = self.desk.state.lock();
            match *state {
                State::Asked | State::Stopped => return false,
                State::Done(copied) => {
                    *state = State::Idle;
                    Some(copied)
                }
                State::Idle => None,
            }
        };
        let outdated = finished.is_some() && std::mem::take(&mut self.outdated);
        match finished {
            Some(Err(_)) if outdated => self.next_at = 0,
            // In vain: not again before the log has grown a good deal.
            Some(Err(_)) => self.next_at = pages.saturating_add(limit),
            Some(Ok(done)) => self.finish(conn, metrics, pages, done),
            None if pages < limit => (self.rounds, self.next_at) = (0, 0),
            None if pages >= self.next_at => self.ask(),
            None => {}
        }
        !outdated && matches!(finished, Some(Err(ErrorKind::DiskFull)))
    }

    /// Writing works again: what failed before is forgotten, so that it does not stop new messages once more.
    pub(crate) fn forget(&mut self) {
        let mut state = self.desk.state.lock();
        match *state {
            State::Done(_) => *state = State::Idle,
            State::Asked => self.outdated = true,
            State::Idle | State::Stopped => {}
        }
        (self.next_at, self.rest_until) = (0, None);
    }

    /// When nothing waits: lets a log of some size begin again with the next commit.
    pub(crate) fn when_idle(&mut self, pages: u32) {
        {
            let mut state = self.desk.state.lock();
            if let State::Done(done) = *state {
                *state = State::Idle;
                match done {
                    Ok(done) if done.copied >= pages => self.clean = pages,
                    Ok(_) => {}
                    Err(_) if std::mem::take(&mut self.outdated) => {}
                    Err(_) => self.rest_until = Instant::now().checked_add(REST),
                }
            }
        }
        let rested = self.rest_until.is_none_or(|until| until <= Instant::now());
        if pages >= WORTHWHILE && pages != self.clean && rested {
            self.ask();
        }
    }

    /// The bulk is copied: does the rest, or asks once more when the writer is far ahead.
    fn finish(&mut self, conn: &Connection, metrics: &StoreMetrics, pages: u32, done: Copied) {
        let rest = pages.saturating_sub(done.copied);
        self.rounds += 1;
        if pages < done.copied || rest == 0 {
            return;
        }
        if rest > SMALL && self.rounds < ROUNDS {
            return self.ask();
        }
        let whole = passive(conn, metrics).is_ok_and(|last| last.copied >= last.log);
        // A reader may still hold the log; it is let grow by half rather than tried again with every commit.
        self.next_at = if whole { pages + 1 + pages / 2 } else { pages + pages / 2 };
    }

    /// Asks the thread for a checkpoint, unless one is under way.
    pub(crate) fn ask(&self) {
        let mut state = self.desk.state.lock();
        if matches!(*state, State::Idle | State::Done(_)) && self.thread.is_some() {
            *state = State::Asked;
            self.desk.asked.notify_one();
        }
    }

    /// Ends the thread and waits for it.
    pub(crate) fn stop(&mut self) {
        *self.desk.state.lock() = State::Stopped;
        self.desk.asked.notify_one();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl Desk {
    fn serve(&self, conn: &Connection, metrics: &StoreMetrics) {
        loop {
            {
                let mut state = self.state.lock();
                while !matches!(*state, State::Asked | State::Stopped) {
                    self.asked.wait(&mut state);
                }
                if matches!(*state, State::Stopped) {
                    return;
                }
            }
            let done = passive(conn, metrics).map_err(|error| {
                let kind = fault::kind(&error);
                tracing::warn!(target: "hookaido", error = %error, kind = kind.as_str(), "queue_checkpoint_failed");
                kind
            });
            let mut state = self.state.lock();
            if matches!(*state, State::Asked) {
                *state = State::Done(done);
            }
        }
    }
}
