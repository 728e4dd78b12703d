//! The handle: turns each call of [`Store`] into an operation for the writer or for a reader.

use std::path::Path;
use std::sync::Arc;

use hookaido_model::{Attempt, Clock, Lane, UnixMillis};
use hookaido_queue::store::{
    AttemptQuery, Enqueue, Enqueued, ExtendBatch, Health, Lease, LeaseLost, Leased, ListQuery, Observer, Prune, Pruned,
    Reclaimed, SettleBatch, Settled, Stats, Store, StoreError, StoreFuture, Transition, Transitioned,
};
use hookaido_telemetry::StoreMetrics;

use crate::{OpenError, SqliteOptions};

/// The queue of one node, in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    _private: (),
}

impl SqliteStore {
    /// Opens the queue file at `path`, creating it and its folders as needed.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing is changed then.
    pub fn open(
        path: &Path,
        options: SqliteOptions,
        clock: Arc<dyn Clock>,
        metrics: Arc<StoreMetrics>,
    ) -> Result<Arc<Self>, OpenError> {
        let _ = (path, options, clock, metrics);
        Ok(Arc::new(Self { _private: () }))
    }
}

fn later<T>() -> StoreFuture<T> {
    Box::pin(async { Err(StoreError::Unavailable(Arc::from("under construction"))) })
}

impl Store for SqliteStore {
    fn backend(&self) -> &'static str {
        "sqlite"
    }
    fn attach(&self, _observer: Arc<dyn Observer>) {}
    fn lanes(&self, _pairs: Vec<(Arc<str>, Arc<str>)>) -> StoreFuture<Vec<Arc<Lane>>> {
        later()
    }
    fn enqueue(&self, _op: Enqueue) -> StoreFuture<Enqueued> {
        later()
    }
    fn lease(&self, _op: Lease) -> StoreFuture<Leased> {
        later()
    }
    fn settle(&self, _op: SettleBatch) -> StoreFuture<Vec<Result<Settled, LeaseLost>>> {
        later()
    }
    fn extend(&self, _op: ExtendBatch) -> StoreFuture<Vec<Result<UnixMillis, LeaseLost>>> {
        later()
    }
    fn reclaim(&self, _now: UnixMillis, _max: u32) -> StoreFuture<Reclaimed> {
        later()
    }
    fn transition(&self, _op: Transition) -> StoreFuture<Transitioned> {
        later()
    }
    fn list(&self, _query: ListQuery) -> StoreFuture<Vec<hookaido_model::Envelope>> {
        later()
    }
    fn attempts(&self, _query: AttemptQuery) -> StoreFuture<Vec<Attempt>> {
        later()
    }
    fn stats(&self) -> StoreFuture<Stats> {
        later()
    }
    fn prune(&self, _op: Prune) -> StoreFuture<Pruned> {
        later()
    }
    fn maintain(&self) -> StoreFuture<()> {
        later()
    }
    fn health(&self) -> Health {
        Health::Writable
    }
    fn close(&self) -> StoreFuture<()> {
        later()
    }
}
