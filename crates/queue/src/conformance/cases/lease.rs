//! Taking messages, and leases that end by time.

use std::collections::HashSet;
use std::time::Duration;

use hookaido_model::{LeaseId, Seq, State};

use super::Case;
use crate::conformance::bench::{Bench, T0, UNLIMITED, bodies, expired, later, message, nack};
use crate::store::{ExtendBatch, Lease, LeaseLost, NewMessage, Settlement};

pub(super) const CASES: &[Case] = &[
    |bench| Box::pin(the_earliest_first_then_in_order_of_receipt(bench)),
    |bench| Box::pin(what_is_delayed_waits(bench)),
    |bench| Box::pin(a_lease_shows_all_there_is(bench)),
    |bench| Box::pin(bytes_are_bounded(bench)),
    |bench| Box::pin(lanes_are_separate(bench)),
    |bench| Box::pin(ended_leases_come_back(bench)),
    |bench| Box::pin(a_lease_ends_on_the_dot(bench)),
    |bench| Box::pin(leases_are_extended(bench)),
    |bench| Box::pin(leases_outlive_a_restart(bench)),
];

async fn the_earliest_first_then_in_order_of_receipt(bench: Bench) {
    let at = |body: &str, received: u64, ready: u64| NewMessage {
        received_at: later(T0, received),
        next_run_at: later(T0, ready),
        ..message(bench.a, body)
    };
    let messages = vec![at("c", 5, 30), at("d", 6, 30), at("b", 9, 20), at("a", 9, 10), at("e", 2, 31)];
    bench.put_all(messages, UNLIMITED).await.unwrap();
    let now = later(T0, 1000);
    assert_eq!(bodies(&bench.lease(bench.a, 2, now).await.envelopes), ["a", "b"]);
    assert_eq!(bodies(&bench.lease(bench.a, 9, now).await.envelopes), ["c", "d", "e"]);
    assert!(bench.lease(bench.a, 9, now).await.envelopes.is_empty());
    // same millisecond: in order of arrival
    let many: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    bench.put_all(many.iter().map(|body| message(bench.b, body)).collect(), UNLIMITED).await.unwrap();
    assert_eq!(bodies(&bench.take(bench.b, 50).await), many);
}

async fn what_is_delayed_waits(bench: Bench) {
    let at = |body: &str, ready: u64| NewMessage { next_run_at: later(T0, ready), ..message(bench.a, body) };
    bench.put_all(vec![at("a", 0), at("b", 100), at("c", 200)], UNLIMITED).await.unwrap();
    let leased = bench.lease(bench.a, 5, later(T0, 99)).await;
    assert_eq!((bodies(&leased.envelopes), leased.next_ready_at), (vec!["a".into()], Some(later(T0, 100))));
    let leased = bench.lease(bench.a, 5, later(T0, 99)).await;
    assert_eq!((leased.envelopes.len(), leased.next_ready_at), (0, Some(later(T0, 100))));
    let leased = bench.lease(bench.a, 1, later(T0, 200)).await;
    assert_eq!((bodies(&leased.envelopes), leased.next_ready_at), (vec!["b".into()], None), "more is ready now");
    let leased = bench.lease(bench.a, 1, later(T0, 200)).await;
    assert_eq!((bodies(&leased.envelopes), leased.next_ready_at), (vec!["c".into()], None), "nothing is left");
}

async fn a_lease_shows_all_there_is(bench: Bench) {
    let id = bench.put(bench.a, "m").await;
    let first = bench.take(bench.a, 5).await.pop().unwrap();
    assert_eq!(first.id, id);
    assert_eq!((first.state, first.attempt), (State::Leased, 1));
    assert_eq!((&*first.lane.route, first.lease_until), ("/a", Some(later(T0, 30_000))));
    assert_eq!(*first.content.clone().unwrap(), message(bench.a, "m").content);
    let listed = bench.one(&id).await;
    assert_eq!((listed.lease, listed.lease_until, listed.attempt), (first.lease, first.lease_until, 1));
    bench.settle(first.lease.unwrap(), nack(T0)).await.unwrap();
    let second = bench.take(bench.a, 5).await.pop().unwrap();
    assert_eq!((second.attempt, &second.id), (2, &id));
    assert_ne!(second.lease, first.lease, "every lease is a new one");
}

async fn bytes_are_bounded(bench: Bench) {
    let big = "x".repeat(1000);
    for _ in 0..3 {
        bench.put(bench.a, &big).await;
    }
    let lease =
        |max_bytes| bench.store.lease(Lease { lane: bench.a, max: 9, max_bytes, until: later(T0, 1000), now: T0 });
    assert_eq!(lease(10).await.unwrap().envelopes.len(), 1, "always one");
    assert_eq!(lease(1 << 20).await.unwrap().envelopes.len(), 2);
    for _ in 0..3 {
        bench.put(bench.b, &big).await;
    }
    let op = Lease { lane: bench.b, max: 9, max_bytes: 4500, until: later(T0, 1000), now: T0 };
    let leased = bench.store.lease(op).await.unwrap();
    assert_eq!(leased.envelopes.len(), 2);
}

