//! Many callers at once, and what survives a restart.

use std::collections::HashSet;
use std::sync::Arc;

use hookaido_model::config::{DropPolicy, QueueLimits};
use tokio_util::task::TaskTracker;

use super::Case;
use crate::conformance::bench::{Bench, T0, UNLIMITED, later, message, nack};
use crate::store::{Enqueue, Lease, Rules, Settle, SettleBatch, Settlement, StoreError};

pub(super) const CASES: &[Case] = &[
    |bench| Box::pin(the_limit_holds_for_many_at_once(bench)),
    |bench| Box::pin(no_message_is_leased_twice(bench)),
    |bench| Box::pin(everything_is_there_again(bench)),
];

async fn the_limit_holds_for_many_at_once(bench: Bench) {
    let limits = QueueLimits { max_depth: Some(50), drop_policy: DropPolicy::Reject };
    let tasks = TaskTracker::new();
    let callers: Vec<_> = (0..80)
        .map(|_| {
            let op = Enqueue { messages: vec![message(bench.a, "m")], limits, now: T0 };
            tasks.spawn(bench.store.enqueue(op))
        })
        .collect();
    let mut stored = 0;
    for caller in callers {
        match caller.await.unwrap() {
            Ok(_) => stored += 1,
            Err(error) => assert_eq!(error, StoreError::Full),
        }
    }
    assert_eq!((stored, bench.all().await.len()), (50, 50));
}

async fn no_message_is_leased_twice(bench: Bench) {
    let tasks = TaskTracker::new();
    let mut callers = Vec::new();
    for n in 0..40 {
        let op = Enqueue { messages: vec![message(bench.a, "m"); 5], limits: UNLIMITED, now: T0 };
        tasks.spawn(bench.store.enqueue(op));
        let (store, lane) = (Arc::clone(&bench.store), bench.a);
        callers.push(tasks.spawn(async move {
            let op = Lease { lane, max: 1 + n % 7, max_bytes: 1 << 20, until: later(T0, 1000), now: T0 };
            let leased = store.lease(op).await.unwrap().envelopes;
            let settle = |lease| Settle { lease, scope: None, settlement: Settlement::Ack };
            let settles = leased.iter().filter_map(|envelope| envelope.lease).map(settle).collect();
            let op = SettleBatch { settles, attempts: vec![], keep_delivered: false, rules: Rules::default(), now: T0 };
            assert!(store.settle(op).await.unwrap().iter().all(Result::is_ok));
            leased.into_iter().map(|envelope| envelope.id).collect::<Vec<_>>()
        }));
    }
    tasks.close();
    let mut seen = HashSet::new();
    for caller in callers {
        for id in caller.await.unwrap() {
            assert!(seen.insert(id.clone()), "{id} twice");
        }
    }
    tasks.wait().await;
    assert_eq!(seen.len() + bench.all().await.len(), 200, "none is lost");
}

async fn everything_is_there_again(mut bench: Bench) {
    for n in 0..20 {
        bench.put(bench.a, &format!("m{n}")).await;
        bench.put(bench.b, &format!("n{n}")).await;
    }
    for (n, envelope) in bench.take(bench.a, 12).await.into_iter().enumerate() {
        let how = match n % 4 {
            0 => Settlement::Ack,
            1 => nack(later(T0, 77)),
            2 => Settlement::Bury { reason: None },
            _ => continue,
        };
        bench.settle_at(envelope.lease.unwrap(), how, T0, n % 8 == 0).await.unwrap();
    }
    let describe = |envelopes: Vec<hookaido_model::Envelope>| {
        envelopes.into_iter().map(|envelope| format!("{envelope:?}")).collect::<Vec<_>>()
    };
    let (all, stats) = (describe(bench.all().await), format!("{:?}", bench.store.stats().await.unwrap()));
    if bench.reopen().await {
        assert_eq!(describe(bench.all().await), all);
        assert_eq!(format!("{:?}", bench.store.stats().await.unwrap()), stats);
        let known: HashSet<String> = bench.all().await.iter().map(|envelope| envelope.id.to_string()).collect();
        assert!(!known.contains(&bench.put(bench.a, "new").await.to_string()), "ids are never used again");
    }
}
