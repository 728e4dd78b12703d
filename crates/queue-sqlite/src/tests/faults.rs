//! Failing operations, failing commits, and a disk without room.

use std::sync::atomic::Ordering;
use std::time::Duration;

use hookaido_queue::store::{Health, Settlement, Store, StoreError};
use parking_lot::{Condvar, Mutex};

use super::{NOW, all, enqueue, lane, message, open, payloads, put, settle, take, try_open};
use crate::SqliteOptions;
use crate::inbox::Op;

/// Waits for changes of health.
#[derive(Debug, Default)]
struct Watch {
    health: Mutex<Health>,
    changed: Condvar,
}

impl hookaido_queue::store::Observer for Watch {
    fn ready(&self, _lane: hookaido_model::LaneId, _at: hookaido_model::UnixMillis) {}
    fn lease_ends(&self, _at: hookaido_model::UnixMillis) {}
    fn health(&self, health: &Health) {
        self.health.lock().clone_from(health);
        self.changed.notify_all();
    }
}

impl Watch {
    fn until(&self, wanted: impl Fn(&Health) -> bool) {
        let mut health = self.health.lock();
        while !wanted(&health) {
            let late = self.changed.wait_for(&mut health, Duration::from_secs(20)).timed_out();
            assert!(!late, "health stays {health:?}");
        }
    }
}

#[tokio::test]
async fn an_operation_that_fails_does_not_harm_its_batch() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("queue.db"));
    let id = lane(&store, "/a").await.id;
    for _ in 0..20 {
        let before = put(&store, id, b"before");
        let poisoned = store.send((), Op::Poison);
        let after = put(&store, id, b"after");
        let (before, poisoned, after) = tokio::join!(before, poisoned, after);
        assert!(before.is_ok() && after.is_ok());
        assert!(matches!(poisoned, Err(StoreError::Corrupt(_))), "{poisoned:?}");
    }
    assert_eq!(all(&store).await.len(), 40);
    assert_eq!(store.stats().await.unwrap().lanes.len(), 1, "what it had written is undone");
    assert_eq!(store.health(), Health::Writable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_fails_everybody_in_it_and_is_retried_later() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { probe_every: Duration::from_millis(20), ..SqliteOptions::default() };
    let store = try_open(&folder.path().join("queue.db"), &options).unwrap();
    let watch = std::sync::Arc::new(Watch::default());
    store.attach(std::sync::Arc::clone(&watch) as _);
    let id = lane(&store, "/a").await.id;
    put(&store, id, b"kept").await.unwrap();
    store.shared().break_commits.store(true, Ordering::Relaxed);
    let (one, two) = tokio::join!(put(&store, id, b"lost"), put(&store, id, b"lost"));
    assert!(matches!(one, Err(StoreError::Unavailable(_))) && matches!(two, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.health(), Health::ReadOnly { .. }));
    assert!(matches!(put(&store, id, b"refused").await, Err(StoreError::Unavailable(_))));
    assert_eq!(payloads(&store).await, ["kept"], "lists still work");
    store.shared().break_commits.store(false, Ordering::Relaxed);
    watch.until(|health| *health == Health::Writable);
    put(&store, id, b"new").await.unwrap();
    assert_eq!(payloads(&store).await, ["kept", "new"]);
    assert_eq!(store.stats().await.unwrap().lanes[0].counts[0], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_commit_dropped_is_the_first_to_go_later() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { probe_every: Duration::from_millis(20), ..SqliteOptions::default() };
    let store = try_open(&folder.path().join("queue.db"), &options).unwrap();
    let watch = std::sync::Arc::new(Watch::default());
    store.attach(std::sync::Arc::clone(&watch) as _);
    let id = lane(&store, "/a").await.id;
    for body in [b"1", b"2", b"3"] {
        put(&store, id, body).await.unwrap();
    }
    // out of their bundles, and back
    let leased = store.lease(take(id, 3, NOW)).await.unwrap();
    store.settle(settle(&leased, &Settlement::Nack { ready_at: Some(NOW), reason: None })).await.unwrap();
    let drop_policy = hookaido_model::config::DropPolicy::DropOldest;
    let limits = hookaido_model::config::QueueLimits { max_depth: Some(3), drop_policy };
    let newer = || hookaido_queue::store::Enqueue { limits, ..enqueue(vec![message(id, b"4"), message(id, b"5")]) };
    store.shared().break_commits.store(true, Ordering::Relaxed);
    assert!(matches!(store.enqueue(newer()).await, Err(StoreError::Unavailable(_))));
    assert_eq!(payloads(&store).await, ["1", "2", "3"]);
    store.shared().break_commits.store(false, Ordering::Relaxed);
    watch.until(|health| *health == Health::Writable);
    assert_eq!(store.enqueue(newer()).await.unwrap().dropped, 2);
    assert_eq!(payloads(&store).await, ["3", "4", "5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_file_can_be_emptied_and_then_takes_messages_again() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        SqliteOptions { size_limit: Some(4 << 20), probe_every: Duration::from_millis(20), ..SqliteOptions::default() };
    let path = folder.path().join("queue.db");
    let store = try_open(&path, &options).unwrap();
    let watch = std::sync::Arc::new(Watch::default());
    store.attach(std::sync::Arc::clone(&watch) as _);
    let id = lane(&store, "/a").await.id;
    let body = vec![b'x'; 200_000];
    let mut stored = 0;
    let refused = loop {
        match put(&store, id, &body).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(stored > 10, "{stored}");
    assert!(refused.to_string().contains("no space is left"), "{refused}");
    watch.until(|health| matches!(health, Health::ReadOnly { .. }));
    assert_eq!(all(&store).await.len(), stored);
    let leased = store.lease(take(id, 10, NOW)).await.unwrap();
    assert_eq!(leased.envelopes.len(), 10, "what is there can be worked off");
    store.settle(settle(&leased, &Settlement::Ack)).await.unwrap();
    watch.until(|health| *health == Health::Writable);
    store.enqueue(enqueue(vec![message(id, &body)])).await.unwrap();
    assert_eq!(all(&store).await.len(), stored - 10 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_moved_away_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { probe_every: Duration::from_millis(20), ..SqliteOptions::default() };
    let path = folder.path().join("queue.db");
    let store = try_open(&path, &options).unwrap();
    let watch = std::sync::Arc::new(Watch::default());
    store.attach(std::sync::Arc::clone(&watch) as _);
    let id = lane(&store, "/a").await.id;
    std::fs::rename(&path, folder.path().join("elsewhere.db")).unwrap();
    store.maintain().await.unwrap();
    let refused = put(&store, id, b"lost").await.unwrap_err();
    assert!(refused.to_string().contains("was moved or deleted"), "{refused}");
    std::fs::rename(folder.path().join("elsewhere.db"), &path).unwrap();
    watch.until(|health| *health == Health::Writable);
    put(&store, id, b"kept").await.unwrap();
}
