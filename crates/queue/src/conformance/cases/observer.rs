//! Whom the store tells what, after the commit.

use std::time::Duration;

use hookaido_model::Move;

use super::Case;
use crate::conformance::bench::{Bench, Event, T0, UNLIMITED, later, message, nack};
use crate::store::{ExtendBatch, NewMessage, Settlement, Step, Transition};

pub(super) const CASES: &[Case] = &[
    |bench| Box::pin(new_messages_are_announced(bench)),
    |bench| Box::pin(what_comes_back_is_announced(bench)),
    |bench| Box::pin(what_a_lease_leaves_is_announced(bench)),
    |bench| Box::pin(ends_of_leases_are_announced(bench)),
];

async fn new_messages_are_announced(bench: Bench) {
    bench.put(bench.a, "m").await;
    bench.told.wait_for(Event::Ready(bench.a, T0)).await;
    let delayed = NewMessage { next_run_at: later(T0, 700), ..message(bench.b, "m") };
    bench.put_all(vec![delayed], UNLIMITED).await.unwrap();
    bench.told.wait_for(Event::Ready(bench.b, later(T0, 700))).await;
}

async fn what_comes_back_is_announced(bench: Bench) {
    let id = bench.put(bench.a, "m").await;
    let (_, lease) = bench.take_one(bench.a).await;
    bench.told.wait_for(Event::LeaseEnds(later(T0, 30_000))).await;
    bench.settle(lease, nack(later(T0, 5))).await.unwrap();
    bench.told.wait_for(Event::Ready(bench.a, later(T0, 5))).await;
    let lease = bench.lease(bench.a, 1, later(T0, 5)).await.envelopes[0].lease.unwrap();
    bench.told.wait_for(Event::LeaseEnds(later(T0, 30_005))).await;
    bench.settle(lease, Settlement::Release).await.unwrap();
    bench.told.wait_for(Event::Ready(bench.a, later(T0, 5))).await;
    let _lost = bench.lease(bench.a, 1, later(T0, 6)).await;
    bench.told.wait_for(Event::LeaseEnds(later(T0, 30_006))).await;
    bench.reclaim(later(T0, 30_006), 9).await;
    bench.told.wait_for(Event::Ready(bench.a, later(T0, 30_006))).await;
    for (step, now) in [(Move::Cancel, T0), (Move::Requeue, later(T0, 31_000))] {
        let op = Transition { ids: vec![id.clone()], step: Step::Move(step), only: vec![], now };
        bench.store.transition(op).await.unwrap();
    }
    bench.told.wait_for(Event::Ready(bench.a, later(T0, 31_000))).await;
}

async fn what_a_lease_leaves_is_announced(bench: Bench) {
    for _ in 0..3 {
        bench.put(bench.a, "m").await;
    }
    bench.told.wait_for(Event::Ready(bench.a, T0)).await;
    let _taken = bench.lease(bench.a, 1, later(T0, 77)).await;
    bench.told.wait_for(Event::Ready(bench.a, later(T0, 77))).await;
}

async fn ends_of_leases_are_announced(bench: Bench) {
    bench.put(bench.a, "m").await;
    let (_, lease) = bench.take_one(bench.a).await;
    bench.told.wait_for(Event::LeaseEnds(later(T0, 30_000))).await;
    let op = ExtendBatch { leases: vec![lease], scope: None, by: Duration::from_millis(9), latest: None, now: T0 };
    bench.store.extend(op).await.unwrap();
    bench.told.wait_for(Event::LeaseEnds(later(T0, 30_009))).await;
}
