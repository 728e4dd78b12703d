//! A store that keeps nothing: what the HTTP stack can do at best.

use std::sync::Arc;

use hookaido_model::{Attempt, Envelope, EnvelopeId, Lane, LaneId, Seq, UnixMillis};
use hookaido_queue::store::{
    AttemptQuery, Enqueue, Enqueued, ExtendBatch, Health, Lease, LeaseLost, Leased, ListQuery, Observer, Prune, Pruned,
    Reclaim, Reclaimed, SettleBatch, Settled, Stats, Store, StoreFuture, Transition, Transitioned,
};

/// Answers every enqueue at once and is always empty.
#[derive(Debug, Default)]
pub(crate) struct Nothing;

fn ready<T: Send + 'static>(value: T) -> StoreFuture<T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Store for Nothing {
    fn backend(&self) -> &'static str {
        "nothing"
    }

    fn attach(&self, _observer: Arc<dyn Observer>) {}

    fn lanes(&self, pairs: Vec<(Arc<str>, Arc<str>)>) -> StoreFuture<Vec<Arc<Lane>>> {
        let lane = |(id, (route, target))| Arc::new(Lane { id: LaneId(id), route, target });
        ready((0..).zip(pairs).map(lane).collect())
    }

    fn enqueue(&self, op: Enqueue) -> StoreFuture<Enqueued> {
        let ids = op.messages.iter().map(|_| EnvelopeId::made(Seq::first_at(op.now), 0)).collect();
        ready(Enqueued { ids, dropped: 0 })
    }

    fn lease(&self, _op: Lease) -> StoreFuture<Leased> {
        ready(Leased::default())
    }

    fn settle(&self, op: SettleBatch) -> StoreFuture<Vec<Result<Settled, LeaseLost>>> {
        ready(op.settles.iter().map(|_| Err(LeaseLost::NotFound)).collect())
    }

    fn extend(&self, op: ExtendBatch) -> StoreFuture<Vec<Result<UnixMillis, LeaseLost>>> {
        ready(op.leases.iter().map(|_| Err(LeaseLost::NotFound)).collect())
    }

    fn reclaim(&self, _op: Reclaim) -> StoreFuture<Reclaimed> {
        ready(Reclaimed::default())
    }

    fn transition(&self, _op: Transition) -> StoreFuture<Transitioned> {
        ready(Transitioned::default())
    }

    fn list(&self, _query: ListQuery) -> StoreFuture<Vec<Envelope>> {
        ready(Vec::new())
    }

    fn attempts(&self, _query: AttemptQuery) -> StoreFuture<Vec<Attempt>> {
        ready(Vec::new())
    }

    fn stats(&self) -> StoreFuture<Stats> {
        ready(Stats::default())
    }

    fn prune(&self, _op: Prune) -> StoreFuture<Pruned> {
        ready(Pruned::default())
    }

    fn maintain(&self) -> StoreFuture<()> {
        ready(())
    }

    fn health(&self) -> Health {
        Health::Writable
    }

    fn close(&self) -> StoreFuture<()> {
        ready(())
    }
}
