//! A store without files: everything is lost when the process ends.
//!
//! One lock around ordered maps; every operation but a list costs the logarithm of what is stored. Runs each operation in the call
//! itself, then tells the observer. Backend `memory`, and the store of tests.

mod core;
mod enqueue;
mod lease;
mod lists;
mod prune;
mod random;
mod seqs;
mod settle;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use hookaido_model::{Attempt, Envelope, Lane, UnixMillis};
use hookaido_telemetry::{Backend, StoreMetrics, StoreOp};
use parking_lot::{Mutex, RwLock};

use self::core::{Core, Effects};
use crate::store::{
    AttemptQuery, Enqueue, Enqueued, ExtendBatch, Health, Lease, LeaseLost, Leased, ListQuery, Observer, Prune, Pruned,
    Reclaimed, SettleBatch, Settled, Stats, Store, StoreError, StoreFuture, Transition, Transitioned,
};

/// A queue in memory.
#[derive(Default)]
pub struct MemoryStore {
    core: Mutex<Core>,
    observer: RwLock<Option<Arc<dyn Observer>>>,
    metrics: Option<Arc<StoreMetrics>>,
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// An empty store that nobody measures.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that records what it does.
    #[must_use]
    pub fn with_metrics(metrics: Arc<StoreMetrics>) -> Self {
        metrics.set_backend(Backend::Memory);
        metrics.set_memory([0; 4], [0; 4]);
        Self { metrics: Some(metrics), ..Self::default() }
    }

    /// Runs one operation, all or nothing, then tells who waits.
    fn run<T: Send + 'static>(
        &self,
        op: StoreOp,
        work: impl FnOnce(&mut Core, &mut Effects) -> Result<T, StoreError>,
    ) -> StoreFuture<T> {
        let begin = Instant::now();
        let mut effects = Effects::default();
        let mut core = self.core.lock();
        let outcome = if core.closed { Err(closed()) } else { work(&mut core, &mut effects) };
        let (items, bytes) = core.held();
        drop(core);
        if let Some(metrics) = &self.metrics {
            metrics.operation(op, begin.elapsed());
            metrics.set_memory(items, bytes);
            match &outcome {
                Ok(_) => metrics.count(op, 1),
                Err(StoreError::Full) => metrics.count(StoreOp::EnqueueReject, 1),
                Err(_) => {}
            }
            if effects.dropped > 0 {
                metrics.evicted("drop_oldest", effects.dropped);
            }
        }
        if let Some(observer) = self.observer.read().as_ref() {
            effects.tell(observer.as_ref());
        }
        Box::pin(std::future::ready(outcome))
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the queue is closed".into())
}

impl Store for MemoryStore {
    fn backend(&self) -> &'static str {
        Backend::Memory.as_str()
    }

    fn attach(&self, observer: Arc<dyn Observer>) {
        *self.observer.write() = Some(observer);
    }

    fn lanes(&self, pairs: Vec<(Arc<str>, Arc<str>)>) -> StoreFuture<Vec<Arc<Lane>>> {
        self.run(StoreOp::WriteTx, |core, _| pairs.into_iter().map(|pair| core.lane(pair)).collect())
    }

    fn enqueue(&self, op: Enqueue) -> StoreFuture<Enqueued> {
        self.run(StoreOp::Enqueue, |core, effects| core.enqueue(op, effects))
    }

    fn lease(&self, op: Lease) -> StoreFuture<Leased> {
        self.run(StoreOp::DequeueTx, |core, effects| Ok(core.lease(&op, effects)))
    }

    fn settle(&self, op: SettleBatch) -> StoreFuture<Vec<Result<Settled, LeaseLost>>> {
        self.run(StoreOp::Settle, |core, effects| Ok(core.settle(op, effects)))
    }

    fn extend(&self, op: ExtendBatch) -> StoreFuture<Vec<Result<UnixMillis, LeaseLost>>> {
        self.run(StoreOp::WriteTx, |core, effects| Ok(core.extend(&op, effects)))
    }

    fn reclaim(&self, now: UnixMillis, max: u32) -> StoreFuture<Reclaimed> {
        self.run(StoreOp::WriteTx, |core, effects| Ok(core.reclaim(now, max, effects)))
    }

    fn transition(&self, op: Transition) -> StoreFuture<Transitioned> {
        self.run(StoreOp::WriteTx, |core, effects| Ok(core.transition(&op, effects)))
    }

    fn list(&self, query: ListQuery) -> StoreFuture<Vec<Envelope>> {
        self.run(StoreOp::Read, |core, _| Ok(core.list(&query)))
    }

    fn attempts(&self, query: AttemptQuery) -> StoreFuture<Vec<Attempt>> {
        self.run(StoreOp::Read, |core, _| Ok(core.list_attempts(&query)))
    }

    fn stats(&self) -> StoreFuture<Stats> {
        self.run(StoreOp::Read, |core, _| Ok(core.stats()))
    }

    fn prune(&self, op: Prune) -> StoreFuture<Pruned> {
        self.run(StoreOp::Prune, |core, _| Ok(core.prune(&op)))
    }

    fn maintain(&self) -> StoreFuture<()> {
        let closed = self.core.lock().closed;
        Box::pin(std::future::ready(if closed { Err(self::closed()) } else { Ok(()) }))
    }

    fn health(&self) -> Health {
        Health::Writable
    }

    fn close(&self) -> StoreFuture<()> {
        let mut core = self.core.lock();
        let rest = std::mem::take(&mut *core);
        core.closed = true;
        drop(core);
        drop(rest);
        Box::pin(std::future::ready(Ok(())))
    }
}
