//! What only the memory store does; the rest is in the conformance suite.

use std::time::Duration;

use bytes::Bytes;
use hookaido_model::config::{DropPolicy, QueueLimits};
use hookaido_model::{AttemptId, AttemptOutcome, Content, EnvelopeId, LeaseId, Seq, State};
use hookaido_telemetry::Metrics;
use smallvec::smallvec;

use super::table::Row;
use super::*;
use crate::store::{NewMessage, Rules, Settle, Settlement};

const T0: UnixMillis = UnixMillis(1_790_000_000_000);
const UNLIMITED: QueueLimits = QueueLimits { max_depth: None, drop_policy: DropPolicy::Reject };

async fn lane(store: &MemoryStore) -> Arc<Lane> {
    store.lanes(vec![("/a".into(), "pull".into())]).await.unwrap().remove(0)
}

async fn put(store: &MemoryStore, lane: LaneId, size: usize, limits: QueueLimits) -> Result<Enqueued, StoreError> {
    let content = Content { payload: Bytes::from(vec![b'x'; size]), ..Content::default() };
    let message = NewMessage { lanes: smallvec![lane], id: None, content, received_at: T0, next_run_at: T0 };
    store.enqueue(Enqueue { messages: vec![message], limits, now: T0 }).await
}

async fn take(store: &MemoryStore, lane: LaneId) -> LeaseId {
    let until = T0.plus(Duration::from_secs(30));
    let leased = store.lease(Lease { lane, max: 1, max_bytes: 1 << 20, until, now: T0 }).await.unwrap();
    leased.envelopes[0].lease.unwrap()
}

async fn end(store: &MemoryStore, lease: LeaseId, settlement: Settlement) {
    let settles = vec![Settle { lease, scope: None, settlement }];
    store
        .settle(SettleBatch { settles, attempts: vec![], keep_delivered: true, rules: Rules::default(), now: T0 })
        .await
        .unwrap()[0]
        .unwrap();
}

async fn count(store: &MemoryStore, state: State) -> u64 {
    store.stats().await.unwrap().lanes[0].counts[usize::from(state.code())]
}

#[tokio::test]
async fn what_is_kept_has_a_bound() {
    let store =
        MemoryStore::new().bounded(MemoryBounds { ended_bytes: 10_000, attempts: 2, ..MemoryBounds::default() });
    let lane = lane(&store).await.id;
    for _ in 0..20 {
        put(&store, lane, 1000, UNLIMITED).await.unwrap();
        end(&store, take(&store, lane).await, Settlement::Ack).await;
    }
    let kept = count(&store, State::Delivered).await;
    assert!((6..=8).contains(&kept), "delivered ones go, the oldest first: {kept}");
    for _ in 0..8 {
        put(&store, lane, 1000, UNLIMITED).await.unwrap();
        end(&store, take(&store, lane).await, Settlement::Bury { reason: None }).await;
    }
    let refused = put(&store, lane, 1000, UNLIMITED).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(why)) if why.starts_with("memory pressure")));
    assert_eq!((count(&store, State::Delivered).await, count(&store, State::Dead).await), (0, 8), "dead ones stay");
}

#[tokio::test]
async fn history_is_bounded_by_number_and_refuses_nothing() {
    let bounds = MemoryBounds { delivered: Some(3), ended: Some(6), ..MemoryBounds::default() };
    let (metrics, exporter) = Metrics::new();
    let store = MemoryStore::with_metrics(Arc::clone(&metrics.store)).bounded(bounds);
    let lane = lane(&store).await.id;
    for _ in 0..8 {
        put(&store, lane, 10, UNLIMITED).await.unwrap();
        end(&store, take(&store, lane).await, Settlement::Ack).await;
    }
    assert_eq!(count(&store, State::Delivered).await, 4, "three, and what was delivered since the last one came in");
    for dead in 1..=6 {
        put(&store, lane, 10, UNLIMITED).await.unwrap();
        end(&store, take(&store, lane).await, Settlement::Bury { reason: None }).await;
        assert_eq!(count(&store, State::Dead).await, dead);
    }
    let refused = put(&store, lane, 10, UNLIMITED).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(why)) if why.starts_with("memory pressure")));
    assert_eq!((count(&store, State::Delivered).await, count(&store, State::Dead).await), (0, 6));
    let text = exporter.render();
    for line in [
        "hookaido_store_memory_evictions_total{reason=\"delivered_retention_depth\"} 8",
        "hookaido_store_errors_total{backend=\"memory\",operation=\"enqueue\",kind=\"memory_pressure\"} 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(MemoryBounds::beside(Some(5)).ended, Some(1_000));
    assert_eq!(
        MemoryBounds::beside(Some(5_000)),
        MemoryBounds { delivered: Some(5_000), ended: Some(5_000), ..MemoryBounds::default() }
    );
    assert_eq!(MemoryBounds::beside(None), MemoryBounds::default());
}

