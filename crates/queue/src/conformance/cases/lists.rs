//! Looking at messages, attempts and counts.

use std::sync::Arc;
use std::time::Duration;

use hookaido_model::{Attempt, AttemptId, AttemptOutcome, DeadReason, EnvelopeId, State};

use super::Case;
use crate::conformance::bench::{Bench, T0, UNLIMITED, bodies, later, message};
use crate::store::{AttemptQuery, ListQuery, NewMessage, Rules, SettleBatch, Settlement};

pub(super) const CASES: &[Case] = &[
    |bench| Box::pin(lists_are_ordered_and_bounded(bench)),
    |bench| Box::pin(lists_are_filtered(bench)),
    |bench| Box::pin(attempts_are_filtered(bench)),
    |bench| Box::pin(counts_and_ages_are_told(bench)),
    |bench| Box::pin(a_closed_store_says_so(bench)),
];

async fn lists_are_ordered_and_bounded(bench: Bench) {
    let at = |body: &str, received: u64| NewMessage {
        received_at: later(T0, received),
        next_run_at: later(T0, 100 - received),
        ..message(bench.a, body)
    };
    bench.put_all(vec![at("2", 5), at("3", 9), at("1", 1)], UNLIMITED).await.unwrap();
    let list = |oldest_first, limit, before: Option<u64>| {
        let before = before.map(|before| later(T0, before));
        bench.store.list(ListQuery { oldest_first, limit, before, content: true, ..ListQuery::default() })
    };
    assert_eq!(bodies(&list(true, 9, None).await.unwrap()), ["1", "2", "3"]);
    assert_eq!(bodies(&list(false, 9, None).await.unwrap()), ["3", "2", "1"]);
    assert_eq!(bodies(&list(false, 2, None).await.unwrap()), ["3", "2"]);
    assert_eq!(bodies(&list(false, 2, Some(9)).await.unwrap()), ["2", "1"], "strictly before");
    assert!(list(false, 0, None).await.unwrap().is_empty());
    let bare = bench.store.list(ListQuery { limit: 1, ..ListQuery::default() }).await.unwrap();
    assert!(bare[0].content.is_none());
}

async fn lists_are_filtered(bench: Bench) {
    let lanes = bench.lanes.iter().map(|lane| lane.id).collect();
    let ids = bench.put_all(vec![NewMessage { lanes, ..message(bench.a, "m") }], UNLIMITED).await.unwrap().ids;
    let (_, lease) = bench.take_one(bench.b).await;
    bench.settle(lease, Settlement::Bury { reason: None }).await.unwrap();
    let list = |query: ListQuery| {
        let store = Arc::clone(&bench.store);
        async move {
            let found = store.list(ListQuery { limit: 9, oldest_first: true, ..query }).await.unwrap();
            found.into_iter().map(|envelope| envelope.id).collect::<Vec<_>>()
        }
    };
    let query = ListQuery::default;
    assert_eq!(list(query()).await, ids);
    assert_eq!(list(ListQuery { route: Some("/b".into()), ..query() }).await, ids[1..]);
    assert_eq!(list(ListQuery { target: Some("http://two".into()), ..query() }).await, ids[2..]);
    assert!(
        list(ListQuery { route: Some("/a".into()), target: Some("http://two".into()), ..query() }).await.is_empty()
    );
    assert!(list(ListQuery { route: Some("/unknown".into()), ..query() }).await.is_empty());
    assert_eq!(list(ListQuery { states: vec![State::Dead], ..query() }).await, ids[1..2]);
    assert_eq!(list(ListQuery { states: vec![State::Dead, State::Queued], ..query() }).await, ids);
    let asked = vec![ids[2].clone(), EnvelopeId::from("nobody"), ids[0].clone(), ids[2].clone()];
    assert_eq!(list(ListQuery { ids: Some(asked.clone()), ..query() }).await, [ids[0].clone(), ids[2].clone()]);
    assert!(list(ListQuery { ids: Some(asked), states: vec![State::Dead], ..query() }).await.is_empty());
    assert!(list(ListQuery { ids: Some(vec![]), ..query() }).await.is_empty());
}

