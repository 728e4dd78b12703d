//! What the store keeps, refuses and survives.

mod bundles;
mod conformance;
mod faults;
mod files;
mod inbox;
mod retention;
mod simulation;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookaido_model::config::{DropPolicy, QueueLimits, Retention, Retentions};
use hookaido_model::{
    Attempt, AttemptId, AttemptOutcome, Content, Envelope, JsonMap, Lane, LaneId, State, SystemClock, UnixMillis,
};
use hookaido_queue::store::{
    AttemptQuery, Enqueue, Lease, Leased, ListQuery, NewMessage, Prune, Rules, Settle, SettleBatch, Settlement, Store,
    StoreError, Transition,
};
use hookaido_telemetry::Metrics;

use crate::{OpenError, SqliteOptions, SqliteStore};

/// The time of every test.
const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const NO_LIMITS: QueueLimits = QueueLimits { max_depth: None, drop_policy: DropPolicy::Reject };

fn try_open(path: &Path, options: &SqliteOptions) -> Result<Arc<SqliteStore>, OpenError> {
    let (metrics, _exporter) = Metrics::new();
    SqliteStore::open(path, options, Arc::new(SystemClock), Arc::clone(&metrics.store))
}

fn open(path: &Path) -> Arc<SqliteStore> {
    try_open(path, &SqliteOptions::default()).unwrap()
}

async fn lane(store: &SqliteStore, route: &str) -> Arc<Lane> {
    let lanes = store.lanes(vec![(route.into(), "pull".into())]).await.unwrap();
    Arc::clone(&lanes[0])
}

fn message(lane: LaneId, payload: &[u8]) -> NewMessage {
    NewMessage {
        lanes: [lane].into_iter().collect(),
        id: None,
        content: Content {
            payload: Bytes::copy_from_slice(payload),
            headers: JsonMap::from_pairs([("Content-Type", "text/plain")]),
            trace: JsonMap::default(),
        },
        received_at: NOW,
        next_run_at: NOW,
    }
}

fn enqueue(messages: Vec<NewMessage>) -> Enqueue {
    Enqueue { messages, limits: NO_LIMITS, now: NOW }
}

async fn put(store: &SqliteStore, lane: LaneId, payload: &[u8]) -> Result<(), StoreError> {
    store.enqueue(enqueue(vec![message(lane, payload)])).await.map(|_| ())
}

fn take(lane: LaneId, max: u32, now: UnixMillis) -> Lease {
    Lease { lane, max, max_bytes: u64::MAX, until: now.plus(Duration::from_secs(30)), now }
}

fn settle(leased: &Leased, settlement: &Settlement) -> SettleBatch {
    let settles = leased.envelopes.iter().filter_map(|envelope| envelope.lease);
    let settles = settles.map(|lease| Settle { lease, scope: None, settlement: settlement.clone() }).collect();
    SettleBatch { settles, attempts: Vec::new(), keep_delivered: false, rules: Rules::default(), now: NOW }
}

async fn all(store: &SqliteStore) -> Vec<Envelope> {
    let query = ListQuery { limit: 10_000, content: true, oldest_first: true, ..ListQuery::default() };
    store.list(query).await.unwrap()
}

async fn payloads(store: &SqliteStore) -> Vec<Bytes> {
    all(store).await.iter().filter_map(|e| e.content.as_ref().map(|content| content.payload.clone())).collect()
}

#[tokio::test]
async fn messages_outlive_a_close() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/queue.db");
    let store = open(&path);
    let id = lane(&store, "/a").await.id;
    put(&store, id, b"one").await.unwrap();
    put(&store, id, b"two").await.unwrap();
    let leased = store.lease(take(id, 1, NOW)).await.unwrap();
    assert_eq!(leased.envelopes[0].content.as_ref().unwrap().payload, "one");
    store.close().await.unwrap();
    assert!(matches!(put(&store, id, b"late").await, Err(StoreError::Unavailable(_))));

    let store = open(&path);
    assert_eq!(payloads(&store).await, ["one", "two"]);
    let stats = store.stats().await.unwrap();
    assert_eq!(stats.lanes[0].counts, [1, 1, 0, 0, 0]);
    assert_eq!(stats.lanes[0].oldest_queued_received_at, Some(NOW));
    assert_eq!(lane(&store, "/a").await.id, id);
    let outcomes = store.settle(settle(&leased, &Settlement::Ack)).await.unwrap();
    assert!(outcomes[0].is_ok());
    assert_eq!(payloads(&store).await, ["two"]);
}

#[tokio::test]
async fn a_fan_out_stores_its_content_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let store = open(&path);
    let pairs = ["x", "y", "z"].map(|target| (Arc::from("/a"), Arc::from(target)));
    let lanes = store.lanes(pairs.to_vec()).await.unwrap();
    let mut one = message(lanes[0].id, b"shared");
    one.lanes = lanes.iter().map(|lane| lane.id).collect();
    assert_eq!(store.enqueue(enqueue(vec![one])).await.unwrap().ids.len(), 3);
    let contents = || {
        let conn = rusqlite::Connection::open(&path).unwrap();
        let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        (count("SELECT count(*) FROM content"), count("SELECT count(*) FROM shared_content"))
    };
    for (lane, left) in lanes.iter().zip([(1, 1), (1, 1), (0, 0)]) {
        let leased = store.lease(take(lane.id, 10, NOW)).await.unwrap();
        assert_eq!(leased.envelopes[0].content.as_ref().unwrap().payload, "shared");
        store.settle(settle(&leased, &Settlement::Ack)).await.unwrap();
        assert_eq!(contents(), left);
    }
}

