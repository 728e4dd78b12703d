//! The meaning of a store, written as simply as possible: a list of rows, searched from end to end.
//!
//! Slow on purpose. Other stores are compared with it, operation by operation.

mod changes;
mod reads;

use std::sync::Arc;

use hookaido_model::{
    Attempt, Content, DeadReason, Envelope, EnvelopeId, Lane, LaneId, LeaseId, Move, Redelivery, Seq, State, UnixMillis,
};
use parking_lot::Mutex;

use crate::store::{
    AttemptQuery, Enqueue, Enqueued, ExtendBatch, Health, Lease, LeaseLost, Leased, ListQuery, Observer, Prune, Pruned,
    Reclaim, Reclaimed, SettleBatch, Settled, Stats, Store, StoreFuture, Transition, Transitioned,
};

/// The reference. Clones share what is stored. Tells no observer.
#[derive(Clone, Debug, Default)]
pub struct ReferenceStore(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    lanes: Vec<Arc<Lane>>,
    rows: Vec<Row>,
    attempts: Vec<Attempt>,
    /// Made-up random numbers.
    numbers: u64,
}

#[derive(Clone, Debug)]
struct Row {
    seq: Seq,
    id: EnvelopeId,
    lane: LaneId,
    state: State,
    next_run_at: UnixMillis,
    attempt: u32,
    lease: Option<(LeaseId, UnixMillis)>,
    dead_reason: Option<DeadReason>,
    /// Of the last nack that gave one.
    nack_reason: Option<DeadReason>,
    ended_at: UnixMillis,
    content: Arc<Content>,
}

impl Row {
    /// Makes a move, which must be legal.
    fn step(&mut self, step: Move) {
        self.state = self.state.after(step).unwrap();
        if self.state != State::Leased {
            self.lease = None;
        }
        if self.state != State::Dead {
            self.dead_reason = None;
        }
    }

    /// The lease ended without an ack. Written out anew rather than asked of the model: whether the message is dead now.
    fn come_back(&mut self, ready_at: Option<UnixMillis>, rule: Redelivery, now: UnixMillis) -> bool {
        if rule.max_receives.is_some_and(|most| most <= self.attempt) {
            let said = self.nack_reason.take().map_or(String::new(), |said| format!(": {}", said.as_str()));
            self.step(Move::Bury);
            self.ended_at = now;
            self.dead_reason = Some(DeadReason(format!("max_receives{said}").into()));
            return true;
        }
        let mut delay = 0;
        if let Some(backoff) = rule.backoff {
            assert!(backoff.jitter == 0.0, "what chance does cannot be compared");
            let cap = backoff.cap.as_millis();
            delay = (1..self.attempt).fold(backoff.base.as_millis(), |delay, _| (delay * 2).min(cap)).min(cap);
        }
        self.step(Move::Release);
        self.next_run_at = ready_at.unwrap_or(UnixMillis(now.0 + i64::try_from(delay).unwrap()));
        false
    }

    fn bytes(&self) -> usize {
        self.content.payload.len() + self.content.headers.as_bytes().len() + self.content.trace.as_bytes().len()
    }
}

impl Rows {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn count(&self, state: State) -> usize {
        self.rows.iter().filter(|row| row.state == state).count()
    }

    fn by_id(&mut self, id: &EnvelopeId) -> Option<&mut Row> {
        let text = id.to_string();
        self.rows.iter_mut().find(|row| row.id.to_string() == text)
    }

    /// Rows in a state, in an order.
    fn ordered<K: Ord>(&self, state: State, order: impl Fn(&Row) -> K) -> Vec<Row> {
        let mut rows: Vec<Row> = self.rows.iter().filter(|row| row.state == state).cloned().collect();
        rows.sort_by_key(|row| (order(row), row.seq));
        rows
    }

    fn row(&mut self, seq: Seq) -> &mut Row {
        self.rows.iter_mut().find(|row| row.seq == seq).unwrap()
    }

    fn remove(&mut self, seq: Seq) {
        self.rows.retain(|row| row.seq != seq);
    }

    fn envelope(&self, row: &Row) -> Envelope {
        Envelope {
            id: row.id.clone(),
            lane: Arc::clone(self.lanes.iter().find(|lane| lane.id == row.lane).unwrap()),
            state: row.state,
            received_at: UnixMillis(row.seq.0 >> Seq::COUNTER_BITS),
            next_run_at: row.next_run_at,
            attempt: row.attempt,
            lease: row.lease.map(|(lease, _)| lease),
            lease_until: row.lease.map(|(_, until)| until),
            dead_reason: row.dead_reason.clone(),
            content: Some(Arc::clone(&row.content)),
        }
    }
}

fn ready<T: Send + 'static>(value: Result<T, crate::store::StoreError>) -> StoreFuture<T> {
    Box::pin(std::future::ready(value))
}

impl Store for ReferenceStore {
    fn backend(&self) -> &'static str {
        "reference"
    }
    fn attach(&self, _: Arc<dyn Observer>) {}
    fn lanes(&self, pairs: Vec<(Arc<str>, Arc<str>)>) -> StoreFuture<Vec<Arc<Lane>>> {
        ready(Ok(self.0.lock().lanes(pairs)))
    }
    fn enqueue(&self, op: Enqueue) -> StoreFuture<Enqueued> {
        ready(self.0.lock().enqueue(op))
    }
    fn lease(&self, op: Lease) -> StoreFuture<Leased> {
        ready(Ok(self.0.lock().lease(op)))
    }
    fn settle(&self, op: SettleBatch) -> StoreFuture<Vec<Result<Settled, LeaseLost>>> {
        ready(Ok(self.0.lock().settle(op)))
    }
    fn extend(&self, op: ExtendBatch) -> StoreFuture<Vec<Result<UnixMillis, LeaseLost>>> {
        ready(Ok(self.0.lock().extend(&op)))
    }
    fn reclaim(&self, op: Reclaim) -> StoreFuture<Reclaimed> {
        ready(Ok(self.0.lock().reclaim(&op)))
    }
    fn transition(&self, op: Transition) -> StoreFuture<Transitioned> {
        ready(Ok(self.0.lock().transition(&op)))
    }
    fn list(&self, query: ListQuery) -> StoreFuture<Vec<Envelope>> {
        ready(Ok(self.0.lock().list(&query)))
    }
    fn attempts(&self, query: AttemptQuery) -> StoreFuture<Vec<Attempt>> {
        ready(Ok(self.0.lock().list_attempts(&query)))
    }
    fn stats(&self) -> StoreFuture<Stats> {
        ready(Ok(self.0.lock().stats()))
    }
    fn prune(&self, op: Prune) -> StoreFuture<Pruned> {
        ready(Ok(self.0.lock().prune(&op)))
    }
    fn maintain(&self) -> StoreFuture<()> {
        ready(Ok(()))
    }
    fn health(&self) -> Health {
        Health::Writable
    }
    fn close(&self) -> StoreFuture<()> {
        ready(Ok(()))
    }
}
