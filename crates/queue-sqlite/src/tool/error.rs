//! Why a piece of work on a queue file was not done. Each says what to do.

use std::path::{Path, PathBuf};

use crate::OpenError;
use crate::fault;

/// See the module. Where nothing else is said, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// There is nothing at the path.
    #[error("{} does not exist", .file.display())]
    Missing {
        /// The path.
        file: PathBuf,
    },
    /// A server, or another of these commands, has the file.
    #[error("{} is in use by {holder}; {advice}", .file.display())]
    InUse {
        /// The queue file.
        file: PathBuf,
        /// Who has it, in words.
        holder: String,
        /// What to do, in words.
        advice: &'static str,
    },
    /// The file cannot be opened as a queue.
    #[error(transparent)]
    Open(OpenError),
    /// Written by an earlier version.
    #[error(
        "{} has schema {found}; a start of the server, or `hookaido db vacuum`, brings it to schema {known} first",
        .file.display()
    )]
    Older {
        /// The queue file.
        file: PathBuf,
        /// Its schema.
        found: i64,
        /// The schema that is needed.
        known: i64,
    },
    /// SQLite cannot read or write it.
    #[error("{}: {what}", .file.display())]
    Sqlite {
        /// Which file.
        file: PathBuf,
        /// What happened, in words.
        what: String,
        /// What it said.
        #[source]
        source: rusqlite::Error,
    },
    /// The file system refuses.
    #[error("{}: {source}", .path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
    /// The destination is there already.
    #[error("{} exists already; choose another name, or replace it with --force", .file.display())]
    Exists {
        /// The destination.
        file: PathBuf,
    },
    /// Source and destination are the same file.
    #[error("{} is the queue itself", .file.display())]
    Same {
        /// The destination.
        file: PathBuf,
    },
    /// The copy would not fit.
    #[error("the copy needs {need} bytes, {} has {free} left", .folder.display())]
    NoRoom {
        /// Folder of the destination.
        folder: PathBuf,
        /// Bytes that are needed.
        need: u64,
        /// Bytes that are there.
        free: u64,
    },
    /// The server wrote so much meanwhile that its log would fill the disk.
    #[error(
        "given up: while it was copied, the log of {} grew by {grown} bytes, too much for the {free} that were free beside it; \
         back up at a quieter time, or to a faster disk",
        .file.display()
    )]
    LogGrew {
        /// The queue file.
        file: PathBuf,
        /// Bytes that the log grew by.
        grown: u64,
        /// Bytes that were free on its file system at the start.
        free: u64,
    },
    /// What is to be taken over is no database of Hookaido 2, or damaged.
    #[error("{}: {what}", .file.display())]
    Source {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, in words.
        what: String,
    },
    /// All of it was taken over before.
    #[error(
        "nothing to do: all {count} messages and attempts of {} are in this queue, or were; imported {when}. Nothing was changed",
        .file.display()
    )]
    ImportedBefore {
        /// The file.
        file: PathBuf,
        /// How many there are.
        count: u64,
        /// When, and from where, in words.
        when: String,
    },
    /// A part of it was taken over before.
    #[error(
        "{known} messages and attempts of {} were imported before ({when}), {new} were not; --only-new takes those. Nothing was changed",
        .file.display()
    )]
    ImportedInPart {
        /// The file.
        file: PathBuf,
        /// How many are known.
        known: u64,
        /// How many are not.
        new: u64,
        /// When, and from where, in words.
        when: String,
    },
    /// An id is taken by another message.
    #[error("the queue has another message with the id `{id}`, which was not imported. Nothing was changed")]
    Conflict {
        /// The id.
        id: String,
    },
}

impl ToolError {
    /// A file that SQLite cannot work with.
    pub(super) fn sqlite(file: &Path, source: rusqlite::Error) -> Self {
        let what = match fault::kind(&source) {
            hookaido_telemetry::ErrorKind::DiskFull => "no space is left on its file system".to_owned(),
            hookaido_telemetry::ErrorKind::Corrupt => format!("the file is damaged: {source}"),
            _ => source.to_string(),
        };
        Self::Sqlite { file: file.to_owned(), what, source }
    }

    /// A file or folder that cannot be used.
    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        if source.kind() == std::io::ErrorKind::NotFound {
            return Self::Missing { file: path.to_owned() };
        }
        Self::Io { path: path.to_owned(), source }
    }

    /// A queue file that cannot be opened; `advice` says what to do when somebody else has it.
    pub(super) fn open(error: OpenError, advice: &'static str) -> Self {
        match error {
            OpenError::Locked { file, holder, .. } => Self::InUse { file, holder, advice },
            other => Self::Open(other),
        }
    }
}