#[tokio::test]
async fn a_dropped_lease_gives_back_its_messages() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("queue.db"));
    let id = lane(&store, "/a").await.id;
    put(&store, id, b"one").await.unwrap();
    // Never looked at: whichever of caller and writer comes last sees that the other is gone.
    for _ in 0..50 {
        drop(store.lease(take(id, 1, NOW)));
        put(&store, id, b"").await.unwrap();
    }
    // The last release is in line before this.
    put(&store, id, b"").await.unwrap();
    let leased = store.lease(take(id, 100, NOW)).await.unwrap();
    assert_eq!(leased.envelopes.len(), 52);
    assert!(leased.envelopes.iter().all(|envelope| envelope.attempt == 1));
}

#[tokio::test]
async fn lists_find_few_among_many_by_state() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("queue.db"));
    let id = lane(&store, "/a").await.id;
    let many = (0..6000).map(|n| message(id, n.to_string().as_bytes())).collect();
    store.enqueue(enqueue(many)).await.unwrap();
    let leased = store.lease(take(id, 3, NOW)).await.unwrap();
    store.settle(settle(&leased, &Settlement::Bury { reason: None })).await.unwrap();
    let query = |states: &[State], oldest_first| ListQuery {
        states: states.to_vec(),
        oldest_first,
        limit: 2,
        content: true,
        ..ListQuery::default()
    };
    for (states, oldest_first, wanted) in [
        (vec![State::Dead], false, ["2", "1"]),
        (vec![State::Queued], true, ["3", "4"]),
        (vec![State::Queued, State::Dead], true, ["0", "1"]),
        (vec![], false, ["5999", "5998"]),
    ] {
        let found = store.list(query(&states, oldest_first)).await.unwrap();
        let found: Vec<_> = found.iter().map(|e| e.content.as_ref().unwrap().payload.clone()).collect();
        assert_eq!(found, wanted, "{states:?}");
    }
    let before = ListQuery { before: Some(NOW), ..query(&[], false) };
    assert!(store.list(before).await.unwrap().is_empty());
}

#[tokio::test]
async fn attempts_are_numbered_found_and_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("queue.db"));
    let lane = lane(&store, "/a").await;
    let ids = store.enqueue(enqueue(vec![message(lane.id, b"1"), message(lane.id, b"2")])).await.unwrap().ids;
    let attempts = ids.iter().map(|id| Attempt {
        id: AttemptId(0),
        event_id: id.clone(),
        lane: Arc::clone(&lane),
        attempt: 1,
        status_code: Some(500),
        error: Some("no".into()),
        outcome: AttemptOutcome::Retry,
        dead_reason: None,
        created_at: NOW,
    });
    let attempts: Vec<_> = attempts.collect();
    let op = SettleBatch { settles: Vec::new(), attempts, keep_delivered: false, rules: Rules::default(), now: NOW };
    store.settle(op).await.unwrap();
    let query = AttemptQuery { limit: 10, ..AttemptQuery::default() };
    let listed = |query: AttemptQuery| {
        let found = store.attempts(query);
        async move { found.await.unwrap().iter().map(|attempt| attempt.id.0).collect::<Vec<_>>() }
    };
    assert_eq!(listed(query.clone()).await, [2, 1]);
    assert_eq!(listed(AttemptQuery { event_id: Some(ids[0].clone()), ..query.clone() }).await, [1]);
    let off = Retention::default();
    let newest = Retention { enabled: true, max_age: None, max_rows: Some(1) };
    let retentions =
        Retentions { queued: off, delivered: off, dead: off, attempts: newest, prune_interval: Duration::from_secs(1) };
    let pruned = store.prune(Prune { retentions, max_rows: 100, now: NOW }).await.unwrap();
    assert_eq!((pruned.attempts, pruned.more), (1, false));
    assert_eq!(listed(query).await, [2]);
}

#[tokio::test]
async fn the_oldest_is_found_again_after_it_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("queue.db"));
    let id = lane(&store, "/a").await.id;
    for at in [0, 10, 20] {
        let mut one = message(id, b"");
        one.received_at = NOW.plus(Duration::from_millis(at));
        store.enqueue(enqueue(vec![one])).await.unwrap();
    }
    let oldest = || async { store.stats().await.unwrap().lanes[0].oldest_queued_received_at.unwrap().0 - NOW.0 };
    assert_eq!(oldest().await, 0);
    let leased = store.lease(take(id, 2, NOW.plus(Duration::from_secs(1)))).await.unwrap();
    assert_eq!(oldest().await, 20);
    store.settle(settle(&leased, &Settlement::Nack { ready_at: Some(NOW), reason: None })).await.unwrap();
    assert_eq!(oldest().await, 0);
    let transition = Transition {
        ids: vec![leased.envelopes[0].id.clone()],
        step: hookaido_queue::store::Step::Delete,
        only: Vec::new(),
        now: NOW,
    };
    assert_eq!(store.transition(transition).await.unwrap().changed.len(), 1);
    assert_eq!(oldest().await, 10);
}
