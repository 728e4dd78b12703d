//! A backend that keeps everything in memory: for tests, development, and queues that may be lost.
//!
//! Same meaning as every other backend, step for step; gone with the process. Each call is one critical section of O(log n) for each
//! message it touches. What is kept beyond the depth limit (delivered, dead, canceled, attempts) is bounded in bytes and number.

mod lease;
mod messages;
mod meter;
mod prune;
mod read;
mod table;

use std::sync::Arc;

use hookaido_model::{Attempt, Envelope, Lane, LaneId, UnixMillis};
use hookaido_telemetry::{StoreMetrics, StoreOp};
use parking_lot::{Mutex, RwLock};

use self::meter::Meter;
use self::table::Table;
use crate::store::{
    AttemptQuery, Enqueue, Enqueued, ExtendBatch, Health, Lease, LeaseLost, Leased, ListQuery, Observer, Prune, Pruned,
    Reclaim, Reclaimed, SettleBatch, Settled, Stats, Store, StoreError, StoreFuture, Transition, Transitioned,
};

/// Most bytes of messages that are neither queued nor leased.
const MAX_ENDED_BYTES: u64 = 256 << 20;
/// Most attempts kept, whatever retention says.
const MAX_ATTEMPTS: usize = 200_000;

/// Fewer messages that ended are never pressure.
const FLOOR_ENDED: u64 = 1_000;

/// How much a [`MemoryStore`] keeps of what is neither queued nor leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBounds {
    /// Delivered messages; beyond it the oldest go.
    pub delivered: Option<u64>,
    /// Delivered, dead and canceled messages. At this number delivered ones go, the oldest first; when the others alone are as many,
    /// new messages are refused.
    pub ended: Option<u64>,
    /// Estimated bytes of the same, likewise.
    pub ended_bytes: u64,
    /// Records of attempts; the oldest go first.
    pub attempts: usize,
}

impl Default for MemoryBounds {
    fn default() -> Self {
        Self { delivered: None, ended: None, ended_bytes: MAX_ENDED_BYTES, attempts: MAX_ATTEMPTS }
    }
}

impl MemoryBounds {
    /// The bounds beside a limit of depth: as much history as may wait, a thousand messages that ended at the least.
    #[must_use]
    pub fn beside(max_depth: Option<u64>) -> Self {
        Self { delivered: max_depth, ended: max_depth.map(|depth| depth.max(FLOOR_ENDED)), ..Self::default() }
    }
}

/// The backend in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    table: Mutex<Table>,
    observer: RwLock<Option<Arc<dyn Observer>>>,
    meter: Meter,
}

/// Whom to tell after the critical section.
#[derive(Debug, Default)]
struct Effects {
    ready: Vec<(LaneId, UnixMillis)>,
    lease_ends: Option<UnixMillis>,
}

impl MemoryStore {
    /// An empty store that records no metrics.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that records what it does.
    #[must_use]
    pub fn with_metrics(metrics: Arc<StoreMetrics>) -> Self {
        Self { meter: Meter::new(metrics), ..Self::default() }
    }

    /// The same store with other bounds.
    #[must_use]
    pub fn bounded(self, bounds: MemoryBounds) -> Self {
        self.table.lock().bounds = bounds;
        self
    }

    /// Runs one operation, then tells the observer what it made possible.
    fn run<T: Send + 'static>(
        &self,
        op: Option<StoreOp>,
        work: impl FnOnce(&mut Table, &mut Effects) -> Result<T, StoreError>,
    ) -> StoreFuture<T> {
        let started = self.meter.start();
        let mut effects = Effects::default();
        let answer = {
            let mut table = self.table.lock();
            let answer = if table.closed { Err(closed()) } else { work(&mut table, &mut effects) };
            self.meter.end(op, started, &mut table, answer.as_ref().err());
            answer
        };
        self.tell(effects);
        Box::pin(std::future::ready(answer))
    }

    fn tell(&self, effects: Effects) {
        let observer = self.observer.read();
        let Some(observer) = observer.as_ref() else { return };
        for (lane, at) in effects.ready {
            observer.ready(lane, at);
        }
        if let Some(at) = effects.lease_ends {
            observer.lease_ends(at);
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

impl Effects {
    fn ready(&mut self, lane: LaneId, at: UnixMillis) {
        match self.ready.iter_mut().find(|(known, _)| *known == lane) {
            Some((_, earliest)) => *earliest = at.min(*earliest),
            None => self.ready.push((lane, at)),
        }
    }

    fn lease_ends(&mut self, at: UnixMillis) {
        self.lease_ends = Some(self.lease_ends.map_or(at, |known| known.min(at)));
    }
}

impl Store for MemoryStore {
    fn backend(&self) -> &'static str {
        "memory"
    }

    fn attach(&self, observer: Arc<dyn Observer>) {
        *self.observer.write() = Some(observer);
    }

    fn lanes(&self, pairs: Vec<(Arc<str>, Arc<str>)>) -> StoreFuture<Vec<Arc<Lane>>> {
        self.run(None, |table, _| pairs.into_iter().map(|(route, target)| table.lane_of(route, target)).collect())
    }

    fn enqueue(&self, op: Enqueue) -> StoreFuture<Enqueued> {
        self.run(Some(StoreOp::Enqueue), |table, effects| table.enqueue(op, effects))
    }

    fn lease(&self, op: Lease) -> StoreFuture<Leased> {
        self.run(Some(StoreOp::DequeueTx), |table, effects| Ok(table.lease(op, effects)))
    }

    fn settle(&self, op: SettleBatch) -> StoreFuture<Vec<Result<Settled, LeaseLost>>> {
        self.run(Some(StoreOp::Settle), |table, effects| Ok(table.settle(op, effects)))
    }

    fn extend(&self, op: ExtendBatch) -> StoreFuture<Vec<Result<UnixMillis, LeaseLost>>> {
        self.run(None, |table, effects| Ok(table.extend(&op, effects)))
    }

    fn reclaim(&self, op: Reclaim) -> StoreFuture<Reclaimed> {
        self.run(None, |table, effects| Ok(table.reclaim(&op, effects)))
    }

    fn transition(&self, op: Transition) -> StoreFuture<Transitioned> {
        self.run(None, |table, effects| Ok(table.transition(op, effects)))
    }

    fn list(&self, query: ListQuery) -> StoreFuture<Vec<Envelope>> {
        self.run(Some(StoreOp::Read), |table, _| Ok(table.list(&query)))
    }

    fn attempts(&self, query: AttemptQuery) -> StoreFuture<Vec<Attempt>> {
        self.run(Some(StoreOp::Read), |table, _| Ok(table.list_attempts(&query)))
    }

    fn stats(&self) -> StoreFuture<Stats> {
        self.run(Some(StoreOp::Read), |table, _| Ok(table.stats()))
    }

    fn prune(&self, op: Prune) -> StoreFuture<Pruned> {
        self.run(Some(StoreOp::Prune), |table, _| Ok(table.prune(&op)))
    }

    fn maintain(&self) -> StoreFuture<()> {
        self.run(None, |_, _| Ok(()))
    }

    fn health(&self) -> Health {
        Health::Writable
    }

    fn close(&self) -> StoreFuture<()> {
        let mut table = self.table.lock();
        *table = Table::default();
        table.closed = true;
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests;
