//! Opening a queue file to read it, whether or not a server runs on it. Never creates one, never changes one.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::error::ToolError;
use crate::{OpenError, fault, file, schema};

/// A queue file that can be read.
pub(super) struct Reading {
    pub(super) conn: Connection,
    pub(super) version: i64,
}

/// Opens `path`, which must be a queue of this program's schema.
pub(super) fn reading(path: &Path) -> Result<Reading, ToolError> {
    std::fs::metadata(path).map_err(|source| ToolError::io(path, source))?;
    let sqlite = |source| ToolError::sqlite(path, source);
    let conn = file::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sqlite)?;
    // What is sorted on the way may be large.
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = FILE;").map_err(sqlite)?;
    let foreign = |what| Err(ToolError::Open(OpenError::Foreign { file: path.to_owned(), what }));
    // Asked of SQLite rather than read from the file: closing a file takes away the locks that this process has on it.
    match conn.query_row("PRAGMA application_id", [], |row| row.get::<_, i32>(0)) {
        Ok(schema::APPLICATION_ID) => {}
        Ok(_) => return foreign("the database of another program, or empty"),
        Err(error) if fault::is_no_database(&error) => return foreign("not a database"),
        Err(error) => return Err(sqlite(error)),
    }
    let version = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    if version > schema::KNOWN {
        let newer = OpenError::Newer { file: path.to_owned(), found: version, known: schema::KNOWN };
        return Err(ToolError::Open(newer));
    }
    if version < schema::KNOWN {
        return Err(ToolError::Older { file: path.to_owned(), found: version, known: schema::KNOWN });
    }
    Ok(Reading { conn, version })
}

/// Size of a file; zero if there is none.
pub(super) fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

/// The file of the same name with `ending` behind it.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
