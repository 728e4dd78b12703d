//! A database as Hookaido 2.11 leaves it, written by statements of our own.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::NOW;

/// Tables, columns and types of its schema 7. Indexes as far as reading uses them.
const SCHEMA: &str = "
CREATE TABLE schema_migrations (version INTEGER NOT NULL);
INSERT INTO schema_migrations VALUES (7);
CREATE TABLE queue_items (
    id TEXT PRIMARY KEY, route TEXT NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL, received_at INTEGER NOT NULL,
    attempt INTEGER NOT NULL, next_run_at INTEGER NOT NULL, payload BLOB NOT NULL, headers_json TEXT, trace_json TEXT,
    schema_version INTEGER NOT NULL, lease_id TEXT, lease_until INTEGER, dead_reason TEXT);
CREATE INDEX idx_queue_state_received_at ON queue_items (state, received_at);
CREATE TABLE delivery_attempts (
    id TEXT PRIMARY KEY, event_id TEXT NOT NULL, route TEXT NOT NULL, target TEXT NOT NULL, attempt INTEGER NOT NULL,
    status_code INTEGER, error TEXT, outcome TEXT NOT NULL, dead_reason TEXT, created_at INTEGER NOT NULL);
CREATE TABLE backlog_trend_samples (
    captured_at INTEGER NOT NULL, route TEXT NOT NULL, target TEXT NOT NULL, queued INTEGER NOT NULL, leased INTEGER NOT NULL,
    dead INTEGER NOT NULL, PRIMARY KEY (captured_at, route, target));
CREATE TABLE queue_counters (id INTEGER PRIMARY KEY CHECK (id = 1), queued INTEGER NOT NULL, leased INTEGER NOT NULL);
CREATE TABLE runtime_secrets (
    pool_name TEXT NOT NULL, id TEXT NOT NULL, sealed BLOB NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,
    created_at INTEGER NOT NULL, PRIMARY KEY (pool_name, id));
";

/// A message of the old database.
#[derive(Clone, Copy)]
pub(super) struct Old<'a> {
    pub(super) id: &'a str,
    pub(super) route: &'a str,
    pub(super) target: &'a str,
    pub(super) state: &'a str,
    /// Milliseconds after [`NOW`]; the rest of the nanoseconds is made up.
    pub(super) received: i64,
    pub(super) next: i64,
    pub(super) attempt: i64,
    pub(super) payload: &'a [u8],
    pub(super) headers: Option<&'a str>,
    pub(super) lease_until: Option<i64>,
    pub(super) dead_reason: Option<&'a str>,
}

pub(super) const QUEUED: Old<'_> = Old {
    id: "evt_0000000000000001",
    route: "/a",
    target: "pull",
    state: "queued",
    received: 0,
    next: 0,
    attempt: 0,
    payload: b"plain",
    headers: Some(r#"{"Content-Type":"text/plain","X-Mark":"<&>"}"#),
    lease_until: None,
    dead_reason: None,
};

/// Milliseconds after [`NOW`] as nanoseconds, with a fraction that is no whole millisecond.
fn nanos(after: i64) -> i64 {
    (NOW.0 + after) * 1_000_000 + 123_456
}

/// A database with these messages. Its connection keeps the log that it has not copied yet.
pub(super) fn database(path: &Path, messages: &[Old<'_>]) -> Connection {
    let conn = Connection::open(path).unwrap();
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    conn.execute_batch("PRAGMA wal_autocheckpoint = 0").unwrap();
    conn.execute_batch(SCHEMA).unwrap();
    add(&conn, messages);
    conn
}

pub(super) fn add(conn: &Connection, messages: &[Old<'_>]) {
    let mut insert = conn
        .prepare("INSERT INTO queue_items VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, ?11, ?12, ?13)")
        .unwrap();
    for old in messages {
        let trace = format!(r#"{{"path":"{}","remote_addr":"192.0.2.1:5000"}}"#, old.route);
        let lease = old.lease_until.map(|_| "lease_0123456789abcdef");
        let (received, next) = (nanos(old.received), nanos(old.next));
        insert
            .execute(params![
                old.id,
                old.route,
                old.target,
                old.state,
                received,
                old.attempt,
                next,
                old.payload,
                old.headers,
                trace,
                lease,
                old.lease_until.map(nanos),
                old.dead_reason
            ])
            .unwrap();
    }
}

pub(super) fn attempt(conn: &Connection, id: &str, event: &str, outcome: &str, after: i64) {
    let insert =
        "INSERT INTO delivery_attempts VALUES (?1, ?2, '/push', 'http://t.example/x', 2, 503, 'busy', ?3, ?4, ?5)";
    let reason = (outcome == "dead").then_some("max_retries");
    conn.execute(insert, params![id, event, outcome, reason, nanos(after)]).unwrap();
}

/// Copies the database with its log, as a server that was killed leaves them.
pub(super) fn killed(from: &Path, folder: &Path) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let to = folder.join("old #1?.db");
    std::fs::copy(from, &to).unwrap();
    std::fs::copy(super::super::open::beside(from, "-wal"), super::super::open::beside(&to, "-wal")).unwrap();
    to
}
