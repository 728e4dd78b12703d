//! A store whose enqueues wait for a permit.

use std::sync::Arc;

use hookaido_model::{Attempt, Envelope, Lane, UnixMillis};
use hookaido_queue::MemoryStore;
use hookaido_queue::store::*;
use tokio::sync::Semaphore;

#[derive(Debug)]
pub(crate) struct Gated {
    pub(crate) inner: Arc<MemoryStore>,
    pub(crate) gate: Arc<Semaphore>,
}

impl Store for Gated {
    fn backend(&self) -> &'static str {
        self.inner.backend()
    }
    fn attach(&self, observer: Arc<dyn Observer>) {
        self.inner.attach(observer);
    }
    fn lanes(&self, pairs: Vec<(Arc<str>, Arc<str>)>) -> StoreFuture<Vec<Arc<Lane>>> {
        self.inner.lanes(pairs)
    }
    fn enqueue(&self, op: Enqueue) -> StoreFuture<Enqueued> {
        let (inner, gate) = (Arc::clone(&self.inner), Arc::clone(&self.gate));
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            inner.enqueue(op).await
        })
    }
    fn lease(&self, op: Lease) -> StoreFuture<Leased> {
        self.inner.lease(op)
    }
    fn settle(&self, op: SettleBatch) -> StoreFuture<Vec<Result<Settled, LeaseLost>>> {
        self.inner.settle(op)
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
        self.inner.prune(op)
    }
    fn maintain(&self) -> StoreFuture<()> {
        self.inner.maintain()
    }
    fn health(&self) -> Health {
        self.inner.health()
    }
    fn close(&self) -> StoreFuture<()> {
        self.inner.close()
    }
}
