//! What is bundled is leased, found, changed and forgotten like any other message.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hookaido_model::config::{DropPolicy, QueueLimits};
use hookaido_model::{DeadReason, EnvelopeId, LaneId, Move, State};
use hookaido_queue::store::{Enqueue, ListQuery, Settlement, Step, Store, Transition};

use super::{NOW, all, enqueue, lane, message, open, payloads, settle, take};
use crate::SqliteStore;

struct Rig {
    _folder: tempfile::TempDir,
    path: PathBuf,
    store: Arc<SqliteStore>,
    a: LaneId,
    b: LaneId,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let store = open(&path);
        let (a, b) = (lane(&store, "/a").await.id, lane(&store, "/b").await.id);
        Self { _folder: folder, path, store, a, b }
    }

    /// Puts messages into one transaction: one bundle for each lane.
    async fn put(&self, messages: &[(LaneId, &str)]) -> Vec<EnvelopeId> {
        let messages = messages.iter().map(|(lane, payload)| message(*lane, payload.as_bytes())).collect();
        self.store.enqueue(enqueue(messages)).await.unwrap().ids
    }

    async fn lease(&self, lane: LaneId, max: u32) -> Vec<String> {
        texts(&self.store.lease(take(lane, max, NOW)).await.unwrap().envelopes)
    }

    async fn counts(&self) -> Vec<[u64; 5]> {
        self.store.stats().await.unwrap().lanes.iter().map(|lane| lane.counts).collect()
    }

    async fn step(&self, step: Step, id: &EnvelopeId) -> usize {
        let change = Transition { ids: vec![id.clone()], step, only: Vec::new(), now: NOW };
        self.store.transition(change).await.unwrap().changed.len()
    }

    fn number(&self, sql: &str) -> i64 {
        number(&self.path, sql)
    }
}

