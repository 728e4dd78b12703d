//! Taking over the messages and attempts of a Hookaido 2 database: all of them in one transaction, or none.
//!
//! What was taken once is remembered by its id, so that nothing is delivered again by importing again, even long after it was settled.
//! Memory does not grow with the number of messages; the disk has to hold them twice until the end.

use std::borrow::Cow;
use std::path::Path;

use hookaido_model::{Attempt, AttemptId, DeadReason, EnvelopeId, State, UnixMillis};
use hookaido_queue::store::StoreError;
use hookaido_telemetry::Metrics;
use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::error::ToolError;
use super::source::{OldAttempt, OldMessage, Source, Totals};
use super::{Progress, Unit, Watch};
use crate::file::QueueFile;
use crate::writer::{Fault, Loaded, Loader, Standing};
use crate::{SqliteOptions, checkpoint};

/// Page cache. The indexes of ids are filled in random order: what does not fit is written and read again and again.
const CACHE: u32 = 128 << 20;
/// Rows between two reports of progress.
const EVERY: u64 = 256;
/// Longest text of an error, in bytes.
const LONGEST_ERROR: usize = 1024;

/// What to import.
#[derive(Clone, Copy, Debug)]
pub struct Import<'a> {
    /// The database of a Hookaido 2.
    pub source: &'a Path,
    /// The queue file that takes it; created if there is none.
    pub queue: &'a Path,
    /// Pass over what was imported before, rather than refuse.
    pub only_new: bool,
    /// The present.
    pub now: UnixMillis,
}

/// What was imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Messages by [`State::code`] of the state that they have here.
    pub messages: [u64; 5],
    /// Attempts.
    pub attempts: u64,
    /// Messages and attempts that had been imported before.
    pub known: u64,
    /// Runtime secrets of the source, which were not taken over.
    pub secrets: u64,
    /// Samples of the backlog's trend, which were not taken over.
    pub samples: u64,
}

/// Takes over the source.
///
/// # Errors
/// The source is no such database, is in use or contradicts itself; the queue is in use or cannot be written; all or some of it was
/// imported before. Nothing was changed then.
pub fn import(order: &Import<'_>, watch: Watch<'_>) -> Result<Imported, ToolError> {
    let source = Source::open(order.source)?;
    let totals = source.totals()?;
    let options = SqliteOptions { cache_bytes: CACHE, ..SqliteOptions::default() };
    let advice = "stop it first";
    let (file, conn) = QueueFile::open(order.queue, options).map_err(|error| ToolError::open(error, advice))?;
    let work = Work { order, source: &source, totals, conn: &conn };
    let done = work.run(watch);
    if done.is_err() && !conn.is_autocommit() {
        let _nothing_was_committed = conn.execute_batch("ROLLBACK");
    }
    let (metrics, _exporter) = Metrics::new();
    // The log has grown to the size of what was imported. A server would cut it, too.
    let _later = checkpoint::truncate(&conn, &metrics.store);
    drop(conn);
    file.unlock();
    done
}

struct Work<'w> {
    order: &'w Import<'w>,
    source: &'w Source,
    totals: Totals,
    conn: &'w Connection,
}

