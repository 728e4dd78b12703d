//! A memory store that counts, delays or refuses leases and settlements.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hookaido_model::{Attempt, Envelope, Lane, UnixMillis};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::MemoryStore;
use crate::store::*;

#[derive(Debug, Default)]
pub(super) struct Probe {
    pub(super) inner: MemoryStore,
    pub(super) observer: Mutex<Option<Arc<dyn Observer>>>,
    pub(super) leases: AtomicU64,
    pub(super) broken: AtomicBool,
    /// Answers of leases and settlements wait for permits of it. The operation itself does not.
    pub(super) gate: Mutex<Option<Arc<Semaphore>>>,
    pub(super) prunes: Mutex<Vec<UnixMillis>>,
    pub(super) maintained: AtomicU64,
}

impl Probe {
    pub(super) fn leases(&self) -> u64 {
        self.leases.load(Ordering::SeqCst)
    }

    pub(super) fn close_gate(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *self.gate.lock() = Some(Arc::clone(&gate));
        gate
    }

    fn gated<T: Send + 'static>(&self, answer: StoreFuture<T>) -> StoreFuture<T> {
        let Some(gate) = self.gate.lock().clone() else { return answer };
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            answer.await
        })
    }
}

impl Store for Probe {
    fn backend(&self) -> &'static str {
        self.inner.backend()
    }
    fn attach(&self, observer: Arc<dyn Observer>) {
        *self.observer.lock() = Some(Arc::clone(&observer));
        self.inner.attach(observer);
    }
    fn lanes(&self, pairs: Vec<(Arc<str>, Arc<str>)>) -> StoreFuture<Vec<Arc<Lane>>> {
        self.inner.lanes(pairs)
    }
    fn enqueue(&self, op: Enqueue) -> StoreFuture<Enqueued> {
        self.inner.enqueue(op)
    }
    fn lease(&self, op: Lease) -> StoreFuture<Leased> {
        self.leases.fetch_add(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(StoreError::Unavailable("broken".into()))));
        }
        self.gated(self.inner.lease(op))
    }
    fn settle(&self, op: SettleBatch) -> StoreFuture<Vec<Result<Settled, LeaseLost>>> {
        self.gated(self.inner.settle(op))
    }
    fn extend(&self, op: ExtendBatch) -> StoreFuture<Vec<Result<UnixMillis, LeaseLost>>> {
        self.inner.extend(op)
    }
    fn reclaim(&self, op: Reclaim) -> StoreFuture<Reclaimed> {
        self.inner.reclaim(op)
    }
    fn transition(&self, op: Transition) -> StoreFuture<Transitioned> {
        self.inner.transition(op)
    }
    fn list(&self, query: ListQuery) -> StoreFuture<Vec<Envelope>> {
        self.inner.list(query)
    }
    fn attempts(&self, query: AttemptQuery) -> StoreFuture<Vec<Attempt>> {
        self.inner.attempts(query)
    }
    fn stats(&self) -> StoreFuture<Stats> {
        self.inner.stats()
    }
    fn prune(&self, op: Prune) -> StoreFuture<Pruned> {
        self.prunes.lock().push(op.now);
        self.inner.prune(op)
    }
    fn maintain(&self) -> StoreFuture<()> {
        self.maintained.fetch_add(1, Ordering::SeqCst);
        self.inner.maintain()
    }
    fn health(&self) -> Health {
        self.inner.health()
    }
    fn close(&self) -> StoreFuture<()> {
        self.inner.close()
    }
}
