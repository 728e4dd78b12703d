//! Commands on queue files: what they tell, what they refuse, and that they leave alone what they only read.

mod backup;
mod check;
mod import;
mod legacy;
mod look;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use hookaido_model::config::{DropPolicy, QueueLimits};
use hookaido_model::{
    Attempt, AttemptId, AttemptOutcome, Content, JsonMap, Lane, LaneId, State, SystemClock, UnixMillis,
};
use hookaido_queue::store::{Enqueue, Lease, Leased, NewMessage, Rules, Settle, SettleBatch, Settlement, Store};
use hookaido_telemetry::Metrics;

use super::check::check as check_file;
use super::{Check, Progress};
use crate::{SqliteOptions, SqliteStore};

/// The time of every test.
const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn open(path: &Path) -> Arc<SqliteStore> {
    let (metrics, _exporter) = Metrics::new();
    SqliteStore::open(path, &SqliteOptions::default(), Arc::new(SystemClock), Arc::clone(&metrics.store)).unwrap()
}

fn quiet() -> impl FnMut(Progress) {
    |_| {}
}

fn checked(path: &Path) -> Check {
    check_file(path, &mut quiet()).unwrap()
}

async fn lanes(store: &SqliteStore, pairs: &[(&str, &str)]) -> Vec<Arc<Lane>> {
    store.lanes(pairs.iter().map(|(route, target)| ((*route).into(), (*target).into())).collect()).await.unwrap()
}

/// A message for some lanes.
fn message(lanes: &[LaneId], payload: &[u8]) -> NewMessage {
    NewMessage {
        lanes: lanes.iter().copied().collect(),
        id: None,
        content: Content {
            payload: payload.to_vec().into(),
            headers: JsonMap::from_pairs([("Content-Type", "text/plain")]),
            trace: JsonMap::default(),
        },
        received_at: NOW,
        next_run_at: NOW,
    }
}

async fn put(store: &SqliteStore, messages: Vec<NewMessage>) {
    let limits = QueueLimits { max_depth: None, drop_policy: DropPolicy::Reject };
    store.enqueue(Enqueue { messages, limits, now: NOW }).await.unwrap();
}

async fn take(store: &SqliteStore, lane: LaneId, max: u32) -> Leased {
    let until = UnixMillis(NOW.0 + 30_000);
    store.lease(Lease { lane, max, max_bytes: u64::MAX, until, now: NOW }).await.unwrap()
}

async fn end(store: &SqliteStore, leased: &Leased, settlement: Settlement) {
    let settles = leased.envelopes.iter().filter_map(|envelope| envelope.lease);
    let settles = settles.map(|lease| Settle { lease, scope: None, settlement: settlement.clone() }).collect();
    let attempts = leased.envelopes.iter().map(|envelope| Attempt {
        id: AttemptId(0),
        event_id: envelope.id.clone(),
        lane: Arc::clone(&envelope.lane),
        attempt: envelope.attempt,
        status_code: Some(200),
        error: None,
        outcome: AttemptOutcome::Acked,
        dead_reason: None,
        created_at: NOW,
    });
    let op =
        SettleBatch { settles, attempts: attempts.collect(), keep_delivered: true, rules: Rules::default(), now: NOW };
    assert!(store.settle(op).await.unwrap().iter().all(Result::is_ok));
}

/// A queue with messages in every state, a fan-out that is partly settled, a published id attempts, and a bundle that is partly
/// taken: 5 queued, 1 leased, 2 delivered,
/// 1 dead, 1 canceled.
async fn mixed(path: &Path) -> Arc<SqliteStore> {
    let store = open(path);
    let made = lanes(&store, &[("/a", "pull"), ("/b", "http://one.example"), ("/b", "http://two.example")]).await;
    let ids: Vec<LaneId> = made.iter().map(|lane| lane.id).collect();
    let mut given = message(&ids[..1], b"published");
    given.id = Some("mine".into());
    put(&store, (0..6).map(|n| message(&ids[..1], &[n; 5000])).chain([given]).collect()).await;
    put(&store, vec![message(&ids[1..], b"fan-out"), message(&ids[1..2], b"alone")]).await;
    end(&store, &take(&store, ids[0], 1).await, Settlement::Ack).await;
    end(&store, &take(&store, ids[0], 1).await, Settlement::Bury { reason: None }).await;
    end(&store, &take(&store, ids[1], 1).await, Settlement::Ack).await;
    let canceled = take(&store, ids[0], 1).await.envelopes[0].id.clone();
    let transition = hookaido_queue::store::Transition {
        ids: vec![canceled],
        step: hookaido_queue::store::Step::Move(hookaido_model::Move::Cancel),
        only: Vec::new(),
        now: NOW,
    };
    assert_eq!(store.transition(transition).await.unwrap().changed.len(), 1);
    assert_eq!(take(&store, ids[0], 1).await.envelopes.len(), 1);
    store
}

/// Counts of [`mixed`].
const MIXED: [(State, u64); 5] =
    [(State::Queued, 5), (State::Leased, 1), (State::Delivered, 2), (State::Dead, 1), (State::Canceled, 1)];

/// Names and bytes of everything in a folder.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}
