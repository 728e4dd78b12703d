//! What can be set about a queue file, and why one cannot be opened.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of a [`crate::SqliteStore`]. The defaults suit a small edge machine and a large one alike.
#[derive(Clone, Copy, Debug)]
pub struct SqliteOptions {
    /// Threads that serve lists and statistics, each with a connection of its own.
    pub readers: u8,
    /// Page cache of the writer, in bytes. A reader has a quarter of it.
    pub cache_bytes: u32,
    /// Size of the write-ahead log, in bytes, at which it is copied into the file and begun again.
    pub checkpoint_bytes: u32,
    /// Size above which the write-ahead log file is cut to nothing in an idle moment.
    pub log_limit_bytes: u64,
    /// Room kept back beside the file, in bytes, so that messages can be settled while the disk is full.
    pub reserve_bytes: u64,
    /// Largest size of the file, in bytes; `None` leaves it to the disk.
    pub size_limit: Option<u64>,
    /// Operations that may wait for the writer; more are refused.
    pub max_waiting: usize,
    /// Bytes of content that may wait for the writer; more are refused.
    pub max_waiting_bytes: usize,
    /// Time between two tries to write while writing does not work.
    pub probe_every: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers: 2,
            cache_bytes: 8 << 20,
            checkpoint_bytes: 16 << 20,
            log_limit_bytes: 128 << 20,
            reserve_bytes: 32 << 20,
            size_limit: None,
            max_waiting: 16_384,
            max_waiting_bytes: 64 << 20,
            probe_every: Duration::from_millis(500),
        }
    }
}

/// Why a queue file cannot be opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{} is in use by {holder}; one queue file serves one process (lock file {})", .file.display(), .lock.display())]
    Locked {
        /// The queue file.
        file: PathBuf,
        /// The lock file beside it.
        lock: PathBuf,
        /// Who has it, in words.
        holder: String,
    },
    /// Written by a later version.
    #[error(
        "{} has schema version {found}, this program knows versions up to {known}; start the newer program, or restore a copy made before the upgrade",
        .file.display()
    )]
    Newer {
        /// The queue file.
        file: PathBuf,
        /// Its version.
        found: i64,
        /// The latest version known here.
        known: i64,
    },
    /// A file of another program.
    #[error(
        "{} is {what}, not a queue file of this program; choose another path. `hookaido db import` takes over the messages of a Hookaido 2 database",
        .file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
        /// What it is, in words.
        what: &'static str,
    },
    /// The file system refuses.
    #[error("{} cannot be opened for writing: {source}; check that the folder exists and that this user may write there", .path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
    /// SQLite refuses.
    #[error("{} cannot be opened: {source}", .file.display())]
    Sqlite {
        /// The queue file.
        file: PathBuf,
        /// What it said.
        #[source]
        source: rusqlite::Error,
    },
    /// The SQLite library is too old.
    #[error("SQLite {found} is too old; 3.51.3 or later is needed")]
    OldLibrary {
        /// Version of the library.
        found: &'static str,
    },
}
