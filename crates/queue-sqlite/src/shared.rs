//! What the handle and the threads of one store share.

use std::sync::{Arc, OnceLock};

use hookaido_model::{LaneId, UnixMillis};
use hookaido_queue::store::{Health, Observer};
use hookaido_telemetry::StoreMetrics;
use parking_lot::Mutex;

use crate::SqliteOptions;
use crate::file::QueueFile;
use crate::inbox::Inbox;
use crate::lanes::Lanes;

/// One store.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: SqliteOptions,
    pub(crate) file: QueueFile,
    pub(crate) inbox: Inbox,
    pub(crate) lanes: Lanes,
    pub(crate) metrics: Arc<StoreMetrics>,
    observer: OnceLock<Arc<dyn Observer>>,
    health: Mutex<Health>,
    /// Makes every commit fail, to show what happens then.
    #[cfg(test)]
    pub(crate) break_commits: Arc<std::sync::atomic::AtomicBool>,
}

impl Shared {
    pub(crate) fn new(options: SqliteOptions, file: QueueFile, lanes: Lanes, metrics: Arc<StoreMetrics>) -> Self {
        Self {
            options,
            file,
            inbox: Inbox::new(&options),
            lanes,
            metrics,
            observer: OnceLock::new(),
            health: Mutex::default(),
            #[cfg(test)]
            break_commits: Arc::default(),
        }
    }

    /// The first call counts.
    pub(crate) fn attach(&self, observer: Arc<dyn Observer>) {
        let _already_attached = self.observer.set(observer);
    }

    pub(crate) fn health(&self) -> Health {
        self.health.lock().clone()
    }

    /// Says so to the observer when it changes.
    pub(crate) fn set_health(&self, health: Health) {
        {
            let mut present = self.health.lock();
            if *present == health {
                return;
            }
            present.clone_from(&health);
        }
        match &health {
            Health::Writable => tracing::info!(target: "hookaido", "queue_writable"),
            Health::ReadOnly { reason } => tracing::error!(target: "hookaido", reason = %reason, "queue_read_only"),
        }
        if let Some(observer) = self.observer.get() {
            observer.health(&health);
        }
    }

    pub(crate) fn tell_ready(&self, lane: LaneId, at: UnixMillis) {
        if let Some(observer) = self.observer.get() {
            observer.ready(lane, at);
        }
    }

    pub(crate) fn tell_lease_ends(&self, at: UnixMillis) {
        if let Some(observer) = self.observer.get() {
            observer.lease_ends(at);
        }
    }
}