impl Work<'_> {
    fn run(&self, watch: Watch<'_>) -> Result<Imported, ToolError> {
        let known = self.known(watch)?;
        let mut loader = Loader::begin(self.conn, &self.source.pairs()?).map_err(|fault| self.fault(fault))?;
        let mut done = Imported { secrets: self.totals.secrets, samples: self.totals.samples, ..Imported::default() };
        let mut remember = Remember::prepare(self.conn, known > 0).map_err(|error| self.sql(error))?;
        let total = self.totals.messages + self.totals.attempts;
        let mut rows = 0_u64;
        let mut tick = |doing| {
            if rows.is_multiple_of(EVERY) {
                watch(Progress { doing, done: rows, total, unit: Unit::Rows });
            }
            rows += 1;
        };
        self.source.messages(|message| {
            tick("importing messages");
            if !remember.is_new(&message.id).map_err(|error| self.sql(error))? {
                done.known += 1;
                return Ok(());
            }
            let loaded = self.message(&loader, message)?;
            let state = loaded.standing.state();
            loader.message(loaded).map_err(|fault| self.fault(fault))?;
            if let Some(count) = done.messages.get_mut(usize::from(state.code())) {
                *count += 1;
            }
            Ok(())
        })?;
        self.source.attempts(|attempt| {
            tick("importing attempts");
            if !remember.is_new(&attempt.id).map_err(|error| self.sql(error))? {
                done.known += 1;
                return Ok(());
            }
            done.attempts += 1;
            let attempt = self.attempt(&loader, attempt)?;
            loader.attempt(&attempt).map_err(|fault| self.fault(fault))
        })?;
        drop(remember);
        watch(Progress { doing: "writing to the disk", done: total, total, unit: Unit::Rows });
        self.note(&done).map_err(|error| self.sql(error))?;
        loader.commit().map_err(|fault| self.fault(fault))?;
        Ok(done)
    }

    /// How many rows of the source were imported before. Refuses unless that is none, or the rest is asked for.
    fn known(&self, watch: Watch<'_>) -> Result<u64, ToolError> {
        let last = "SELECT source, imported_at FROM import ORDER BY id DESC LIMIT 1";
        let last = self.conn.query_row(last, [], |row| Ok((row.get::<_, String>(0)?, UnixMillis(row.get(1)?))));
        let Some((from, at)) = last.optional().map_err(|error| self.sql(error))? else { return Ok(0) };
        watch(Progress { doing: "comparing ids", done: 0, total: 0, unit: Unit::Rows });
        let exists = "SELECT 1 FROM imported WHERE id = ?1";
        let mut exists = self.conn.prepare(exists).map_err(|error| self.sql(error))?;
        let (mut known, mut count) = (0, 0);
        self.source.ids(|id| {
            count += 1;
            known += u64::from(exists.exists((id,)).map_err(|error| self.sql(error))?);
            Ok(())
        })?;
        let (file, when) = (self.order.source.to_owned(), format!("last at {at} from {from}"));
        if known == count && count > 0 {
            return Err(ToolError::ImportedBefore { file, count, when });
        }
        if known > 0 && !self.order.only_new {
            return Err(ToolError::ImportedInPart { file, known, new: count - known, when });
        }
        Ok(known)
    }

    fn message(&self, loader: &Loader<'_>, old: OldMessage) -> Result<Loaded, ToolError> {
        let at = old.next_run_at;
        let standing = match (old.state, old.lease_until) {
            (State::Queued, _) | (State::Leased, None) => Standing::Queued,
            (State::Leased, Some(until)) => Standing::Leased { until },
            (State::Delivered, _) => Standing::Delivered { at },
            (State::Dead, _) => Standing::Dead { at, reason: old.dead_reason.map(reason) },
            (State::Canceled, _) => Standing::Canceled { at },
        };
        Ok(Loaded {
            lane: loader.lane(&old.pair).map_err(|fault| self.fault(fault))?,
            id: old.id,
            content: old.content,
            received_at: old.received_at,
            next_run_at: old.next_run_at,
            attempt: old.attempt,
            standing,
        })
    }

    fn attempt(&self, loader: &Loader<'_>, old: OldAttempt) -> Result<Attempt, ToolError> {
        Ok(Attempt {
            id: AttemptId(0),
            event_id: EnvelopeId::from(old.event_id.as_str()),
            lane: loader.lane(&old.pair).map_err(|fault| self.fault(fault))?,
            attempt: old.attempt,
            status_code: old.status_code,
            error: old.error.map(|mut error| {
                error.truncate(error.floor_char_boundary(LONGEST_ERROR));
                error
            }),
            outcome: old.outcome,
            dead_reason: old.dead_reason.map(reason),
            created_at: old.created_at,
        })
    }

    /// Leaves a note for people and for the next run.
    fn note(&self, done: &Imported) -> rusqlite::Result<()> {
        let source = std::path::absolute(self.order.source).unwrap_or_else(|_| self.order.source.to_owned());
        let messages: u64 = done.messages.iter().sum();
        let note = "INSERT INTO import (source, imported_at, messages, attempts) VALUES (?1, ?2, ?3, ?4)";
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let values = (source.to_string_lossy(), self.order.now.0, count(messages), count(done.attempts));
        self.conn.execute(note, values).map(|_| ())
    }

    fn fault(&self, fault: Fault) -> ToolError {
        match fault {
            Fault::Sql(error) => self.sql(error),
            Fault::Refused(StoreError::Conflict(id)) => ToolError::Conflict { id: id.to_string() },
            Fault::Refused(error) => ToolError::Source { file: self.order.source.to_owned(), what: error.to_string() },
        }
    }

    fn sql(&self, error: rusqlite::Error) -> ToolError {
        ToolError::sqlite(self.order.queue, error)
    }
}

impl Standing {
    fn state(&self) -> State {
        match self {
            Self::Queued => State::Queued,
            Self::Leased { .. } => State::Leased,
            Self::Delivered { .. } => State::Delivered,
            Self::Dead { .. } => State::Dead,
            Self::Canceled { .. } => State::Canceled,
        }
    }
}

/// Remembers ids.
struct Remember<'c>(CachedStatement<'c>);

impl<'c> Remember<'c> {
    /// With `some_known`, an id that is there already is an answer rather than a mistake.
    fn prepare(conn: &'c Connection, some_known: bool) -> rusqlite::Result<Self> {
        let sql = if some_known {
            "INSERT OR IGNORE INTO imported (id) VALUES (?1)"
        } else {
            "INSERT INTO imported (id) VALUES (?1)"
        };
        conn.prepare_cached(sql).map(Self)
    }

    /// Whether the id was not known.
    fn is_new(&mut self, id: &str) -> rusqlite::Result<bool> {
        self.0.execute((id,)).map(|changed| changed > 0)
    }
}

fn reason(text: String) -> DeadReason {
    DeadReason(Cow::Owned(text))
}