#[tokio::test]
async fn a_refusal_drops_nothing() {
    let bounds = MemoryBounds { ended: Some(1), ..MemoryBounds::default() };
    let store = MemoryStore::new().bounded(bounds);
    let lane = lane(&store).await.id;
    let limits = QueueLimits { max_depth: Some(2), drop_policy: DropPolicy::DropOldest };
    for _ in 0..2 {
        put(&store, lane, 10, limits).await.unwrap();
    }
    end(&store, take(&store, lane).await, Settlement::Bury { reason: None }).await;
    for _ in 0..3 {
        assert!(put(&store, lane, 10, limits).await.is_err(), "under pressure");
    }
    assert_eq!((count(&store, State::Queued).await, count(&store, State::Dead).await), (1, 1));
}

#[tokio::test]
async fn attempts_have_a_bound() {
    let store = MemoryStore::new().bounded(MemoryBounds { attempts: 2, ..MemoryBounds::default() });
    let lane = lane(&store).await;
    let attempt = |n| Attempt {
        id: AttemptId(0),
        event_id: EnvelopeId::from("x"),
        lane: Arc::clone(&lane),
        attempt: n,
        status_code: None,
        error: None,
        outcome: AttemptOutcome::Retry,
        dead_reason: None,
        created_at: T0,
    };
    let op = SettleBatch {
        settles: vec![],
        attempts: (1..6).map(attempt).collect(),
        keep_delivered: true,
        rules: Rules::default(),
        now: T0,
    };
    store.settle(op).await.unwrap();
    let left = store.attempts(AttemptQuery { limit: 9, ..AttemptQuery::default() }).await.unwrap();
    assert_eq!(left.iter().map(|attempt| attempt.attempt).collect::<Vec<_>>(), [5, 4]);
}

#[tokio::test]
async fn what_it_does_is_measured() {
    let (metrics, exporter) = Metrics::new();
    let store = MemoryStore::with_metrics(Arc::clone(&metrics.store));
    let lane = lane(&store).await.id;
    let limits = QueueLimits { max_depth: Some(2), drop_policy: DropPolicy::DropOldest };
    for _ in 0..3 {
        put(&store, lane, 5, limits).await.unwrap();
    }
    take(&store, lane).await;
    let reject = QueueLimits { drop_policy: DropPolicy::Reject, ..limits };
    assert_eq!(put(&store, lane, 5, reject).await.map(|_| ()), Err(StoreError::Full));
    let text = exporter.render();
    for line in [
        "hookaido_store_memory_items{state=\"queued\"} 1",
        "hookaido_store_memory_items{state=\"leased\"} 1",
        "hookaido_store_memory_items{state=\"dead\"} 0",
        "hookaido_store_memory_evictions_total{reason=\"drop_oldest\"} 1",
        "hookaido_store_operation_total{backend=\"memory\",operation=\"evict\"} 1",
        "hookaido_store_operation_total{backend=\"memory\",operation=\"enqueue_reject\"} 1",
        "hookaido_store_errors_total{backend=\"memory\",operation=\"enqueue\",kind=\"memory_pressure\"} 0",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_full_millisecond_flows_over_into_the_next() {
    let mut table = Table::default();
    let first = Seq::first_at(T0);
    let row = Row {
        lane: LaneId(1),
        state: State::Queued,
        next_run_at: T0,
        attempt: 0,
        nonce: 0,
        given: None,
        content: Arc::default(),
        token: 0,
        until: T0,
        dead_reason: None,
        said: None,
        ended_at: T0,
    };
    assert_eq!(table.free_place(T0), Ok(first));
    table.insert(first, row.clone());
    assert_eq!(table.free_place(T0), Ok(first.next().unwrap()));
    table.insert(first.last_of_millisecond(), row.clone());
    let next = Seq::first_at(UnixMillis(T0.0 + 1));
    assert_eq!(table.free_place(T0), Ok(next));
    table.insert(next, row);
    assert_eq!(table.free_place(T0), Ok(next.next().unwrap()));
}
