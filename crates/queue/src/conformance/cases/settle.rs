//! Ending leases, and recording attempts.

use std::sync::Arc;

use hookaido_model::{Attempt, AttemptId, AttemptOutcome, DeadReason, LeaseId, Seq, State};

use super::Case;
use crate::conformance::bench::{Bench, T0, bodies, later, nack};
use crate::store::{AttemptQuery, LeaseLost, Rules, Settle, SettleBatch, Settled, Settlement, Step, Transition};

pub(super) const CASES: &[Case] = &[
    |bench| Box::pin(an_acknowledged_message_is_gone(bench)),
    |bench| Box::pin(an_acknowledged_message_may_be_kept(bench)),
    |bench| Box::pin(a_nacked_message_comes_again(bench)),
    |bench| Box::pin(a_released_message_was_never_leased(bench)),
    |bench| Box::pin(a_buried_message_is_dead(bench)),
    |bench| Box::pin(a_lease_is_ended_once(bench)),
    |bench| Box::pin(each_outcome_stands_for_itself(bench)),
    |bench| Box::pin(attempts_are_recorded_whatever_became_of_the_lease(bench)),
];

async fn an_acknowledged_message_is_gone(mut bench: Bench) {
    let id = bench.put(bench.a, "m").await;
    let (_, lease) = bench.take_one(bench.a).await;
    assert_eq!(bench.settle(lease, Settlement::Ack).await, Ok(Settled { lane: bench.a, died: false }));
    assert!(bench.all().await.is_empty());
    let op = Transition { ids: vec![id], step: Step::Delete, only: vec![], now: T0 };
    assert!(bench.store.transition(op).await.unwrap().changed.is_empty());
    bench.reopen().await;
    assert!(bench.all().await.is_empty());
}

async fn an_acknowledged_message_may_be_kept(mut bench: Bench) {
    let id = bench.put(bench.a, "m").await;
    let (_, lease) = bench.take_one(bench.a).await;
    bench.settle_at(lease, Settlement::Ack, T0, true).await.unwrap();
    bench.reopen().await;
    let kept = bench.one(&id).await;
    assert_eq!((kept.state, kept.attempt, kept.lease, kept.lease_until), (State::Delivered, 1, None, None));
    assert_eq!(bodies(&[kept]), ["m"]);
    assert!(bench.lease(bench.a, 9, later(T0, 99_999)).await.envelopes.is_empty());
}

async fn a_nacked_message_comes_again(bench: Bench) {
    let id = bench.put(bench.a, "m").await;
    bench.put(bench.a, "other").await;
    let (_, lease) = bench.take_one(bench.a).await;
    bench.settle(lease, nack(later(T0, 50))).await.unwrap();
    let back = bench.one(&id).await;
    assert_eq!((back.state, back.attempt, back.next_run_at), (State::Queued, 1, later(T0, 50)));
    assert_eq!((back.lease, back.lease_until), (None, None));
    let leased = bench.lease(bench.a, 9, later(T0, 49)).await;
    assert_eq!((bodies(&leased.envelopes), leased.next_ready_at), (vec!["other".into()], Some(later(T0, 50))));
    let again = bench.lease(bench.a, 9, later(T0, 50)).await.envelopes;
    assert_eq!((&again[0].id, again[0].attempt), (&id, 2));
}

async fn a_released_message_was_never_leased(bench: Bench) {
    let id = bench.put(bench.a, "first").await;
    bench.put(bench.a, "second").await;
    let before = bench.one(&id).await;
    let leased = bench.lease(bench.a, 1, later(T0, 700)).await.envelopes;
    let lease = leased[0].lease.unwrap();
    bench.settle_at(lease, Settlement::Release, later(T0, 800), false).await.unwrap();
    let after = bench.one(&id).await;
    assert_eq!((after.state, after.attempt, after.next_run_at), (State::Queued, 0, before.next_run_at));
    assert_eq!(
        bodies(&bench.lease(bench.a, 9, later(T0, 900)).await.envelopes),
        ["first", "second"],
        "it keeps its place"
    );
    assert_eq!(bench.settle(lease, Settlement::Ack).await.map(|_| ()), Err(LeaseLost::NotFound));
}

async fn a_buried_message_is_dead(mut bench: Bench) {
    let mut ids = Vec::new();
    let reasons = [None, Some(DeadReason::MAX_RETRIES), Some(DeadReason(" its own words ".into()))];
    for reason in reasons.clone() {
        ids.push(bench.put(bench.a, "m").await);
        let (_, lease) = bench.take_one(bench.a).await;
        bench.settle(lease, Settlement::Bury { reason }).await.unwrap();
    }
    for _ in 0..2 {
        for (id, reason) in ids.iter().zip(&reasons) {
            let dead = bench.one(id).await;
            assert_eq!((dead.state, dead.attempt, dead.lease), (State::Dead, 1, None));
            assert_eq!(dead.dead_reason, *reason);
        }
        assert!(bench.take(bench.a, 9).await.is_empty());
        if !bench.reopen().await {
            return;
        }
    }
}

