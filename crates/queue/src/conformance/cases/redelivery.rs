//! Messages that workers do not finish: how often they come again, and when.

use std::time::Duration;

use hookaido_model::{Backoff, DeadReason, EnvelopeId, LaneId, Move, Redelivery, State};

use super::Case;
use crate::conformance::bench::{Bench, Event, T0, expired, later, nack};
use crate::store::{Rules, Settle, SettleBatch, Settled, Settlement, Step, Transition};

pub(super) const CASES: &[Case] = &[
    |bench| Box::pin(the_last_nack_is_the_end(bench)),
    |bench| Box::pin(the_last_expiry_is_the_end(bench)),
    |bench| Box::pin(the_last_word_is_kept(bench)),
    |bench| Box::pin(a_release_counts_for_nothing(bench)),
    |bench| Box::pin(a_requeued_message_has_all_receives_again(bench)),
    |bench| Box::pin(rules_are_of_a_lane(bench)),
    |bench| Box::pin(a_lowered_limit_ends_a_message_at_its_next_return(bench)),
    |bench| Box::pin(delays_grow(bench)),
    |bench| Box::pin(a_wish_comes_before_the_rule(bench)),
    |bench| Box::pin(delays_vary_within_the_jitter(bench)),
    |bench| Box::pin(the_dead_wake_nobody(bench)),
    |bench| Box::pin(one_batch_many_ends(bench)),
];

fn backoff(base: u64, cap: u64, jitter: f64) -> Backoff {
    Backoff { base: Duration::from_millis(base), cap: Duration::from_millis(cap), jitter }
}

fn at_most(bench: &Bench, max_receives: u32) -> Rules {
    Rules::new([(bench.a, Redelivery { max_receives: Some(max_receives), backoff: None })])
}

/// Given back for a reason, at no time in particular.
fn because(reason: &str) -> Settlement {
    Settlement::Nack { ready_at: None, reason: Some(DeadReason(reason.to_owned().into())) }
}

const PLAIN: Settlement = Settlement::Nack { ready_at: None, reason: None };

async fn requeue(bench: &Bench, id: &EnvelopeId) {
    let op = Transition { ids: vec![id.clone()], step: Step::Move(Move::Requeue), only: vec![], now: T0 };
    assert_eq!(bench.store.transition(op).await.unwrap().changed.len(), 1);
}

async fn the_last_nack_is_the_end(mut bench: Bench) {
    bench.rules = at_most(&bench, 3);
    let id = bench.put(bench.a, "m").await;
    for died in [false, false, true] {
        let (_, lease) = bench.take_one(bench.a).await;
        assert_eq!(bench.settle(lease, PLAIN).await, Ok(Settled { lane: bench.a, died }));
    }
    assert!(bench.take(bench.a, 9).await.is_empty());
    for _ in 0..2 {
        let dead = bench.one(&id).await;
        assert_eq!((dead.state, dead.attempt, dead.lease), (State::Dead, 3, None));
        assert_eq!(dead.dead_reason, Some(DeadReason::MAX_RECEIVES));
        if !bench.reopen().await {
            return;
        }
    }
}

async fn the_last_expiry_is_the_end(mut bench: Bench) {
    bench.rules = at_most(&bench, 2);
    let id = bench.put(bench.a, "m").await;
    let mut now = T0;
    for died in [0, 1] {
        assert_eq!(bench.lease(bench.a, 1, now).await.envelopes.len(), 1);
        now = later(now, 30_000);
        let reclaimed = bench.reclaim(now, 9).await;
        assert_eq!((expired(&reclaimed), reclaimed.lanes[0].died), (vec![(bench.a, 1)], died));
        assert_eq!(reclaimed.next_lease_end, None);
    }
    assert!(bench.lease(bench.a, 9, later(now, 1)).await.envelopes.is_empty());
    let dead = bench.one(&id).await;
    assert_eq!((dead.state, dead.attempt, dead.dead_reason), (State::Dead, 2, Some(DeadReason::MAX_RECEIVES)));
    bench.reopen().await;
    let counts = bench.store.stats().await.unwrap().lanes[0].counts;
    assert_eq!(counts, [0, 0, 0, 1, 0], "counted where it is");
}

