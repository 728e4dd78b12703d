//! What retention removes, and what it leaves.

use std::time::Duration;

use hookaido_model::config::{Retention, Retentions};
use hookaido_model::{Attempt, AttemptId, AttemptOutcome, EnvelopeId, LaneId, UnixMillis};

use super::Case;
use crate::conformance::bench::{Bench, T0, UNLIMITED, bodies, keep_everything, later, message};
use crate::store::{AttemptQuery, NewMessage, Prune, Pruned, Rules, SettleBatch, Settlement};

pub(super) const CASES: &[Case] = &[
    |bench| Box::pin(nothing_goes_unless_asked_for(bench)),
    |bench| Box::pin(queued_messages_go_by_age(bench)),
    |bench| Box::pin(ended_messages_go_by_age_and_number(bench)),
    |bench| Box::pin(attempts_go_by_age_and_number(bench)),
    |bench| Box::pin(pruning_is_done_in_slices(bench)),
];

fn keep(age: Option<u64>, max_rows: Option<u64>) -> Retention {
    Retention { enabled: true, max_age: age.map(Duration::from_millis), max_rows }
}

async fn prune(bench: &Bench, retentions: Retentions, max_rows: u32, now: UnixMillis) -> Pruned {
    bench.store.prune(Prune { retentions, max_rows, now }).await.unwrap()
}

/// Ends a message at a time.
async fn end(bench: &Bench, lane: LaneId, body: &str, how: Settlement, at: UnixMillis) {
    bench.put(lane, body).await;
    let lease = bench.lease(lane, 1, at).await.envelopes[0].lease.unwrap();
    bench.settle_at(lease, how, at, true).await.unwrap();
}

async fn record(bench: &Bench, times: &[u64]) {
    let attempts = times.iter().map(|at| Attempt {
        id: AttemptId(0),
        event_id: EnvelopeId::from("x"),
        lane: std::sync::Arc::clone(&bench.lanes[1]),
        attempt: u32::try_from(*at).unwrap(),
        status_code: None,
        error: None,
        outcome: AttemptOutcome::Retry,
        dead_reason: None,
        created_at: later(T0, *at),
    });
    let op = SettleBatch {
        settles: vec![],
        attempts: attempts.collect(),
        keep_delivered: false,
        rules: Rules::default(),
        now: T0,
    };
    bench.store.settle(op).await.unwrap();
}

async fn nothing_goes_unless_asked_for(bench: Bench) {
    bench.put(bench.a, "queued").await;
    end(&bench, bench.b, "delivered", Settlement::Ack, T0).await;
    end(&bench, bench.b, "dead", Settlement::Bury { reason: None }, T0).await;
    record(&bench, &[1]).await;
    let far = later(T0, 1 << 40);
    assert_eq!(prune(&bench, keep_everything(), 9, far).await, Pruned::default());
    let off = Retention { enabled: false, ..keep(Some(1), Some(0)) };
    let off = Retentions { queued: off, delivered: off, dead: off, attempts: off, ..keep_everything() };
    assert_eq!(prune(&bench, off, 9, far).await, Pruned::default());
    assert_eq!(bench.all().await.len(), 3);
}

async fn queued_messages_go_by_age(bench: Bench) {
    let old = NewMessage { received_at: T0.minus(Duration::from_secs(10)), ..message(bench.a, "leased") };
    let also_old = NewMessage { next_run_at: later(T0, 5), ..old.clone() };
    let young = message(bench.b, "young");
    bench.put_all(vec![old, also_old, young], UNLIMITED).await.unwrap();
    bench.take_one(bench.a).await;
    let retentions = Retentions { queued: keep(Some(10_000), None), ..keep_everything() };
    assert_eq!(prune(&bench, retentions, 9, T0).await.queued, 0, "older than, not as old as");
    assert_eq!(prune(&bench, retentions, 9, later(T0, 1)).await, Pruned { queued: 1, ..Pruned::default() });
    assert_eq!(bodies(&bench.all().await), ["leased", "young"], "what is leased stays");
    assert!(bench.lease(bench.a, 9, later(T0, 99)).await.envelopes.is_empty());
}

async fn ended_messages_go_by_age_and_number(mut bench: Bench) {
    for (body, at) in [("1", 10), ("2", 20), ("3", 30)] {
        end(&bench, bench.a, &format!("delivered {body}"), Settlement::Ack, later(T0, at)).await;
        end(&bench, bench.b, &format!("dead {body}"), Settlement::Bury { reason: None }, later(T0, at)).await;
    }
    bench.reopen().await;
    let by_age = Retentions { delivered: keep(Some(100), None), ..keep_everything() };
    assert_eq!(prune(&bench, by_age, 9, later(T0, 120)).await, Pruned { delivered: 1, ..Pruned::default() });
    let by_number = Retentions { dead: keep(None, Some(2)), ..keep_everything() };
    assert_eq!(prune(&bench, by_number, 9, T0).await, Pruned { dead: 1, ..Pruned::default() });
    let mut left = bodies(&bench.all().await);
    left.sort_unstable();
    assert_eq!(left, ["dead 2", "dead 3", "delivered 2", "delivered 3"], "the oldest go first");
    let both = Retentions { dead: keep(Some(100), Some(1)), ..keep_everything() };
    assert_eq!(prune(&bench, both, 9, later(T0, 121)).await.dead, 1);
    let none = Retentions { delivered: keep(None, Some(0)), dead: keep(None, Some(0)), ..keep_everything() };
    let pruned = prune(&bench, none, 9, T0).await;
    assert_eq!((pruned.delivered, pruned.dead), (2, 1));
    assert!(bench.all().await.is_empty());
}

async fn attempts_go_by_age_and_number(bench: Bench) {
    record(&bench, &[1, 2, 3, 4, 5]).await;
    let by_number = Retentions { attempts: keep(None, Some(3)), ..keep_everything() };
    assert_eq!(prune(&bench, by_number, 9, T0).await, Pruned { attempts: 2, ..Pruned::default() });
    let by_age = Retentions { attempts: keep(Some(1000), None), ..keep_everything() };
    assert_eq!(prune(&bench, by_age, 9, later(T0, 1004)).await.attempts, 1);
    record(&bench, &[6]).await;
    let found = bench.store.attempts(AttemptQuery { limit: 9, ..AttemptQuery::default() }).await.unwrap();
    assert_eq!(found.iter().map(|attempt| attempt.attempt).collect::<Vec<_>>(), [6, 5, 4]);
}

async fn pruning_is_done_in_slices(bench: Bench) {
    for _ in 0..7 {
        bench.put(bench.a, "m").await;
    }
    let retentions = Retentions { queued: keep(Some(0), None), ..keep_everything() };
    let mut slices = Vec::new();
    loop {
        let pruned = prune(&bench, retentions, 3, later(T0, 9)).await;
        slices.push(pruned.queued);
        if !pruned.more {
            break;
        }
    }
    assert_eq!(slices, [3, 3, 1]);
}