async fn attempts_are_filtered(bench: Bench) {
    let attempt = |n: u64, event: &str, lane: usize, outcome: AttemptOutcome| Attempt {
        id: AttemptId(0),
        event_id: EnvelopeId::from(event),
        lane: Arc::clone(&bench.lanes[lane]),
        attempt: u32::try_from(n).unwrap(),
        status_code: None,
        error: None,
        outcome,
        dead_reason: (outcome == AttemptOutcome::Dead).then_some(DeadReason::MAX_RETRIES),
        created_at: later(T0, n),
    };
    let attempts = vec![
        attempt(1, "x", 1, AttemptOutcome::Retry),
        attempt(2, "x", 1, AttemptOutcome::Dead),
        attempt(3, "y", 2, AttemptOutcome::Acked),
    ];
    let op = SettleBatch { settles: vec![], attempts, keep_delivered: false, rules: Rules::default(), now: T0 };
    bench.store.settle(op).await.unwrap();
    let list = |query: AttemptQuery| {
        let store = Arc::clone(&bench.store);
        async move {
            let found = store.attempts(AttemptQuery { limit: query.limit.max(1), ..query }).await.unwrap();
            found.into_iter().map(|attempt| attempt.attempt).collect::<Vec<_>>()
        }
    };
    let query = || AttemptQuery { limit: 9, ..AttemptQuery::default() };
    assert_eq!(list(query()).await, [3, 2, 1]);
    assert_eq!(list(AttemptQuery { limit: 2, ..query() }).await, [3, 2]);
    assert_eq!(list(AttemptQuery { event_id: Some(EnvelopeId::from("x")), ..query() }).await, [2, 1]);
    assert_eq!(list(AttemptQuery { route: Some("/b".into()), ..query() }).await, [3, 2, 1]);
    assert_eq!(list(AttemptQuery { target: Some("http://two".into()), ..query() }).await, [3]);
    assert_eq!(list(AttemptQuery { outcome: Some(AttemptOutcome::Dead), ..query() }).await, [2]);
    assert_eq!(list(AttemptQuery { before: Some(later(T0, 3)), ..query() }).await, [2, 1], "strictly before");
    let dead = bench.store.attempts(AttemptQuery { outcome: Some(AttemptOutcome::Dead), ..query() }).await.unwrap();
    assert_eq!((&dead[0].dead_reason, dead[0].status_code), (&Some(DeadReason::MAX_RETRIES), None));
}

async fn counts_and_ages_are_told(mut bench: Bench) {
    let early = NewMessage {
        received_at: T0.minus(Duration::from_secs(9)),
        next_run_at: later(T0, 70),
        ..message(bench.a, "e")
    };
    bench
        .put_all(vec![early, message(bench.a, "m"), message(bench.a, "m"), message(bench.b, "m")], UNLIMITED)
        .await
        .unwrap();
    let (_, lease) = bench.take_one(bench.b).await;
    bench.settle_at(lease, Settlement::Ack, T0, true).await.unwrap();
    let (_, lease) = bench.take_one(bench.a).await;
    bench.settle(lease, Settlement::Bury { reason: None }).await.unwrap();
    for _ in 0..2 {
        let stats = bench.store.stats().await.unwrap();
        let [a, b, c] = [0, 1, 2].map(|n| stats.lanes[n].clone());
        assert_eq!((a.lane.id, b.lane.id, a.counts, b.counts), (bench.a, bench.b, [2, 0, 0, 1, 0], [0, 0, 1, 0, 0]));
        assert_eq!(a.oldest_queued_received_at, Some(T0.minus(Duration::from_secs(9))));
        assert_eq!(a.earliest_queued_next_run_at, Some(T0));
        assert_eq!((b.oldest_queued_received_at, b.earliest_queued_next_run_at), (None, None));
        assert_eq!((c.counts, stats.lanes.len()), ([0; 5], 3));
        if !bench.reopen().await {
            return;
        }
    }
}

async fn a_closed_store_says_so(bench: Bench) {
    bench.store.close().await.unwrap();
    assert!(bench.put_all(vec![message(bench.a, "m")], UNLIMITED).await.is_err());
    assert!(bench.store.list(ListQuery { limit: 1, ..ListQuery::default() }).await.is_err());
    assert!(bench.store.stats().await.is_err());
}