async fn the_last_word_is_kept(mut bench: Bench) {
    bench.rules = at_most(&bench, 4);
    let id = bench.put(bench.a, "m").await;
    for said in [because("no database"), because("a broken disk"), PLAIN] {
        let (_, lease) = bench.take_one(bench.a).await;
        bench.settle(lease, said).await.unwrap();
        assert_eq!(bench.one(&id).await.dead_reason, None, "only the dead have a reason");
        bench.reopen().await;
    }
    bench.take_one(bench.a).await;
    bench.reclaim(later(T0, 30_000), 9).await;
    let reason = bench.one(&id).await.dead_reason;
    assert_eq!(reason, Some(DeadReason("max_receives: a broken disk".into())), "said two leases ago");
}

async fn a_release_counts_for_nothing(mut bench: Bench) {
    bench.rules = at_most(&bench, 2);
    let id = bench.put(bench.a, "m").await;
    let (_, lease) = bench.take_one(bench.a).await;
    bench.settle(lease, because("busy")).await.unwrap();
    for _ in 0..3 {
        let (_, lease) = bench.take_one(bench.a).await;
        assert_eq!(bench.settle(lease, Settlement::Release).await, Ok(Settled { lane: bench.a, died: false }));
    }
    let (_, lease) = bench.take_one(bench.a).await;
    assert!(bench.settle(lease, PLAIN).await.unwrap().died);
    assert_eq!(bench.one(&id).await.dead_reason, Some(DeadReason("max_receives: busy".into())));
}

async fn a_requeued_message_has_all_receives_again(mut bench: Bench) {
    bench.rules = at_most(&bench, 2);
    let id = bench.put(bench.a, "m").await;
    for said in [because("first"), PLAIN, PLAIN, PLAIN] {
        let (_, lease) = bench.take_one(bench.a).await;
        bench.settle(lease, said).await.unwrap();
        if bench.one(&id).await.state == State::Dead {
            let reason = bench.one(&id).await.dead_reason.unwrap();
            if reason == DeadReason::MAX_RECEIVES {
                return;
            }
            assert_eq!(reason.as_str(), "max_receives: first");
            requeue(&bench, &id).await;
            assert_eq!(bench.one(&id).await.attempt, 0);
        }
    }
    panic!("what was said before the requeue is forgotten: {:?}", bench.one(&id).await.dead_reason);
}

async fn rules_are_of_a_lane(mut bench: Bench) {
    bench.rules = at_most(&bench, 1);
    for lane in [bench.a, bench.b] {
        let id = bench.put(lane, "m").await;
        let (_, lease) = bench.take_one(lane).await;
        let died = lane == bench.a;
        assert_eq!(bench.settle(lease, PLAIN).await, Ok(Settled { lane, died }));
        assert_eq!(bench.one(&id).await.state == State::Dead, died);
    }
}

async fn a_lowered_limit_ends_a_message_at_its_next_return(mut bench: Bench) {
    bench.put(bench.a, "m").await;
    for _ in 0..3 {
        let (_, lease) = bench.take_one(bench.a).await;
        bench.settle(lease, PLAIN).await.unwrap();
    }
    bench.rules = at_most(&bench, 2);
    let taken = bench.take(bench.a, 1).await;
    assert_eq!(taken[0].attempt, 4, "it is given out once more");
    assert!(bench.settle(taken[0].lease.unwrap(), PLAIN).await.unwrap().died);
}

async fn delays_grow(mut bench: Bench) {
    bench.rules = Rules::new([(bench.a, Redelivery { max_receives: None, backoff: Some(backoff(100, 250, 0.0)) })]);
    let id = bench.put(bench.a, "m").await;
    let mut now = T0;
    for (delay, expires) in [(100, false), (200, true), (250, false), (250, true)] {
        let lease = bench.lease(bench.a, 1, now).await.envelopes[0].lease.unwrap();
        if expires {
            now = later(now, 30_000);
            bench.reclaim(now, 9).await;
        } else {
            bench.settle_at(lease, PLAIN, now, false).await.unwrap();
        }
        let ready_at = later(now, delay);
        assert_eq!(bench.one(&id).await.next_run_at, ready_at);
        let early = bench.lease(bench.a, 1, later(now, delay - 1)).await;
        assert_eq!((early.envelopes.len(), early.next_ready_at), (0, Some(ready_at)));
        now = ready_at;
    }
}

