//! A store that fails for a while, and leases that grow old.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hookaido_model::{Attempt, Envelope, Lane, ManualClock, State, UnixMillis};
use hookaido_queue::MemoryStore;
use hookaido_queue::store::{
    AttemptQuery, Enqueue, Enqueued, ExtendBatch, Health, Lease, LeaseLost, Leased, ListQuery, Observer, Prune, Pruned,
    Reclaim, Reclaimed, SettleBatch, Settled, Stats, Store, StoreError, StoreFuture, Transition, Transitioned,
};
use tokio::sync::Semaphore;

use crate::rig::{Message, Options, Rig, http, open};
use crate::sink::{Answer, Sink, status};

/// Fails so many leases and settlements, then works.
#[derive(Debug)]
struct Flaky {
    store: MemoryStore,
    leases: AtomicU32,
    settlements: AtomicU32,
}

fn fails<T: Send + 'static>(left: &AtomicU32) -> Option<StoreFuture<T>> {
    let failing = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
    failing.then(|| Box::pin(std::future::ready(Err(StoreError::Unavailable("disk full".into())))) as StoreFuture<T>)
}

impl Store for Flaky {
    fn backend(&self) -> &'static str {
        self.store.backend()
    }
    fn attach(&self, observer: Arc<dyn Observer>) {
        self.store.attach(observer);
    }
    fn lanes(&self, pairs: Vec<(Arc<str>, Arc<str>)>) -> StoreFuture<Vec<Arc<Lane>>> {
        self.store.lanes(pairs)
    }
    fn enqueue(&self, op: Enqueue) -> StoreFuture<Enqueued> {
        self.store.enqueue(op)
    }
    fn lease(&self, op: Lease) -> StoreFuture<Leased> {
        fails(&self.leases).unwrap_or_else(|| self.store.lease(op))
    }
    fn settle(&self, op: SettleBatch) -> StoreFuture<Vec<Result<Settled, LeaseLost>>> {
        fails(&self.settlements).unwrap_or_else(|| self.store.settle(op))
    }
    fn extend(&self, op: ExtendBatch) -> StoreFuture<Vec<Result<UnixMillis, LeaseLost>>> {
        self.store.extend(op)
    }
    fn reclaim(&self, op: Reclaim) -> StoreFuture<Reclaimed> {
        self.store.reclaim(op)
    }
    fn transition(&self, op: Transition) -> StoreFuture<Transitioned> {
        self.store.transition(op)
    }
    fn list(&self, query: ListQuery) -> StoreFuture<Vec<Envelope>> {
        self.store.list(query)
    }
    fn attempts(&self, query: AttemptQuery) -> StoreFuture<Vec<Attempt>> {
        self.store.attempts(query)
    }
    fn stats(&self) -> StoreFuture<Stats> {
        self.store.stats()
    }
    fn prune(&self, op: Prune) -> StoreFuture<Pruned> {
        self.store.prune(op)
    }
    fn maintain(&self) -> StoreFuture<()> {
        self.store.maintain()
    }
    fn health(&self) -> Health {
        self.store.health()
    }
    fn close(&self) -> StoreFuture<()> {
        self.store.close()
    }
}

#[tokio::test]
async fn a_store_that_fails_for_a_while_costs_no_message_and_no_second_delivery() {
    let store = Flaky { store: MemoryStore::new(), leases: AtomicU32::new(2), settlements: AtomicU32::new(2) };
    let mut rig = Rig::with(Options { store: Arc::new(store), ..Options::default() });
    let sink = Sink::answering(200).await;
    let url = sink.url("/in");
    rig.push(open(), 3, vec![http(&url)]).await;
    for _ in 0..10 {
        rig.publish(&url, Message::default()).await;
    }
    rig.settled(10).await;
    rig.stop().await;
    assert_eq!((sink.seen().len(), rig.attempts().await.len()), (10, 10));
    assert!(rig.messages().await.iter().all(|m| m.state == State::Delivered && m.attempt == 1));
}

#[tokio::test]
async fn a_store_that_never_recovers_does_not_hold_the_drain_up() {
    let store = Flaky { store: MemoryStore::new(), leases: AtomicU32::new(0), settlements: AtomicU32::new(u32::MAX) };
    let options = Options { store: Arc::new(store), drain: Duration::from_millis(100), ..Options::default() };
    let mut rig = Rig::with(options);
    let sink = Sink::answering(200).await;
    let url = sink.url("/in");
    rig.push(open(), 3, vec![http(&url)]).await;
    rig.publish(&url, Message::default()).await;
    sink.got(1).await;
    rig.stop().await;
    assert_eq!(rig.messages().await[0].state, State::Leased, "it is delivered again when its lease is over");
}

#[tokio::test]
async fn nothing_is_sent_under_a_lease_that_is_too_old_for_a_try() {
    let clock = ManualClock::at(UnixMillis(1_790_000_000_000));
    let mut rig = Rig::with(Options { clock: Arc::new(clock.clone()), ..Options::default() });
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let slow = Sink::start(move |_, _| Answer { gate: Some(Arc::clone(&held)), ..status(200) }).await;
    let other = Sink::answering(200).await;
    let (slow_url, other_url) = (slow.url("/in"), other.url("/in"));
    // one try at a time for both: the other target's message is leased and has to wait
    rig.push(open(), 1, vec![http(&slow_url), http(&other_url)]).await;
    rig.publish(&slow_url, Message::default()).await;
    slow.got(1).await;
    rig.publish(&other_url, Message::default()).await;
    rig.leased(&other_url).await;
    clock.advance(Duration::from_secs(10));
    gate.add_permits(1);
    other.got(1).await;
    rig.stop().await;
    let messages = rig.messages().await;
    assert!(messages.iter().all(|m| m.state == State::Delivered && m.attempt == 1), "{messages:?}");
}
