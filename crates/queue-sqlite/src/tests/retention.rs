//! Pruning in slices, a file that shrinks whatever else goes on, and room in the schema for what comes next.

use std::fs;
use std::time::Duration;

use hookaido_model::config::{Retention, Retentions};
use hookaido_queue::store::{Prune, Pruned, SettleBatch, Settlement, Store};

use super::{NOW, enqueue, lane, message, open, put, settle, take, try_open};
use crate::{SqliteOptions, SqliteStore};

const OFF: Retention = Retention { enabled: false, max_age: None, max_rows: None };
const SHORT: Retention = Retention { enabled: true, max_age: Some(Duration::from_secs(1)), max_rows: None };

/// Prunes once, an hour later.
async fn prune(store: &SqliteStore, queued: Retention, delivered: Retention) -> Pruned {
    let retentions = Retentions { queued, delivered, dead: OFF, attempts: OFF, prune_interval: Duration::from_secs(1) };
    store.prune(Prune { retentions, max_rows: 500, now: NOW.plus(Duration::from_secs(3600)) }).await.unwrap()
}

#[tokio::test]
async fn a_slice_is_bounded_in_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let options = SqliteOptions { checkpoint_bytes: 1 << 20, ..SqliteOptions::default() };
    let store = try_open(&path, &options).unwrap();
    let id = lane(&store, "/a").await.id;
    for _ in 0..30 {
        put(&store, id, &vec![b'x'; 1 << 20]).await.unwrap();
    }
    let log = || fs::metadata(folder.path().join("queue.db-wal")).unwrap().len();
    let (before, mut slices) = (log(), 0);
    loop {
        let pruned = prune(&store, SHORT, OFF).await;
        assert!(pruned.queued <= 2, "{pruned:?}");
        slices += 1;
        if !pruned.more {
            break;
        }
    }
    assert!(slices >= 15, "{slices}");
    assert_eq!(store.stats().await.unwrap().lanes[0].counts, [0; 5]);
    assert!(log() < before + (4 << 20), "{} after {before}", log());
}

#[tokio::test]
async fn a_slice_looks_at_so_many_and_the_next_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("queue.db"));
    let id = lane(&store, "/a").await.id;
    for _ in 0..24 {
        store.enqueue(enqueue((0..500).map(|_| message(id, b"kept")).collect())).await.unwrap();
        let leased = store.lease(take(id, 500, NOW)).await.unwrap();
        let op = SettleBatch { keep_delivered: true, ..settle(&leased, &Settlement::Ack) };
        store.settle(op).await.unwrap();
    }
    put(&store, id, b"behind them").await.unwrap();
    let first = prune(&store, SHORT, OFF).await;
    assert_eq!((first.queued, first.more), (0, true), "10,000 were looked at");
    let second = prune(&store, SHORT, OFF).await;
    assert_eq!((second.queued, second.more), (1, false));
    assert_eq!(store.stats().await.unwrap().lanes[0].counts, [0, 0, 12_000, 0, 0]);
    let mut rest = 0;
    loop {
        let pruned = prune(&store, OFF, SHORT).await;
        assert!(pruned.delivered <= 500);
        rest += pruned.delivered;
        if !pruned.more {
            break;
        }
    }
    assert_eq!(rest, 12_000);
}

#[tokio::test]
async fn messages_that_came_alone_are_pruned_in_slices_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("queue.db"));
    let id = lane(&store, "/a").await.id;
    for _ in 0..700 {
        put(&store, id, b"alone").await.unwrap();
    }
    let first = prune(&store, SHORT, OFF).await;
    assert_eq!((first.queued, first.more), (500, true));
    assert_eq!(prune(&store, SHORT, OFF).await.queued, 200);
    assert_eq!(store.stats().await.unwrap().lanes[0].counts, [0; 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_shrinks_though_somebody_always_waits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let options = SqliteOptions { checkpoint_bytes: 1 << 20, ..SqliteOptions::default() };
    let store = try_open(&path, &options).unwrap();
    let id = lane(&store, "/a").await.id;
    let body = vec![b'x'; 60_000];
    for _ in 0..60 {
        store.enqueue(enqueue((0..16).map(|_| message(id, &body)).collect())).await.unwrap();
    }
    loop {
        let leased = store.lease(take(id, 500, NOW)).await.unwrap();
        if leased.envelopes.is_empty() {
            break;
        }
        store.settle(settle(&leased, &Settlement::Ack)).await.unwrap();
    }
    let free = || {
        let conn = rusqlite::Connection::open(&path).unwrap();
        conn.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0)).unwrap() * 4096
    };
    let before = free();
    assert!(before > 50 << 20, "{before}");
    // What waits behind the upkeep keeps it from giving back everything at once.
    let load = |count: usize| (0..count).map(|_| store.enqueue(enqueue(vec![message(id, b"")]))).collect::<Vec<_>>();
    let (first, upkeep, rest) = (load(600), store.maintain(), load(600));
    for one in first.into_iter().chain(rest) {
        one.await.unwrap();
    }
    upkeep.await.unwrap();
    let begun = std::time::Instant::now();
    while free() > 20 << 20 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} of {before} are left", free());
        for one in load(64) {
            one.await.unwrap();
        }
    }
}

