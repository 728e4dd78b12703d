//! What kind of file lies at a path, and bringing it to the present schema.
//!
//! The mark of a queue file is its application id, written in the transaction that creates the schema and before the switch to
//! write-ahead logging, so that it can be read from the first bytes of the file. Migrations only go forward.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::OpenError;

/// `HOOK`, big-endian, at byte 68 of the file.
pub(crate) const APPLICATION_ID: i32 = 0x484f_4f4b;

/// What the head of a rollback journal begins with.
const JOURNAL: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// The schema's history; the version of a file is how many of these it has seen.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_queue.sql"),
    include_str!("../migrations/0002_bundle.sql"),
    include_str!("../migrations/0003_import.sql"),
    include_str!("../migrations/0004_bundled.sql"),
];

/// The latest version.
#[expect(clippy::cast_possible_wrap, reason = "a handful")]
pub(crate) const KNOWN: i64 = MIGRATIONS.len() as i64;

/// Refuses files that are not ours without changing a byte of them.
pub(crate) fn check_kind(path: &Path) -> Result<(), OpenError> {
    let foreign = |what| Err(OpenError::Foreign { file: path.to_owned(), what });
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(OpenError::Io { path: path.to_owned(), source }),
    };
    let mut head = Vec::with_capacity(100);
    let read = file.by_ref().take(100).read_to_end(&mut head);
    read.map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
    if head.is_empty() {
        return Ok(());
    }
    if creation_was_cut_short(path) {
        // SQLite empties it before anything is read.
        return Ok(());
    }
    if !head.starts_with(b"SQLite format 3\0") {
        return foreign("not a database");
    }
    let application_id = head.get(68..72).and_then(|b| b.try_into().ok()).map_or(0, i32::from_be_bytes);
    if application_id == APPLICATION_ID || (application_id == 0 && is_blank(path)) {
        return Ok(());
    }
    foreign("the database of another program")
}

/// Whether the power failed while the first transaction was written: the journal beside the file says that it was empty before, so
/// nothing in it counts.
fn creation_was_cut_short(path: &Path) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push("-journal");
    let mut head = Vec::with_capacity(20);
    let read = File::open(name).and_then(|journal| journal.take(20).read_to_end(&mut head));
    // The format of the head: magic, records, salt, pages of the file before.
    read.is_ok() && head.starts_with(&JOURNAL) && head.get(16..20) == Some(&[0; 4])
}

/// Whether there is no table: a file that was opened and never written.
fn is_blank(path: &Path) -> bool {
    let tables = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .and_then(|conn| conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)));
    tables.is_ok_and(|tables| tables == 0)
}

/// Creates the schema or brings it up to date.
pub(crate) fn migrate(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    let sqlite = |source| OpenError::Sqlite { file: path.to_owned(), source };
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    if found > KNOWN {
        return Err(OpenError::Newer { file: path.to_owned(), found, known: KNOWN });
    }
    if found == 0 {
        conn.execute_batch("PRAGMA page_size = 4096;").map_err(sqlite)?;
    }
    for (at, migration) in MIGRATIONS.iter().enumerate().skip(usize::try_from(found).unwrap_or(0)) {
        let (id, version) = (APPLICATION_ID, at + 1);
        // Set before the first table exists, and in its transaction: so a file is empty, or a queue, or about to be one or the other.
        let begin = if at == 0 { "BEGIN; PRAGMA auto_vacuum = INCREMENTAL" } else { "BEGIN EXCLUSIVE" };
        let step =
            format!("{begin}; {migration} PRAGMA application_id = {id}; PRAGMA user_version = {version}; COMMIT;");
        conn.execute_batch(&step).map_err(sqlite)?;
    }
    Ok(())
}
