//! Opening the file: lock, settings of the connection, schema, and everything that is refused with a clear message.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::lock::{LockError, LockFile};

/// `hook`, in the header of the file.
const APPLICATION_ID: i32 = 0x686f_6f6b;

/// All steps of the schema, in order; `user_version` says how many are done. Only ever append.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_queue.sql")];

/// Older releases of SQLite can damage a file when the log restarts.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Bounds of one open queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteOptions {
    /// Page cache of the writing connection in KiB.
    pub writer_cache_kib: u32,
    /// Page cache of each reading connection in KiB.
    pub reader_cache_kib: u32,
    /// Reading connections.
    pub readers: usize,
    /// Bytes of log after which it is copied back into the file.
    pub log_bytes: u64,
    /// Operations that may wait for the writer.
    pub max_waiting: usize,
    /// Bytes of messages that may wait for the writer.
    pub max_waiting_bytes: u64,
    /// Most pages the file may have; `None` for what the disk holds. For tests of a full disk.
    pub max_pages: Option<u32>,
    /// Time between two looks at a queue that cannot be written.
    pub probe_every: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            writer_cache_kib: 16 * 1024,
            reader_cache_kib: 2 * 1024,
            readers: 2,
            log_bytes: 32 << 20,
            max_waiting: 16 * 1024,
            max_waiting_bytes: 128 << 20,
            max_pages: None,
            probe_every: Duration::from_secs(1),
        }
    }
}

/// Why a queue file cannot be opened. Its text is one line that names the file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{path} is in use by another process{holder}: stop it, or name another file with --db")]
    InUse {
        /// The queue file.
        path: PathBuf,
        /// ` (process 123)` where known.
        holder: String,
    },
    /// Folder or file cannot be made or opened.
    #[error("cannot open the queue file {path}: {source}")]
    Io {
        /// What could not be opened.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of something else.
    #[error(
        "{path} is a SQLite file of another program; the queue of Hookaido 2.11 is taken in with `hookaido db import`, which is not part of this release"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Not a database at all.
    #[error("{path} is not a queue file (or is damaged): {reason}")]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// Written by a newer release.
    #[error("{path} was written by a newer release (schema {found}, this one knows {known}): use that release")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// The linked SQLite is not safe to use.
    #[error("SQLite {version} is linked, 3.51.3 or newer is needed")]
    TooOld {
        /// As SQLite tells.
        version: &'static str,
    },
    /// The file system cannot map shared memory.
    #[error("the file system of {path} cannot hold a write-ahead log: use a local one")]
    NoWal {
        /// The file.
        path: PathBuf,
    },
    /// SQLite refuses.
    #[error("cannot open the queue file {path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// Locks and opens the file, making folder, file and schema where they are missing. The connection is the writing one.
pub(crate) fn open(path: &Path, options: &SqliteOptions) -> Result<(Connection, LockFile), OpenError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|source| OpenError::Io { path: folder.to_owned(), source })?;
    }
    if path.is_dir() {
        return Err(OpenError::Io { path: path.to_owned(), source: io::ErrorKind::IsADirectory.into() });
    }
    let lock = LockFile::take(path).map_err(|error| match error {
        LockError::Held { pid } => OpenError::InUse {
            path: path.to_owned(),
            holder: pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(),
        },
        LockError::Io { path, source } => OpenError::Io { path, source },
    })?;
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::TooOld { version: rusqlite::version() });
    }
    let connection = connect(path, options).map_err(|error| explain(path, error))?;
    check_owner(&connection, path)?;
    migrate(&connection, path)?;
    Ok((connection, lock))
}

/// A reading connection to a file that is open already.
pub(crate) fn open_reader(path: &Path, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -i64::from(options.reader_cache_kib))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn connect(path: &Path, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        // Only seen on file systems without shared memory maps; SQLite says so itself when the log is opened.
        return Err(rusqlite::Error::InvalidPath(path.to_owned()));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", 512 << 20)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "cache_size", -i64::from(options.writer_cache_kib))?;
    if let Some(pages) = options.max_pages {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

fn explain(path: &Path, source: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        None if matches!(source, rusqlite::Error::InvalidPath(_)) => OpenError::NoWal { path },
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            OpenError::NotADatabase { path, reason: source.to_string() }
        }
        _ => OpenError::Sqlite { path, source },
    }
}

/// Refuses a file with tables that are not ours.
fn check_owner(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let failed = |source| explain(path, source);
    if number("application_id").map_err(failed)? == APPLICATION_ID {
        return Ok(());
    }
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if tables > 0 {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)
}

fn migrate(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| explain(path, source);
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > MIGRATIONS.len() {
        return Err(OpenError::Newer { path: path.to_owned(), found: done, known: MIGRATIONS.len() });
    }
    for (index, step) in MIGRATIONS.iter().enumerate().skip(done) {
        let step = format!("BEGIN IMMEDIATE;\n{step}\nPRAGMA user_version = {};\nCOMMIT;", index + 1);
        connection.execute_batch(&step).map_err(failed)?;
    }
    Ok(())
}
