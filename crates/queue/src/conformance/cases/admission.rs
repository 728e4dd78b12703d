//! Storing new messages, all or none, within the depth limit.

use std::collections::HashSet;
use std::time::Duration;

use hookaido_model::config::{DropPolicy, QueueLimits};
use hookaido_model::{EnvelopeId, PULL_TARGET, State};

use super::Case;
use crate::conformance::bench::{Bench, T0, UNLIMITED, bodies, later, message};
use crate::store::{NewMessage, Settlement, StoreError};

pub(super) const CASES: &[Case] = &[
    |bench| Box::pin(lanes_keep_their_numbers(bench)),
    |bench| Box::pin(messages_are_stored_as_given(bench)),
    |bench| Box::pin(one_content_reaches_every_lane(bench)),
    |bench| Box::pin(an_id_is_used_once(bench)),
    |bench| Box::pin(all_or_none(bench)),
    |bench| Box::pin(the_limit_is_exact(bench)),
    |bench| Box::pin(the_oldest_make_room(bench)),
    |bench| Box::pin(an_abandoned_enqueue_is_stored(bench)),
];

async fn lanes_keep_their_numbers(mut bench: Bench) {
    let pairs =
        vec![("/b".into(), "http://one".into()), ("/new".into(), PULL_TARGET.into()), ("/a".into(), "pull".into())];
    let lanes = bench.store.lanes(pairs.clone()).await.unwrap();
    assert_eq!((lanes[0].id, lanes[2].id), (bench.b, bench.a));
    assert_eq!((&*lanes[1].route, &*lanes[1].target), ("/new", PULL_TARGET));
    assert_eq!(lanes.iter().map(|lane| lane.id).collect::<HashSet<_>>().len(), 3);
    if bench.reopen().await {
        assert_eq!(bench.store.lanes(pairs).await.unwrap(), lanes);
    }
}

async fn messages_are_stored_as_given(mut bench: Bench) {
    let sent = NewMessage { next_run_at: later(T0, 500), ..message(bench.a, "body \u{0}\u{1F980}") };
    let empty = NewMessage { received_at: T0.minus(Duration::from_secs(60)), ..message(bench.b, "") };
    let ids = bench.put_all(vec![sent.clone(), empty.clone()], UNLIMITED).await.unwrap().ids;
    assert_ne!(ids[0], ids[1]);
    for _ in 0..2 {
        for (id, sent) in ids.iter().zip([&sent, &empty]) {
            assert!(id.to_string().starts_with("evt_") && id.place().is_some(), "{id}");
            let found = bench.one(id).await;
            assert_eq!((found.state, found.attempt), (State::Queued, 0));
            assert_eq!((found.received_at, found.next_run_at), (sent.received_at, sent.next_run_at));
            assert_eq!((found.lease, found.lease_until, found.dead_reason), (None, None, None));
            assert_eq!(found.lane.id, sent.lanes[0]);
            assert_eq!(*found.content.unwrap(), sent.content);
        }
        if !bench.reopen().await {
            return;
        }
    }
}

async fn one_content_reaches_every_lane(bench: Bench) {
    let lanes = bench.lanes.iter().map(|lane| lane.id).collect();
    let sent = NewMessage { lanes, id: Some("mine".into()), ..message(bench.a, "m") };
    let ids = bench.put_all(vec![sent], UNLIMITED).await.unwrap().ids;
    assert_eq!(ids.len(), 3);
    assert_eq!(ids[0].to_string(), "mine");
    assert!(ids[1].place().is_some() && ids[2].place().is_some() && ids[1] != ids[2]);
    let (_, lease) = bench.take_one(bench.b).await;
    bench.settle(lease, Settlement::Ack).await.unwrap();
    let all = bench.all().await;
    assert_eq!(bodies(&all), ["m", "m"], "the others keep theirs");
    for left in all {
        let (_, lease) = bench.take_one(left.lane.id).await;
        bench.settle(lease, Settlement::Ack).await.unwrap();
    }
    assert!(bench.all().await.is_empty());
}

