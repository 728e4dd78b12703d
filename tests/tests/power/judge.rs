//! Looks into a queue file that a cut left: SQLite's own check, and whether the tables agree with each other.
//!
//! Works on a copy on an ordinary file system, so nothing is repaired in place before the server sees it.

use std::path::Path;

use e2e::fail::{Attempt, Fail};
use rusqlite::Connection;

use crate::disk::{Disk, ROOT};

/// What must yield no row.
const RULES: [(&str, &str); 5] = [
    (
        "counts of a lane are wrong",
        "SELECT lane FROM (
             SELECT lane, state, 1 AS n FROM message
             UNION ALL SELECT lane, 0, -queued FROM tally UNION ALL SELECT lane, 1, -leased FROM tally
             UNION ALL SELECT lane, 2, -delivered FROM tally UNION ALL SELECT lane, 3, -dead FROM tally
             UNION ALL SELECT lane, 4, -canceled FROM tally)
         GROUP BY lane, state HAVING sum(n) <> 0",
    ),
    (
        "a message has no content",
        "SELECT seq FROM message WHERE coalesce(content, seq) NOT IN (SELECT id FROM content)",
    ),
    (
        "a content has no message",
        "SELECT id FROM content WHERE id >= 0 AND id NOT IN (SELECT coalesce(content, seq) FROM message)
         AND id NOT IN (SELECT seq FROM bundle)",
    ),
    ("a bundle has no content", "SELECT seq FROM bundle WHERE seq NOT IN (SELECT id FROM content)"),
    ("a message has no lane", "SELECT seq FROM message WHERE lane NOT IN (SELECT id FROM lane)"),
];

/// What is wrong with the queue at `db`; nothing if there is none yet.
pub(crate) fn judge(disk: &Disk, db: &Path) -> Attempt<Vec<String>> {
    let folder = tempfile::Builder::new().prefix("hookaido-judge-").tempdir()?;
    disk.export(ROOT, folder.path())?;
    let copy = folder.path().join(db);
    if !copy.exists() {
        return Ok(vec![]);
    }
    look(&copy).map_err(|error| Fail(format!("{}: {error}", db.display())))
}

fn look(copy: &Path) -> rusqlite::Result<Vec<String>> {
    let db = Connection::open(copy)?;
    let told: Vec<String> =
        db.prepare("PRAGMA integrity_check")?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut wrong: Vec<String> = told.into_iter().filter(|line| line != "ok").collect();
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('tally', 'bundle')";
    let known: i64 = db.query_row(tables, [], |row| row.get(0))?;
    if known == 2 && wrong.is_empty() {
        for (what, rule) in RULES {
            let rows: usize = db.prepare(rule)?.query_map([], |_| Ok(()))?.count();
            if rows > 0 {
                wrong.push(format!("{what} ({rows} times)"));
            }
        }
    }
    Ok(wrong)
}
