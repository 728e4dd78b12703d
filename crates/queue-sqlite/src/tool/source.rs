//! The database of a Hookaido 2, read without a trace: neither it nor what lies beside it is changed, locked or created.
//!
//! Its tables, as far as they matter here: `queue_items` and `delivery_attempts`, instants in nanoseconds, states and outcomes as words,
//! headers and trace as JSON objects. The time at which a message ended is its `next_run_at`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hookaido_model::{AttemptOutcome, Content, JsonMap, State, UnixMillis};
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};

use super::error::ToolError;
use super::open::{beside, size};
use crate::lanes::Pair;
use crate::schema;

/// The latest schema of Hookaido 2.11.
const LATEST: i64 = 7;
/// Where SQLite keeps the lock that every open connection holds on a file in the write-ahead mode.
const SHARED_LOCK: (u64, u64) = (0x4000_0002, 510);

/// The database.
pub(super) struct Source {
    path: PathBuf,
    conn: Connection,
    has_reasons: bool,
    has_attempts: bool,
}

/// A row of `queue_items`.
pub(super) struct OldMessage {
    pub(super) id: Arc<str>,
    pub(super) pair: Pair,
    pub(super) state: State,
    pub(super) received_at: UnixMillis,
    pub(super) attempt: u32,
    pub(super) next_run_at: UnixMillis,
    pub(super) content: Content,
    pub(super) lease_until: Option<UnixMillis>,
    pub(super) dead_reason: Option<String>,
}

/// A row of `delivery_attempts`.
pub(super) struct OldAttempt {
    pub(super) id: String,
    pub(super) event_id: String,
    pub(super) pair: Pair,
    pub(super) attempt: u32,
    pub(super) status_code: Option<u16>,
    pub(super) error: Option<String>,
    pub(super) outcome: AttemptOutcome,
    pub(super) dead_reason: Option<String>,
    pub(super) created_at: UnixMillis,
}

/// How much there is of everything.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) messages: u64,
    pub(super) attempts: u64,
    pub(super) secrets: u64,
    pub(super) samples: u64,
}

impl Source {
    /// Opens the database at `path` if it is one of Hookaido 2 and nobody uses it.
    pub(super) fn open(path: &Path) -> Result<Self, ToolError> {
        look(path)?;
        let sqlite = |source| ToolError::sqlite(path, source);
        let conn = connect(path).map_err(sqlite)?;
        let mut source = Self { path: path.to_owned(), conn, has_reasons: false, has_attempts: false };
        let application: i32 = source.conn.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(sqlite)?;
        if application == schema::APPLICATION_ID {
            return Err(source.wrong("is a queue of this program already; `hookaido db backup` makes a copy of one"));
        }
        let items = source.columns("queue_items")?;
        if items.is_empty() {
            return Err(source.wrong("is not the database of a Hookaido 2: it has no table queue_items"));
        }
        let version: Option<i64> = source
            .conn
            .query_row("SELECT max(version) FROM schema_migrations", [], |row| row.get(0))
            .map_err(sqlite)?;
        if version.unwrap_or(0) > LATEST {
            let what = format!("has schema {}, known are those up to {LATEST} of Hookaido 2.11", version.unwrap_or(0));
            return Err(source.wrong(what));
        }
        source.has_reasons = items.iter().any(|column| column == "dead_reason");
        source.has_attempts = !source.columns("delivery_attempts")?.is_empty();
        Ok(source)
    }

    /// Counts. Refuses states that do not exist.
    pub(super) fn totals(&self) -> Result<Totals, ToolError> {
        let mut totals = Totals::default();
        let mut states = self.prepare("SELECT state, count(*) FROM queue_items GROUP BY state")?;
        let mut rows = states.query([]).map_err(|error| self.unreadable(&error))?;
        while let Some(row) = rows.next().map_err(|error| self.unreadable(&error))? {
            let state = text(row, 0).unwrap_or_default();
            if state.parse::<State>().is_err() {
                return Err(self.wrong(format!("has messages in the state `{state}`, which does not exist")));
            }
            totals.messages += self.number(row.get(1))?;
        }
        for (count, table) in [
            (&mut totals.attempts, "delivery_attempts"),
            (&mut totals.secrets, "runtime_secrets"),
            (&mut totals.samples, "backlog_trend_samples"),
        ] {
            if !self.columns(table)?.is_empty() {
                let sql = format!("SELECT count(*) FROM {table}");
                *count = self.number(self.conn.query_row(&sql, [], |row| row.get(0)))?;
            }
        }
        Ok(totals)
    }