#[tokio::test]
async fn columns_for_what_comes_next_rewrite_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let store = open(&path);
    let id = lane(&store, "/a").await.id;
    for _ in 0..20 {
        store.enqueue(enqueue((0..500).map(|_| message(id, &[b'x'; 500])).collect())).await.unwrap();
    }
    store.close().await.unwrap();
    drop(store);
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    conn.execute_batch(
        "PRAGMA wal_autocheckpoint = 0;
         BEGIN;
         ALTER TABLE message ADD COLUMN ordering_key TEXT;
         ALTER TABLE message ADD COLUMN not_before INTEGER;
         ALTER TABLE message ADD COLUMN expires_at INTEGER;
         ALTER TABLE message ADD COLUMN dedup_key TEXT;
         ALTER TABLE message ADD COLUMN event_type TEXT;
         CREATE INDEX message_expiry ON message (expires_at) WHERE expires_at IS NOT NULL;
         COMMIT;",
    )
    .unwrap();
    let all: i64 = conn.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let written = fs::metadata(folder.path().join("queue.db-wal")).unwrap().len() / (4096 + 24);
    assert!(all > 1000 && written < 16, "{written} pages were written, there are {all}");
    drop(conn);
    let store = open(&path);
    assert_eq!(store.lease(take(id, 100, NOW)).await.unwrap().envelopes.len(), 100);
}

#[tokio::test]
async fn opening_a_file_reads_a_bounded_number_of_bundles() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let mut store = open(&path);
    let id = lane(&store, "/a").await.id;
    let mut queued = 0_u64;
    for round in 0..6_u64 {
        // Each of these is a bundle of its own.
        for _ in 0..50 {
            put(&store, id, b"alone").await.unwrap();
        }
        // In one transaction one leaves a bundle, one comes into another, and a row goes.
        let held = store.lease(take(id, 1, NOW)).await.unwrap();
        let new = store.enqueue(enqueue(vec![message(id, b"")]));
        let mixed = (store.settle(settle(&held, &Settlement::Ack)), store.lease(take(id, 1, NOW)), new);
        assert!(mixed.0.await.unwrap()[0].is_ok() && mixed.2.await.is_ok());
        queued += 50 - 1 - 1 + 1;
        let leased = u64::try_from(mixed.1.await.unwrap().envelopes.len()).unwrap() + round;
        let counts = store.stats().await.unwrap().lanes[0].counts;
        assert_eq!(counts, [queued, leased, 0, 0, 0]);
        store.close().await.unwrap();
        drop(store);
        let found = crate::tool::check(&path, &mut |_| {}).unwrap();
        assert_eq!(found.problems, Vec::<String>::new());
        let conn = rusqlite::Connection::open(&path).unwrap();
        let behind = "SELECT count(*) FROM bundle JOIN tally USING (lane) WHERE seq > bundled_to";
        let behind: i64 = conn.query_row(behind, [], |row| row.get(0)).unwrap();
        assert!(behind <= 64, "{behind}");
        drop(conn);
        store = open(&path);
        assert_eq!(store.stats().await.unwrap().lanes[0].counts, counts);
    }
    for _ in 0..200 {
        put(&store, id, b"alone").await.unwrap();
    }
    store.close().await.unwrap();
    let conn = rusqlite::Connection::open(&path).unwrap();
    let behind = "SELECT count(*) FROM bundle JOIN tally USING (lane) WHERE seq > bundled_to";
    assert!(
        conn.query_row(behind, [], |row| row.get::<_, i64>(0)).unwrap() <= 64,
        "nothing else was written meanwhile"
    );
}