fn number(path: &Path, sql: &str) -> i64 {
    rusqlite::Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn texts(envelopes: &[hookaido_model::Envelope]) -> Vec<String> {
    let text = |envelope: &hookaido_model::Envelope| {
        String::from_utf8(envelope.content.as_ref().unwrap().payload.to_vec()).unwrap()
    };
    envelopes.iter().map(text).collect()
}

#[tokio::test]
async fn a_bundle_is_leased_from_its_front_and_goes_with_its_last_message() {
    let rig = Rig::new().await;
    rig.put(&[(rig.a, "1"), (rig.b, "x"), (rig.a, "2"), (rig.a, "3")]).await;
    assert_eq!(rig.number("SELECT count(*) FROM bundle"), 2);
    assert_eq!(rig.number("SELECT count(*) FROM message"), 0);
    assert_eq!(rig.counts().await, [[3, 0, 0, 0, 0], [1, 0, 0, 0, 0]]);
    let first = rig.store.lease(take(rig.a, 2, NOW)).await.unwrap();
    assert_eq!(texts(&first.envelopes), ["1", "2"]);
    assert_eq!(rig.counts().await[0], [1, 2, 0, 0, 0]);
    rig.store.settle(settle(&first, &Settlement::Ack)).await.unwrap();
    assert_eq!(rig.number("SELECT refs FROM shared_content"), 1);
    let second = rig.store.lease(take(rig.a, 9, NOW)).await.unwrap();
    assert_eq!(texts(&second.envelopes), ["3"]);
    rig.store.settle(settle(&second, &Settlement::Ack)).await.unwrap();
    let lone = rig.store.lease(take(rig.b, 9, NOW)).await.unwrap();
    rig.store.settle(settle(&lone, &Settlement::Ack)).await.unwrap();
    for table in ["bundle", "content", "shared_content", "message"] {
        assert_eq!(rig.number(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    assert_eq!(rig.counts().await, [[0; 5]; 2]);
}

#[tokio::test]
async fn counts_and_order_are_the_same_after_opening_the_file_again() {
    let rig = Rig::new().await;
    rig.put(&[(rig.a, "1"), (rig.a, "2"), (rig.a, "3")]).await;
    rig.put(&[(rig.a, "4"), (rig.b, "x")]).await;
    let taken = rig.store.lease(take(rig.a, 1, NOW)).await.unwrap();
    let before = rig.counts().await;
    rig.store.close().await.unwrap();
    let store = open(&rig.path);
    let stats = store.stats().await.unwrap();
    assert_eq!(stats.lanes.iter().map(|lane| lane.counts).collect::<Vec<_>>(), before);
    assert_eq!(stats.lanes[0].oldest_queued_received_at, Some(NOW));
    assert_eq!(stats.lanes[1].earliest_queued_next_run_at, Some(NOW));
    store.settle(settle(&taken, &Settlement::Nack { ready_at: Some(NOW), reason: None })).await.unwrap();
    // The one that comes back has its old place.
    let again = store.lease(take(rig.a, 9, NOW)).await.unwrap();
    assert_eq!(texts(&again.envelopes), ["1", "2", "3", "4"]);
    assert_eq!(again.envelopes[0].attempt, 2);
    let fresh = message(rig.a, b"5");
    assert_eq!(store.enqueue(enqueue(vec![fresh])).await.unwrap().ids.len(), 1);
    assert_eq!(payloads(&store).await.len(), 6);
}

#[tokio::test]
async fn one_message_of_a_bundle_can_be_canceled_resumed_and_deleted() {
    let rig = Rig::new().await;
    let ids = rig.put(&[(rig.a, "1"), (rig.a, "2"), (rig.a, "3")]).await;
    assert_eq!(rig.step(Step::Move(Move::Cancel), &ids[1]).await, 1);
    assert_eq!(rig.counts().await[0], [2, 0, 0, 0, 1]);
    // It has its content for itself, the others still share theirs.
    assert_eq!(rig.number("SELECT count(*) FROM content"), 2);
    assert_eq!(rig.number("SELECT refs FROM shared_content"), 2);
    assert_eq!(rig.lease(rig.a, 1).await, ["1"]);
    assert_eq!(rig.step(Step::Delete, &ids[2]).await, 1);
    assert_eq!(rig.step(Step::Delete, &ids[2]).await, 0);
    assert_eq!(rig.step(Step::Move(Move::Resume), &ids[1]).await, 1);
    assert_eq!(rig.lease(rig.a, 9).await, ["2"]);
    assert_eq!(rig.counts().await[0], [0, 2, 0, 0, 0]);
}

#[tokio::test]
async fn a_dead_letter_does_not_keep_its_bundle() {
    let rig = Rig::new().await;
    rig.put(&[(rig.a, "1"), (rig.a, "2"), (rig.a, "3")]).await;
    let leased = rig.store.lease(take(rig.a, 3, NOW)).await.unwrap();
    let bury = Settlement::Bury { reason: Some(DeadReason("no".into())) };
    let mut batch = settle(&leased, &Settlement::Ack);
    batch.settles[1].settlement = bury;
    assert!(rig.store.settle(batch).await.unwrap().iter().all(Result::is_ok));
    assert_eq!(rig.number("SELECT count(*) FROM content"), 1);
    assert_eq!(rig.number("SELECT count(*) FROM shared_content"), 0);
    let dead = all(&rig.store).await;
    assert_eq!((texts(&dead), dead[0].state), (vec!["2".to_owned()], State::Dead));
    assert_eq!(rig.step(Step::Move(Move::Requeue), &dead[0].id).await, 1);
    assert_eq!(rig.lease(rig.a, 9).await, ["2"]);
}

#[tokio::test]
async fn the_oldest_make_room_wherever_they_lie() {
    let rig = Rig::new().await;
    rig.put(&[(rig.a, "1"), (rig.a, "2"), (rig.b, "3")]).await;
    assert_eq!(rig.lease(rig.a, 1).await, ["1"]);
    let limits = QueueLimits { max_depth: Some(3), drop_policy: DropPolicy::DropOldest };
    let messages = ["4", "5", "6"].map(|payload| message(rig.b, payload.as_bytes()));
    for (at, message) in messages.into_iter().enumerate() {
        let done = rig.store.enqueue(Enqueue { messages: vec![message], limits, now: NOW }).await.unwrap();
        assert_eq!(done.dropped, 1, "{at}");
    }
    assert_eq!(payloads(&rig.store).await, ["1", "5", "6"]);
    assert_eq!(rig.counts().await, [[0, 1, 0, 0, 0], [2, 0, 0, 0, 0]]);
}

#[tokio::test]
async fn lists_mix_rows_and_bundles_in_order_of_receipt() {
    let rig = Rig::new().await;
    let first = rig.put(&[(rig.a, "1"), (rig.b, "2"), (rig.a, "3")]).await;
    let mut late = message(rig.a, b"4");
    late.next_run_at = NOW.plus(std::time::Duration::from_secs(5));
    rig.store.enqueue(enqueue(vec![late])).await.unwrap();
    rig.put(&[(rig.b, "5"), (rig.a, "6")]).await;
    let list = |query: ListQuery| {
        let store = Arc::clone(&rig.store);
        async move { texts(&store.list(ListQuery { content: true, limit: 100, ..query }).await.unwrap()) }
    };
    let queued = || ListQuery { states: vec![State::Queued], ..ListQuery::default() };
    assert_eq!(list(queued()).await, ["6", "5", "4", "3", "2", "1"]);
    assert_eq!(list(ListQuery { oldest_first: true, ..queued() }).await, ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(list(ListQuery { route: Some("/b".into()), ..queued() }).await, ["5", "2"]);
    assert_eq!(list(ListQuery { before: Some(NOW), ..queued() }).await, Vec::<String>::new());
    assert_eq!(list(ListQuery { states: vec![State::Leased], ..ListQuery::default() }).await, Vec::<String>::new());
    assert_eq!(list(ListQuery { ids: Some(vec![first[2].clone(), first[0].clone()]), ..queued() }).await, ["3", "1"]);
    let two = ListQuery { limit: 2, content: true, ..queued() };
    assert_eq!(texts(&rig.store.list(two).await.unwrap()), ["6", "5"]);
    // Those that were taken are listed once, as what they are now.
    assert_eq!(rig.lease(rig.a, 1).await, ["1"]);
    assert_eq!(list(queued()).await, ["6", "5", "4", "3", "2"]);
    assert_eq!(list(ListQuery::default()).await.len(), 6);
}

#[tokio::test]
async fn a_lease_is_limited_in_bytes_across_bundles() {
    let rig = Rig::new().await;
    let long = "x".repeat(1000);
    rig.put(&[(rig.a, &long), (rig.a, &long)]).await;
    rig.put(&[(rig.a, &long), (rig.a, &long)]).await;
    let limited = hookaido_queue::store::Lease { max_bytes: 3300, ..take(rig.a, 10, NOW) };
    assert_eq!(rig.store.lease(limited).await.unwrap().envelopes.len(), 3);
    assert_eq!(rig.store.lease(limited).await.unwrap().envelopes.len(), 1);
    assert_eq!(rig.store.lease(limited).await.unwrap().envelopes.len(), 0);
}

#[tokio::test]
async fn many_and_large_messages_are_spread_over_bundles() {
    let rig = Rig::new().await;
    let long = "y".repeat(10_000);
    let mut messages = vec![(rig.a, long.as_str()); 10];
    let huge = "z".repeat(40_000);
    messages.push((rig.a, &huge));
    messages.extend((0..600).map(|_| (rig.b, "")));
    rig.put(&messages).await;
    assert!(rig.number("SELECT count(*) FROM bundle WHERE lane = 1") >= 4);
    assert!(rig.number("SELECT count(*) FROM bundle WHERE lane = 2") >= 3);
    assert!(rig.number("SELECT max(length(payload)) FROM content") == 40_000);
    // The largest has a row of its own and its place among the others.
    let leased = rig.lease(rig.a, 100).await;
    assert_eq!(leased.iter().map(String::len).collect::<Vec<_>>(), [vec![10_000; 10], vec![40_000]].concat());
    assert_eq!(rig.lease(rig.b, 1000).await.len(), 600);
    assert_eq!(rig.number("SELECT count(*) FROM bundle"), 0);
}