async fn an_id_is_used_once(bench: Bench) {
    let mine = |id: &str| NewMessage { id: Some(id.into()), ..message(bench.a, "m") };
    bench.put_all(vec![mine("one")], UNLIMITED).await.unwrap();
    let conflict = |id: &str| Err(StoreError::Conflict(EnvelopeId::Given(id.into())));
    assert_eq!(bench.put_all(vec![mine("one")], UNLIMITED).await.map(|_| ()), conflict("one"));
    assert_eq!(bench.put_all(vec![mine("two"), mine("two")], UNLIMITED).await.map(|_| ()), conflict("two"));
    let made = bench.put(bench.b, "m").await;
    let again = bench.put_all(vec![mine(&made.to_string())], UNLIMITED).await;
    assert_eq!(again.map(|_| ()), conflict(&made.to_string()), "a made id is taken, too");
    let (_, lease) = bench.take_one(bench.a).await;
    bench.settle(lease, Settlement::Ack).await.unwrap();
    assert!(bench.put_all(vec![mine("one")], UNLIMITED).await.is_ok(), "free again after the ack");
}

async fn all_or_none(bench: Bench) {
    let mine = |id: &str| NewMessage { id: Some(id.into()), ..message(bench.a, "m") };
    bench.put_all(vec![mine("one")], UNLIMITED).await.unwrap();
    assert!(bench.put_all(vec![mine("two"), mine("one"), mine("three")], UNLIMITED).await.is_err());
    let limits = QueueLimits { max_depth: Some(3), drop_policy: DropPolicy::Reject };
    let refused = bench.put_all(vec![mine("two"), mine("three"), mine("four")], limits).await;
    assert_eq!(refused.map(|_| ()), Err(StoreError::Full));
    assert_eq!(bench.all().await.len(), 1);
}

async fn the_limit_is_exact(bench: Bench) {
    let limits = QueueLimits { max_depth: Some(3), drop_policy: DropPolicy::Reject };
    let put = |count: usize| bench.put_all(vec![message(bench.a, "m"); count], limits);
    put(2).await.unwrap();
    put(1).await.unwrap();
    assert_eq!(put(1).await.map(|_| ()), Err(StoreError::Full));
    let (_, lease) = bench.take_one(bench.a).await;
    assert_eq!(put(1).await.map(|_| ()), Err(StoreError::Full), "leased messages count");
    bench.settle_at(lease, Settlement::Ack, T0, true).await.unwrap();
    put(1).await.unwrap();
    let (_, lease) = bench.take_one(bench.a).await;
    bench.settle(lease, Settlement::Bury { reason: None }).await.unwrap();
    put(1).await.unwrap();
    assert_eq!(put(1).await.map(|_| ()), Err(StoreError::Full), "delivered and dead messages do not");
}

async fn the_oldest_make_room(bench: Bench) {
    let limits = QueueLimits { max_depth: Some(2), drop_policy: DropPolicy::DropOldest };
    let put = |bodies: &[&str]| {
        let messages = bodies.iter().map(|body| message(if *body == "1" { bench.b } else { bench.a }, body)).collect();
        bench.put_all(messages, limits)
    };
    assert_eq!(put(&["1", "2"]).await.unwrap().dropped, 0);
    assert_eq!(put(&["3"]).await.unwrap().dropped, 1, "of whatever lane");
    assert_eq!(bodies(&bench.all().await), ["2", "3"]);
    assert_eq!(put(&["4", "5", "6"]).await.map(|_| ()), Err(StoreError::Full), "never more than the limit");
    bench.take_one(bench.a).await;
    assert_eq!(put(&["4"]).await.unwrap().dropped, 1);
    assert_eq!(bodies(&bench.all().await), ["2", "4"], "a leased message stays");
    bench.take_one(bench.a).await;
    assert_eq!(put(&["5"]).await.map(|_| ()), Err(StoreError::Full));
    assert_eq!(bodies(&bench.all().await), ["2", "4"]);
}

async fn an_abandoned_enqueue_is_stored(bench: Bench) {
    let op = crate::store::Enqueue { messages: vec![message(bench.a, "m")], limits: UNLIMITED, now: T0 };
    drop(bench.store.enqueue(op));
    bench.told.wait_for(crate::conformance::bench::Event::Ready(bench.a, T0)).await;
    assert_eq!(bodies(&bench.all().await), ["m"]);
}
