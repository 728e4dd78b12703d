//! What operators do to messages.

use hookaido_model::{DeadReason, EnvelopeId, Move, State};

use super::Case;
use crate::conformance::bench::{Bench, T0, UNLIMITED, bodies, later, message};
use crate::store::{LeaseLost, NewMessage, Settlement, Step, Transition};

pub(super) const CASES: &[Case] = &[
    |bench| Box::pin(only_legal_moves_are_made(bench)),
    |bench| Box::pin(a_requeued_message_starts_afresh(bench)),
    |bench| Box::pin(a_canceled_lease_is_lost(bench)),
    |bench| Box::pin(deleted_is_gone(bench)),
    |bench| Box::pin(only_the_states_named(bench)),
];

/// A message in a state.
async fn in_state(bench: &Bench, state: State) -> EnvelopeId {
    let id = bench.put(bench.a, "m").await;
    if state == State::Queued {
        return id;
    }
    let lease = loop {
        let (taken, lease) = bench.take_one(bench.a).await;
        if taken == id {
            break lease;
        }
    };
    match state {
        State::Queued | State::Leased => {}
        State::Delivered => drop(bench.settle_at(lease, Settlement::Ack, T0, true).await.unwrap()),
        State::Dead => drop(bench.settle(lease, Settlement::Bury { reason: None }).await.unwrap()),
        State::Canceled => {
            assert_eq!(transition(bench, &id, Step::Move(Move::Cancel)).await, std::slice::from_ref(&id))
        }
    }
    id
}

async fn transition(bench: &Bench, id: &EnvelopeId, step: Step) -> Vec<EnvelopeId> {
    let op = Transition { ids: vec![id.clone()], step, only: vec![], now: later(T0, 900) };
    bench.store.transition(op).await.unwrap().changed
}

async fn only_legal_moves_are_made(bench: Bench) {
    for from in State::ALL {
        for step in [Move::Cancel, Move::Requeue, Move::Resume] {
            let id = in_state(&bench, from).await;
            let expected = from.after(step);
            let changed = transition(&bench, &id, Step::Move(step)).await;
            assert_eq!(changed.len(), usize::from(expected.is_some()), "{from} {step:?}");
            assert_eq!(bench.one(&id).await.state, expected.unwrap_or(from), "{from} {step:?}");
            transition(&bench, &id, Step::Delete).await;
        }
    }
    assert!(transition(&bench, &EnvelopeId::from("nobody"), Step::Move(Move::Cancel)).await.is_empty());
}

async fn a_requeued_message_starts_afresh(mut bench: Bench) {
    let id = bench.put(bench.a, "m").await;
    let (_, lease) = bench.take_one(bench.a).await;
    bench.settle(lease, Settlement::Bury { reason: Some(DeadReason::NO_RETRY) }).await.unwrap();
    assert_eq!(transition(&bench, &id, Step::Move(Move::Requeue)).await, std::slice::from_ref(&id));
    bench.reopen().await;
    let back = bench.one(&id).await;
    assert_eq!((back.state, back.attempt, back.next_run_at), (State::Queued, 0, later(T0, 900)));
    assert_eq!((back.dead_reason, back.received_at), (None, T0));
    let taken = bench.lease(bench.a, 1, later(T0, 900)).await.envelopes;
    assert_eq!((bodies(&taken), taken[0].attempt), (vec!["m".into()], 1));
}

async fn a_canceled_lease_is_lost(bench: Bench) {
    let id = bench.put(bench.a, "m").await;
    let (_, lease) = bench.take_one(bench.a).await;
    transition(&bench, &id, Step::Move(Move::Cancel)).await;
    let canceled = bench.one(&id).await;
    assert_eq!((canceled.state, canceled.lease, canceled.lease_until), (State::Canceled, None, None));
    assert_eq!(bench.settle(lease, Settlement::Ack).await.map(|_| ()), Err(LeaseLost::NotFound));
    assert_eq!(bench.reclaim(later(T0, 99_999), 9).await.next_lease_end, None);
    transition(&bench, &id, Step::Move(Move::Resume)).await;
    assert_eq!(bench.settle(lease, Settlement::Ack).await.map(|_| ()), Err(LeaseLost::NotFound));
    let dead = in_state(&bench, State::Dead).await;
    transition(&bench, &dead, Step::Move(Move::Cancel)).await;
    assert_eq!(bench.one(&dead).await.dead_reason, None, "only the dead have a reason");
}

async fn deleted_is_gone(bench: Bench) {
    let given = NewMessage { id: Some("mine".into()), ..message(bench.b, "given") };
    bench.put_all(vec![given.clone()], UNLIMITED).await.unwrap();
    let mut ids = vec![EnvelopeId::from("mine")];
    for state in State::ALL {
        ids.push(in_state(&bench, state).await);
    }
    ids.push(ids[1].clone());
    ids.push(EnvelopeId::from("nobody"));
    let op = Transition { ids: ids.clone(), step: Step::Delete, only: vec![], now: T0 };
    assert_eq!(bench.store.transition(op).await.unwrap().changed, ids[..6]);
    assert!(bench.all().await.is_empty());
    assert!(bench.put_all(vec![given], UNLIMITED).await.is_ok());
}

async fn only_the_states_named(bench: Bench) {
    let canceled = in_state(&bench, State::Canceled).await;
    let dead = in_state(&bench, State::Dead).await;
    let op = Transition {
        ids: vec![canceled.clone(), dead.clone()],
        step: Step::Move(Move::Requeue),
        only: vec![State::Dead, State::Queued],
        now: T0,
    };
    assert_eq!(bench.store.transition(op).await.unwrap().changed, std::slice::from_ref(&dead));
    assert_eq!(bench.one(&canceled).await.state, State::Canceled);
    let op = Transition { ids: vec![dead], step: Step::Delete, only: vec![State::Dead], now: T0 };
    assert!(bench.store.transition(op).await.unwrap().changed.is_empty());
}
