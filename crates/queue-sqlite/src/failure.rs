//! SQLite's errors as the store's, and which of them say that the disk does not take writes.

use std::sync::Arc;

use hookaido_queue::store::StoreError;
use hookaido_telemetry::ErrorKind;
use rusqlite::ErrorCode;

/// What went wrong inside a transaction.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The operation is refused; nothing of it was written, the others of its batch go on.
    Refused(StoreError),
    /// The transaction cannot go on.
    Broken(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

/// The label of metrics.
pub(crate) fn kind(error: &rusqlite::Error) -> ErrorKind {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Busy,
        Some(ErrorCode::DiskFull) => ErrorKind::DiskFull,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => ErrorKind::Io,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
        _ => ErrorKind::Error,
    }
}

/// What callers are told.
pub(crate) fn told(error: &rusqlite::Error) -> StoreError {
    match kind(error) {
        ErrorKind::Corrupt => StoreError::Corrupt(Arc::from(error.to_string())),
        _ => StoreError::Unavailable(reason(error)),
    }
}

/// Whether the file as a whole does not take writes, as opposed to one operation that SQLite refuses.
pub(crate) fn is_outage(error: &rusqlite::Error) -> bool {
    !matches!(kind(error), ErrorKind::Error)
}

/// What is wrong and what to do.
pub(crate) fn reason(error: &rusqlite::Error) -> Arc<str> {
    match kind(error) {
        ErrorKind::DiskFull => Arc::from("the disk is full: free space on the file system of the queue file"),
        ErrorKind::Io => Arc::from(format!(
            "reading or writing the queue file failed ({error}): check the disk, the free space and the permissions of its folder"
        )),
        ErrorKind::Busy => Arc::from("another program holds the queue file locked: close it"),
        _ => Arc::from(format!("SQLite says: {error}")),
    }
}