async fn a_lease_is_ended_once(bench: Bench) {
    let unknown = LeaseId { seq: Seq::first_at(T0), token: 7 };
    assert_eq!(bench.settle(unknown, Settlement::Ack).await.map(|_| ()), Err(LeaseLost::NotFound));
    for how in [Settlement::Ack, nack(later(T0, 5)), Settlement::Bury { reason: None }] {
        bench.put(bench.a, "m").await;
        let (_, lease) = bench.take_one(bench.a).await;
        let wrong = LeaseId { token: lease.token ^ 1, ..lease };
        assert_eq!(bench.settle(wrong, how.clone()).await.map(|_| ()), Err(LeaseLost::NotFound));
        bench.settle(lease, how.clone()).await.unwrap();
        assert_eq!(bench.settle(lease, how).await.map(|_| ()), Err(LeaseLost::NotFound));
    }
}

async fn each_outcome_stands_for_itself(bench: Bench) {
    for body in ["1", "2", "3"] {
        bench.put(bench.a, body).await;
    }
    bench.put(bench.b, "4").await;
    let mut taken = bench.take(bench.a, 3).await;
    taken.extend(bench.take(bench.b, 1).await);
    let [one, two, _, four] = [0, 1, 2, 3].map(|n| taken[n].lease.unwrap());
    let settle = |lease, scope, settlement| Settle { lease, scope, settlement };
    let settles = vec![
        settle(one, Some(bench.a), Settlement::Ack),
        settle(one, None, Settlement::Ack),
        settle(two, Some(bench.b), Settlement::Ack),
        settle(two, Some(bench.a), Settlement::Bury { reason: None }),
        settle(four, None, nack(T0)),
    ];
    let op = SettleBatch { settles, attempts: Vec::new(), keep_delivered: false, rules: Rules::default(), now: T0 };
    let expected = [
        Ok(Settled { lane: bench.a, died: false }),
        Err(LeaseLost::NotFound),
        Err(LeaseLost::Foreign),
        Ok(Settled { lane: bench.a, died: true }),
        Ok(Settled { lane: bench.b, died: false }),
    ];
    assert_eq!(bench.store.settle(op).await.unwrap(), expected);
    let states: Vec<State> = bench.all().await.iter().map(|envelope| envelope.state).collect();
    assert_eq!(states, [State::Dead, State::Leased, State::Queued]);
}

async fn attempts_are_recorded_whatever_became_of_the_lease(mut bench: Bench) {
    let id = bench.put(bench.a, "m").await;
    let (_, lease) = bench.take_one(bench.a).await;
    let attempt = |n: u32| Attempt {
        id: AttemptId(0),
        event_id: id.clone(),
        lane: Arc::clone(&bench.lanes[0]),
        attempt: n,
        status_code: Some(503),
        error: Some("refused".into()),
        outcome: AttemptOutcome::Retry,
        dead_reason: None,
        created_at: later(T0, n.into()),
    };
    for n in 1..=2 {
        let settles = vec![Settle { lease, scope: None, settlement: nack(T0) }];
        let op = SettleBatch {
            settles,
            attempts: vec![attempt(n)],
            keep_delivered: false,
            rules: Rules::default(),
            now: T0,
        };
        assert_eq!(bench.store.settle(op).await.unwrap()[0].is_ok(), n == 1);
    }
    let op = SettleBatch {
        settles: vec![],
        attempts: vec![attempt(3)],
        keep_delivered: false,
        rules: Rules::default(),
        now: T0,
    };
    assert!(bench.store.settle(op).await.unwrap().is_empty());
    bench.reopen().await;
    let found = bench.store.attempts(AttemptQuery { limit: 9, ..AttemptQuery::default() }).await.unwrap();
    assert_eq!(found.iter().map(|attempt| attempt.attempt).collect::<Vec<_>>(), [3, 2, 1], "the newest first");
    assert!(found.is_sorted_by(|newer, older| newer.id > older.id), "ids count up");
    assert_eq!((&found[0].event_id, found[0].status_code, found[0].created_at), (&id, Some(503), later(T0, 3)));
    assert_eq!((found[0].error.as_deref(), found[0].outcome), (Some("refused"), AttemptOutcome::Retry));
}