    /// Every route and target of a message or an attempt.
    pub(super) fn pairs(&self) -> Result<Vec<Pair>, ToolError> {
        let mut sql = "SELECT DISTINCT route, target FROM queue_items".to_owned();
        if self.has_attempts {
            sql.push_str(" UNION SELECT DISTINCT route, target FROM delivery_attempts");
        }
        let mut pairs = Vec::new();
        self.each(&sql, |row| {
            pairs.push(pair(row, 0)?);
            Ok(())
        })?;
        Ok(pairs)
    }

    /// Ids of all messages and attempts.
    pub(super) fn ids(&self, mut each: impl FnMut(&str) -> Result<(), ToolError>) -> Result<(), ToolError> {
        self.each("SELECT id FROM queue_items", |row| each(&text(row, 0)?).map_err(Stop::Caller))?;
        if self.has_attempts {
            self.each("SELECT id FROM delivery_attempts", |row| each(&text(row, 0)?).map_err(Stop::Caller))?;
        }
        Ok(())
    }

    /// All messages in order of receipt: each state in the order of its index, merged, so that nothing is sorted.
    pub(super) fn messages(&self, mut each: impl FnMut(OldMessage) -> Result<(), ToolError>) -> Result<(), ToolError> {
        let reason = if self.has_reasons { "dead_reason" } else { "NULL" };
        let mut whole = self.prepare(&format!(
            "SELECT id, route, target, state, received_at, attempt, next_run_at, payload, headers_json, trace_json, lease_until, {reason}
             FROM queue_items WHERE rowid = ?1"
        ))?;
        let of_state =
            |state: State| format!("SELECT rowid AS r, received_at AS t FROM queue_items WHERE state = '{state}'");
        let merged = State::ALL.map(of_state).join(" UNION ALL ");
        self.each(&format!("{merged} ORDER BY t, r"), |row| {
            let at: i64 = row.get(0)?;
            let message = whole.query_row((at,), |row| Ok(message(row)))?;
            each(message?).map_err(Stop::Caller)
        })
    }

    /// All attempts, the oldest first.
    pub(super) fn attempts(&self, mut each: impl FnMut(OldAttempt) -> Result<(), ToolError>) -> Result<(), ToolError> {
        if !self.has_attempts {
            return Ok(());
        }
        self.each(
            "SELECT id, event_id, route, target, attempt, status_code, error, outcome, dead_reason, created_at
             FROM delivery_attempts ORDER BY created_at, id",
            |row| each(attempt(row)?).map_err(Stop::Caller),
        )
    }

    fn each(&self, sql: &str, mut work: impl FnMut(&Row<'_>) -> Result<(), Stop>) -> Result<(), ToolError> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query([]).map_err(|error| self.unreadable(&error))?;
        while let Some(row) = rows.next().map_err(|error| self.unreadable(&error))? {
            work(row).map_err(|stop| match stop {
                Stop::Caller(error) => error,
                Stop::Sql(error) => self.unreadable(&error),
                Stop::Wrong(what) => self.wrong(what),
            })?;
        }
        Ok(())
    }

    fn columns(&self, table: &str) -> Result<Vec<String>, ToolError> {
        let mut names = Vec::new();
        self.each(&format!("SELECT name FROM pragma_table_info('{table}')"), |row| {
            names.push(row.get(0)?);
            Ok(())
        })?;
        Ok(names)
    }

    fn prepare(&self, sql: &str) -> Result<rusqlite::Statement<'_>, ToolError> {
        self.conn.prepare(sql).map_err(|error| self.unreadable(&error))
    }

    fn number(&self, count: rusqlite::Result<i64>) -> Result<u64, ToolError> {
        count.map(|count| count.max(0).cast_unsigned()).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &rusqlite::Error) -> ToolError {
        self.wrong(format!("cannot be read: {error}"))
    }

    fn wrong(&self, what: impl Into<String>) -> ToolError {
        ToolError::Source { file: self.path.clone(), what: what.into() }
    }
}

