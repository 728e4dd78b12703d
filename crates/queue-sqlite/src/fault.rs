//! What an error of SQLite means for the store and for its callers.

use std::path::Path;
use std::sync::Arc;

use hookaido_queue::store::StoreError;
use hookaido_telemetry::ErrorKind;
use rusqlite::{Error, ErrorCode};

/// Which kind of failure it is.
pub(crate) fn kind(error: &Error) -> ErrorKind {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, FileLockingProtocolFailed, NotADatabase,
        PermissionDenied, ReadOnly, SystemIoFailure,
    };
    match error.sqlite_error_code() {
        Some(DiskFull) => ErrorKind::DiskFull,
        Some(SystemIoFailure | CannotOpen | PermissionDenied | ReadOnly) => ErrorKind::Io,
        Some(DatabaseBusy | DatabaseLocked | FileLockingProtocolFailed) => ErrorKind::Busy,
        Some(DatabaseCorrupt | NotADatabase) => ErrorKind::Corrupt,
        _ => ErrorKind::Error,
    }
}

/// Whether the fault lies below the file, so that no operation can be written for now.
pub(crate) fn stops_writing(error: &Error) -> bool {
    matches!(kind(error), ErrorKind::DiskFull | ErrorKind::Io | ErrorKind::Busy)
}

/// Whether it says that the file is none of SQLite's.
pub(crate) fn is_no_database(error: &Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::NotADatabase)
}

/// The error of a disk on which the reserve has no room.
pub(crate) fn disk_full() -> Error {
    Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None)
}

/// What happened and what to do about it.
pub(crate) fn reason(error: &Error, path: &Path) -> Arc<str> {
    let path = path.display();
    let text = match kind(error) {
        ErrorKind::DiskFull => {
            format!("no space is left for {path}; free space on its file system, writing goes on by itself then")
        }
        ErrorKind::Io => format!(
            "writing {path} failed ({error}); check its disk, that it is mounted writable, and who may write the folder, \
             writing goes on by itself then"
        ),
        ErrorKind::Busy => {
            format!("{path} is locked by another program ({error}); end it, writing goes on by itself then")
        }
        _ => format!("writing {path} failed ({error})"),
    };
    Arc::from(text)
}

/// The answer to one operation that failed by itself, while others of its batch did not.
pub(crate) fn to_store_error(error: &Error) -> StoreError {
    StoreError::Corrupt(Arc::from(error.to_string()))
}

/// The answer to a list that could not be made.
pub(crate) fn read_error(error: &Error) -> StoreError {
    match kind(error) {
        ErrorKind::Corrupt | ErrorKind::Error => to_store_error(error),
        _ => StoreError::Unavailable(Arc::from(format!("reading failed: {error}"))),
    }
}

/// What was read makes no sense.
pub(crate) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(Arc::from(what))
}