async fn lanes_are_separate(bench: Bench) {
    bench.put(bench.a, "a").await;
    assert!(bench.take(bench.b, 5).await.is_empty());
    bench.put(bench.b, "b").await;
    assert_eq!(bodies(&bench.take(bench.b, 5).await), ["b"]);
    assert_eq!(bodies(&bench.take(bench.a, 5).await), ["a"]);
}

async fn ended_leases_come_back(bench: Bench) {
    for body in ["1", "2", "3"] {
        bench.put(bench.a, body).await;
    }
    bench.put(bench.b, "4").await;
    let _lost = bench.lease(bench.a, 2, later(T0, 10)).await;
    let _lost = bench.lease(bench.a, 1, later(T0, 20)).await;
    let _lost = bench.lease(bench.b, 1, later(T0, 30)).await;
    let nothing = bench.reclaim(later(T0, 30_009), 100).await;
    assert_eq!((expired(&nothing), nothing.next_lease_end), (vec![], Some(later(T0, 30_010))));
    let some = bench.reclaim(later(T0, 30_025), 2).await;
    assert_eq!((expired(&some), some.next_lease_end), (vec![(bench.a, 2)], Some(later(T0, 30_020))), "in slices");
    let rest = bench.reclaim(later(T0, 40_000), 100).await;
    let lanes: HashSet<_> = expired(&rest).into_iter().collect();
    assert_eq!((lanes, rest.next_lease_end), (HashSet::from([(bench.a, 1), (bench.b, 1)]), None));
    assert_eq!(*rest.lanes[0].lane, *bench.lanes[usize::from(rest.lanes[0].lane.id == bench.b)], "named in full");
    let again = bench.lease(bench.a, 9, later(T0, 40_000)).await.envelopes;
    assert_eq!(bodies(&again), ["1", "2", "3"], "in order of their coming back");
    assert!(again.iter().all(|envelope| envelope.attempt == 2), "the attempt counts");
}

async fn a_lease_ends_on_the_dot(bench: Bench) {
    for end in [29_999, 30_000] {
        bench.put(bench.a, "m").await;
        let (_, lease) = bench.take_one(bench.a).await;
        let outcome = bench.settle_at(lease, Settlement::Ack, later(T0, end), false).await;
        let expected = if end < 30_000 { Ok(()) } else { Err(LeaseLost::Expired) };
        assert_eq!(outcome.map(|_| ()), expected, "{end}");
    }
    let reclaimed = bench.reclaim(later(T0, 30_000), 9).await;
    assert_eq!(expired(&reclaimed), [(bench.a, 1)]);
}

async fn leases_are_extended(bench: Bench) {
    bench.put(bench.a, "m").await;
    let (_, lease) = bench.take_one(bench.a).await;
    let extend = |lease, scope, by: u64, latest, now| {
        let op = ExtendBatch { leases: vec![lease], scope, by: Duration::from_millis(by), latest, now };
        bench.store.extend(op)
    };
    let end = |millis| vec![Ok(later(T0, millis))];
    assert_eq!(extend(lease, None, 1000, None, T0).await.unwrap(), end(31_000), "added to the present end");
    assert_eq!(extend(lease, Some(bench.a), 5000, Some(later(T0, 33_000)), T0).await.unwrap(), end(33_000));
    assert_eq!(extend(lease, None, 5000, Some(later(T0, 20_000)), T0).await.unwrap(), end(33_000), "never shorter");
    assert_eq!(bench.all().await[0].lease_until, Some(later(T0, 33_000)));
    assert_eq!(extend(lease, Some(bench.b), 1, None, T0).await.unwrap(), [Err(LeaseLost::Foreign)]);
    assert_eq!(extend(lease, None, 1, None, later(T0, 33_000)).await.unwrap(), [Err(LeaseLost::Expired)]);
    let unknown = LeaseId { seq: Seq::first_at(T0), token: 7 };
    let op = ExtendBatch { leases: vec![unknown, lease], scope: None, by: Duration::ZERO, latest: None, now: T0 };
    assert_eq!(bench.store.extend(op).await.unwrap(), [Err(LeaseLost::NotFound), Ok(later(T0, 33_000))]);
    assert!(bench.reclaim(later(T0, 32_999), 9).await.lanes.is_empty());
}

async fn leases_outlive_a_restart(mut bench: Bench) {
    bench.put(bench.a, "1").await;
    bench.put(bench.a, "2").await;
    let (_, first) = bench.take_one(bench.a).await;
    let (_, second) = bench.take_one(bench.a).await;
    if !bench.reopen().await {
        return;
    }
    assert!(bench.take(bench.a, 9).await.is_empty());
    bench.settle(first, Settlement::Ack).await.unwrap();
    assert_eq!(bench.settle(first, Settlement::Ack).await.map(|_| ()), Err(LeaseLost::NotFound));
    let reclaimed = bench.reclaim(later(T0, 30_000), 9).await;
    assert_eq!(expired(&reclaimed), [(bench.a, 1)]);
    assert_eq!(bench.settle(second, Settlement::Ack).await.map(|_| ()), Err(LeaseLost::NotFound));
}
