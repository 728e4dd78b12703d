//! Copies the log back into the file without holding up the writer.
//!
//! A thread with a connection of its own copies the bulk while the writer goes on; the writer then copies the small rest itself, which
//! lets it start over at the beginning of the log. So the log is overwritten in place: it neither grows nor shrinks, and an fsync of it
//! has no file size to write down.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

use hookaido_telemetry::{StoreMetrics, StoreOp};
use rusqlite::Connection;

use crate::failure::kind;
use crate::open::SqliteOptions;

/// Frames that the writer copies itself, at most, while others wait for it.
const SMALL_REST: i64 = 600;

/// The thread, and what the writer knows of the log.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    wake: SyncSender<()>,
    /// Set when the thread has copied what there was.
    done: Arc<AtomicBool>,
    running: bool,
    metrics: Arc<StoreMetrics>,
    /// Frames in the log after which it is copied.
    threshold: i64,
    /// Frames in the log that are already in the file.
    copied: Arc<std::sync::atomic::AtomicI64>,
}

impl Checkpointer {
    pub(crate) fn start(
        path: &Path,
        options: &SqliteOptions,
        metrics: Arc<StoreMetrics>,
        frame_bytes: u64,
    ) -> Result<Self, crate::read::StartError> {
        use crate::read::StartError;
        let connection = Connection::open(path).map_err(StartError::Sqlite)?;
        let settings = [("wal_autocheckpoint", 0), ("cache_size", -256), ("synchronous", 2)];
        for (pragma, value) in settings {
            connection.pragma_update(None, pragma, value).map_err(StartError::Sqlite)?;
        }
        let (wake, woken) = sync_channel::<()>(1);
        let done = Arc::new(AtomicBool::new(false));
        let copied = Arc::new(std::sync::atomic::AtomicI64::new(0));
        let thread = (Arc::clone(&done), Arc::clone(&copied), Arc::clone(&metrics));
        std::thread::Builder::new()
            .name("queue-copy".to_owned())
            .spawn(move || {
                let (done, copied, metrics) = thread;
                while woken.recv().is_ok() {
                    if let Some(frames) = passive(&connection, &metrics) {
                        copied.store(frames.copied, Ordering::SeqCst);
                    }
                    done.store(true, Ordering::SeqCst);
                }
            })
            .map_err(StartError::Thread)?;
        let threshold = i64::try_from(options.log_bytes / frame_bytes.max(1)).unwrap_or(i64::MAX).max(1);
        Ok(Self { wake, done, running: false, metrics, threshold, copied })
    }

    /// Called after every commit with the number of frames in the log.
    pub(crate) fn after_commit(&mut self, writer: &Connection, frames: i64) {
        if self.running {
            if !self.done.swap(false, Ordering::SeqCst) {
                return;
            }
            self.running = false;
            let rest = frames - self.copied.load(Ordering::SeqCst);
            if rest <= SMALL_REST {
                passive(writer, &self.metrics);
            } else {
                self.copy_in_background();
            }
        } else if frames >= self.threshold {
            self.copy_in_background();
        }
    }

    /// Called when nothing waits.
    pub(crate) fn when_idle(&mut self, writer: &Connection, frames: i64) -> bool {
        if frames < self.threshold / 8 || self.running {
            return false;
        }
        passive(writer, &self.metrics).is_some_and(|frames| frames.copied == frames.all)
    }

    fn copy_in_background(&mut self) {
        self.done.store(false, Ordering::SeqCst);
        self.running = self.wake.try_send(()).is_ok();
    }
}

/// What a checkpoint found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frames {
    pub(crate) all: i64,
    pub(crate) copied: i64,
}

/// Copies what no reader holds back. `None` when it failed, which the log says; the next one tries again.
fn passive(connection: &Connection, metrics: &StoreMetrics) -> Option<Frames> {
    let begin = Instant::now();
    let result = connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok(Frames { all: row.get(1)?, copied: row.get(2)? }));
    match result {
        Ok(frames) => {
            metrics.operation(StoreOp::Checkpoint, begin.elapsed());
            Some(frames)
        }
        Err(error) => {
            metrics.error(StoreOp::Checkpoint, kind(&error));
            tracing::warn!(target: "hookaido", err = %error, "checkpoint_failed");
            None
        }
    }
}