/// Why reading stopped.
enum Stop {
    /// The caller said so.
    Caller(ToolError),
    /// SQLite did.
    Sql(rusqlite::Error),
    /// What is there makes no sense.
    Wrong(String),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Looks at the file before SQLite does: whether it is a database, and whether a process has it open.
fn look(path: &Path) -> Result<(), ToolError> {
    let io = |source| ToolError::io(path, source);
    let mut file = File::open(path).map_err(io)?;
    let mut head = Vec::with_capacity(16);
    Read::by_ref(&mut file).take(16).read_to_end(&mut head).map_err(io)?;
    if head != b"SQLite format 3\0" {
        return Err(ToolError::Source { file: path.to_owned(), what: "is not a database".to_owned() });
    }
    let lock = Flock {
        start: SHARED_LOCK.0,
        length: SHARED_LOCK.1,
        pid: None,
        typ: FlockType::WriteLock,
        offset_type: FlockOffsetType::Set,
    };
    // Where a file system knows no locks, nobody can be seen.
    if let Ok(Some(Flock { pid, .. })) = fcntl_getlk(&file, &lock) {
        let holder =
            pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {}", pid.as_raw_nonzero()));
        let advice = "stop it first, so that nothing is added or delivered meanwhile";
        return Err(ToolError::InUse { file: path.to_owned(), holder, advice });
    }
    Ok(())
}

/// A connection that takes no lock and makes no file. What the log beside the file holds is read, too.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = if size(&beside(path, "-wal")) > 0 {
        let conn = Connection::open_with_flags_and_vfs(path, flags, "unix-none")?;
        // Keeps the index of the log in memory rather than in a file, and the log where it is.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        conn.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
        conn
    } else {
        let uri = format!("file:{}?immutable=1", escaped(path));
        Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
    };
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = FILE; PRAGMA mmap_size = 0;")?;
    Ok(conn)
}

/// A path as the path of a URI.
fn escaped(path: &Path) -> String {
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;
    let mut text = String::new();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _infallible = write!(text, "%{byte:02x}");
        }
    }
    text
}

fn message(row: &Row<'_>) -> Result<OldMessage, Stop> {
    let id = text(row, 0)?;
    let named = |stop: Stop| match stop {
        Stop::Wrong(what) => Stop::Wrong(format!("message `{id}`: {what}")),
        other => other,
    };
    let state = text(row, 3)?;
    let state = state.parse().map_err(|error| Stop::Wrong(format!("message `{id}`: {error}")))?;
    let content = Content {
        payload: Bytes::copy_from_slice(bytes(row, 7)?),
        headers: map(row, 8, "headers").map_err(named)?,
        trace: map(row, 9, "trace").map_err(named)?,
    };
    Ok(OldMessage {
        pair: pair(row, 1)?,
        state,
        received_at: millis(row.get(4)?),
        attempt: u32::try_from(row.get::<_, i64>(5)?.max(0)).unwrap_or(u32::MAX),
        next_run_at: millis(row.get(6)?),
        content,
        lease_until: row.get::<_, Option<i64>>(10)?.map(millis),
        dead_reason: row.get::<_, Option<String>>(11)?.filter(|reason| !reason.is_empty()),
        id: id.into(),
    })
}

fn attempt(row: &Row<'_>) -> Result<OldAttempt, Stop> {
    let id = text(row, 0)?;
    let outcome = text(row, 7)?;
    Ok(OldAttempt {
        event_id: text(row, 1)?,
        pair: pair(row, 2)?,
        attempt: u32::try_from(row.get::<_, i64>(4)?.max(0)).unwrap_or(u32::MAX),
        status_code: row.get::<_, Option<i64>>(5)?.and_then(|code| u16::try_from(code).ok()),
        error: row.get::<_, Option<String>>(6)?.filter(|error| !error.is_empty()),
        outcome: outcome.parse().map_err(|error| Stop::Wrong(format!("attempt `{id}`: {error}")))?,
        dead_reason: row.get::<_, Option<String>>(8)?.filter(|reason| !reason.is_empty()),
        created_at: millis(row.get(9)?),
        id,
    })
}

fn pair(row: &Row<'_>, first: usize) -> Result<Pair, Stop> {
    Ok((text(row, first)?.into(), text(row, first + 1)?.into()))
}

/// A text, whatever type it is stored with.
fn text(row: &Row<'_>, at: usize) -> Result<String, Stop> {
    let text = std::str::from_utf8(bytes(row, at)?);
    text.map(str::to_owned).map_err(|_not_utf8| Stop::Wrong("a text is not UTF-8".to_owned()))
}

fn bytes<'r>(row: &'r Row<'_>, at: usize) -> Result<&'r [u8], Stop> {
    match row.get_ref(at)? {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(bytes),
        ValueRef::Null => Ok(&[]),
        other => Err(Stop::Wrong(format!("a text was expected, found {:?}", other.data_type()))),
    }
}

/// Headers or trace; nothing for none.
fn map(row: &Row<'_>, at: usize, what: &str) -> Result<JsonMap, Stop> {
    let stored = bytes(row, at)?;
    if stored.is_empty() || stored == b"null" {
        return Ok(JsonMap::default());
    }
    let pairs = JsonMap::from_stored(Bytes::copy_from_slice(stored)).pairs();
    let pairs = pairs.map_err(|error| Stop::Wrong(format!("{what}: {error}")))?;
    Ok(JsonMap::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}

/// Nanoseconds, rounded down.
fn millis(nanos: i64) -> UnixMillis {
    UnixMillis(nanos.div_euclid(1_000_000))
}