async fn a_wish_comes_before_the_rule(mut bench: Bench) {
    bench.rules = Rules::new([(bench.a, Redelivery { max_receives: Some(9), backoff: Some(backoff(100, 250, 0.0)) })]);
    let id = bench.put(bench.a, "m").await;
    for wish in [0, 7, 90_000] {
        let lease = bench.lease(bench.a, 1, later(T0, 90_000)).await.envelopes[0].lease.unwrap();
        bench.settle(lease, nack(later(T0, wish))).await.unwrap();
        assert_eq!(bench.one(&id).await.next_run_at, later(T0, wish));
    }
}

async fn delays_vary_within_the_jitter(mut bench: Bench) {
    bench.rules = Rules::new([(bench.a, Redelivery { max_receives: None, backoff: Some(backoff(1000, 1000, 0.5)) })]);
    for _ in 0..60 {
        bench.put(bench.a, "m").await;
    }
    for (n, envelope) in bench.take(bench.a, 60).await.into_iter().enumerate() {
        if n % 2 == 0 {
            bench.settle(envelope.lease.unwrap(), PLAIN).await.unwrap();
        }
    }
    bench.reclaim(later(T0, 30_000), 99).await;
    let delays = bench.all().await.into_iter().map(|envelope| (envelope.next_run_at.0 - T0.0) % 30_000);
    let delays: Vec<i64> = delays.collect();
    assert!(delays.iter().all(|delay| (500..=1500).contains(delay)), "{delays:?}");
    // of sixty fair numbers none falls into a given half once in 2^60 runs
    assert!(delays.iter().any(|delay| *delay < 1000) && delays.iter().any(|delay| *delay > 1000), "{delays:?}");
}

async fn the_dead_wake_nobody(mut bench: Bench) {
    bench.rules = at_most(&bench, 1);
    bench.put(bench.a, "poison").await;
    bench.take_one(bench.a).await;
    bench.put(bench.b, "other").await;
    bench.lease(bench.b, 1, T0).await;
    bench.told.wait_for(Event::LeaseEnds(later(T0, 30_000))).await;
    bench.reclaim(later(T0, 30_000), 9).await;
    let told = bench.told.wait_for(Event::Ready(bench.b, later(T0, 30_000))).await;
    let of_a = |event: &Event| matches!(event, Event::Ready(lane, at) if *lane == bench.a && *at > T0);
    assert!(!told.iter().any(of_a), "{told:?}");
}

async fn one_batch_many_ends(mut bench: Bench) {
    bench.rules = at_most(&bench, 1);
    for body in ["1", "2", "3"] {
        bench.put(bench.a, body).await;
    }
    let leases: Vec<_> = bench.take(bench.a, 3).await.iter().map(|envelope| envelope.lease.unwrap()).collect();
    let settle = |n: usize, settlement| Settle { lease: leases[n], scope: Some(bench.a), settlement };
    let settles =
        vec![settle(0, Settlement::Ack), settle(1, because("x")), settle(2, Settlement::Bury { reason: None })];
    let op = SettleBatch { settles, attempts: vec![], keep_delivered: true, rules: bench.rules.clone(), now: T0 };
    let lane: LaneId = bench.a;
    let outcome = |died| Ok(Settled { lane, died });
    assert_eq!(bench.store.settle(op).await.unwrap(), [outcome(false), outcome(true), outcome(true)]);
    assert_eq!(bench.store.stats().await.unwrap().lanes[0].counts, [0, 0, 1, 2, 0]);
    let reasons: Vec<_> = bench.all().await.into_iter().map(|envelope| envelope.dead_reason).collect();
    assert_eq!(reasons, [None, Some(DeadReason("max_receives: x".into())), None]);
}
