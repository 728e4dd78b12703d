//! Callers that go away at every possible moment.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hookaido_model::State;

use super::{Rig, bodies, until, wish};
use crate::store::{Settle, Settlement};

const LONG: Duration = Duration::from_secs(3600);

fn poll_once<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn a_sleeper_that_goes_leaves_no_trace() {
    let rig = Rig::new().await;
    let gone = rig.waiter(rig.a(), 1).await;
    let waiter = rig.waiter(rig.a(), 1).await;
    gone.abort();
    until(|| rig.sleeping(rig.a()) == 1).await;
    rig.publish(rig.a(), "m").await;
    assert_eq!(bodies(&waiter.await.unwrap().unwrap()), ["m"]);
}

#[tokio::test(start_paused = true)]
async fn a_woken_waiter_that_goes_wakes_the_next() {
    let rig = Rig::new().await;
    let mut woken = Box::pin(rig.queue.lease(wish(rig.a(), 1, LONG)));
    assert!(poll_once(&mut woken).is_pending());
    let waiter = rig.waiter(rig.a(), 1).await;
    rig.publish(rig.a(), "m").await;
    assert_eq!(rig.sleeping(rig.a()), 1, "the first was woken");
    drop(woken);
    let got = waiter.await.unwrap().unwrap();
    assert_eq!((bodies(&got), got[0].attempt), (vec!["m".into()], 1));
}

#[tokio::test(start_paused = true)]
async fn a_lease_given_to_a_waiter_that_went_is_released() {
    let rig = Rig::new().await;
    let gate = rig.store.close_gate();
    rig.publish(rig.a(), "m").await;
    let mut calling = Box::pin(rig.queue.lease(wish(rig.a(), 1, LONG)));
    assert!(poll_once(&mut calling).is_pending());
    assert_eq!(rig.all().await[0].state, State::Leased);
    let queue = rig.queue.clone();
    let lane = rig.a();
    let waiter =
        rig.tasks.spawn(async move { queue.lease(wish(lane, 1, LONG)).await.map(super::super::LeasedBatch::keep) });
    tokio::task::yield_now().await;
    drop(calling);
    gate.add_permits(100);
    let got = waiter.await.unwrap().unwrap();
    assert_eq!((bodies(&got), got[0].attempt), (vec!["m".into()], 1), "the first attempt does not count");
}

#[tokio::test(start_paused = true)]
async fn the_next_delay_is_known_though_who_asked_went() {
    let rig = Rig::new().await;
    let gate = rig.store.close_gate();
    rig.publish_later(rig.a(), "m", Duration::from_secs(5)).await;
    let mut calling = Box::pin(rig.queue.lease(wish(rig.a(), 1, LONG)));
    assert!(poll_once(&mut calling).is_pending());
    gate.add_permits(1);
    drop(calling);
    let waiter = rig.waiter(rig.a(), 1);
    gate.add_permits(100);
    let waiter = waiter.await;
    assert_eq!(bodies(&waiter.await.unwrap().unwrap()), ["m"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_nobody_keeps_goes_back_as_if_never_leased() {
    let rig = Rig::new().await;
    rig.publish(rig.a(), "m").await;
    let batch = rig.queue.lease(wish(rig.a(), 1, Duration::ZERO)).await.unwrap();
    assert_eq!(batch.envelopes()[0].attempt, 1);
    drop(batch);
    rig.queue.leftovers_done().await;
    let all = rig.all().await;
    assert_eq!((all[0].state, all[0].attempt), (State::Queued, 0));
    let kept = rig.queue.lease(wish(rig.a(), 1, Duration::ZERO)).await.unwrap().keep();
    rig.queue.leftovers_done().await;
    assert_eq!((kept.len(), rig.all().await[0].state), (1, State::Leased));
}

#[tokio::test(start_paused = true)]
async fn an_enqueue_nobody_waits_for_wakes() {
    let rig = Rig::new().await;
    let waiter = rig.waiter(rig.a(), 1).await;
    let mut publish = Box::pin(rig.publish(rig.a(), "m"));
    let _stored = poll_once(&mut publish);
    drop(publish);
    assert_eq!(bodies(&waiter.await.unwrap().unwrap()), ["m"]);
}

#[tokio::test(start_paused = true)]
async fn a_settlement_nobody_waits_for_may_be_repeated() {
    let rig = Rig::new().await;
    rig.publish(rig.a(), "m").await;
    let leased = rig.queue.lease(wish(rig.a(), 1, Duration::ZERO)).await.unwrap().keep();
    let ack = Settle { lease: leased[0].lease.unwrap(), scope: Some(rig.a()), settlement: Settlement::Ack };
    let gate = rig.store.close_gate();
    let mut settle = Box::pin(rig.queue.settle(ack.clone()));
    assert!(poll_once(&mut settle).is_pending());
    drop(settle);
    gate.add_permits(100);
    rig.queue.leftovers_done().await;
    assert_eq!(rig.queue.settle(ack).await.unwrap().lane, rig.a());
}

#[tokio::test(start_paused = true)]
async fn many_that_come_and_go_leave_nothing_behind() {
    let rig = Rig::new().await;
    for round in 0..200 {
        let mut waiters: Vec<_> =
            (0..10).map(|_| Box::pin(rig.queue.lease(wish(rig.a(), 1 + round % 3, LONG)))).collect();
        for waiter in &mut waiters {
            let _waits_or_gets_what_the_last_round_left = poll_once(waiter);
        }
        if round % 2 == 0 {
            rig.publish(rig.a(), "m").await;
        }
    }
    rig.queue.leftovers_done().await;
    assert_eq!(rig.sleeping(rig.a()), 0);
    let all = rig.all().await;
    assert_eq!(all.len(), 100);
    assert!(all.iter().all(|envelope| envelope.state == State::Queued && envelope.attempt == 0));
    let got = rig.queue.lease(wish(rig.a(), 1000, Duration::ZERO)).await.unwrap().keep();
    assert_eq!(got.len(), 100);
}
