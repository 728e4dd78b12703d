//! Who is woken, when, and at what cost.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{Rig, bodies, until, wish};
use crate::store::{Health, Step, Store, StoreError};
use hookaido_model::Move;

#[tokio::test(start_paused = true)]
async fn an_idle_waiter_gets_a_message_with_one_call() {
    let rig = Rig::new().await;
    let waiter = rig.waiter(rig.a(), 100).await;
    assert_eq!(rig.store.leases(), 1, "it looked once");
    let before = Instant::now();
    rig.publish(rig.a(), "m").await;
    assert_eq!(bodies(&waiter.await.unwrap().unwrap()), ["m"]);
    assert_eq!(rig.store.leases(), 2);
    assert_eq!(before.elapsed(), Duration::ZERO, "no timer was needed");
}

#[tokio::test(start_paused = true)]
async fn first_come_is_first_served() {
    let rig = Rig::new().await;
    let mut waiters = Vec::new();
    for _ in 0..5 {
        waiters.push(rig.waiter(rig.a(), 1).await);
    }
    for n in 0..5 {
        rig.publish(rig.a(), &n.to_string()).await;
    }
    for (n, waiter) in waiters.into_iter().enumerate() {
        assert_eq!(bodies(&waiter.await.unwrap().unwrap()), [n.to_string()]);
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_later_stands_behind_those_who_wait() {
    let rig = Rig::new().await;
    let early = rig.waiter(rig.a(), 1).await;
    let late = rig.waiter(rig.a(), 1).await;
    assert_eq!(rig.store.leases(), 1, "the second had no need to look");
    rig.publish(rig.a(), "m").await;
    assert_eq!(bodies(&early.await.unwrap().unwrap()), ["m"]);
    assert_eq!(rig.sleeping(rig.a()), 1);
    rig.publish(rig.a(), "n").await;
    assert_eq!(bodies(&late.await.unwrap().unwrap()), ["n"]);
}

#[tokio::test(start_paused = true)]
async fn a_burst_wakes_no_more_waiters_than_it_feeds() {
    for (max, useful) in [(1, 10), (5, 2), (100, 1)] {
        let rig = Rig::new().await;
        let mut waiters = Vec::new();
        for _ in 0..20 {
            waiters.push(rig.waiter(rig.a(), max).await);
        }
        let before = rig.store.leases();
        let burst = (0..10).map(|n| rig.message(rig.a(), &n.to_string(), Duration::ZERO)).collect();
        rig.queue.enqueue(burst).await.unwrap();
        until(|| rig.sleeping(rig.a()) == 20 - useful).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(rig.store.leases() - before, u64::try_from(useful).unwrap(), "max {max}");
        assert_eq!(rig.sleeping(rig.a()), 20 - useful);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_route_wake_only_its_waiters() {
    let rig = Rig::new().await;
    let other = rig.waiter(rig.b(), 1).await;
    let waiter = rig.waiter(rig.a(), 1).await;
    rig.publish(rig.a(), "m").await;
    waiter.await.unwrap().unwrap();
    assert_eq!(rig.store.leases(), 3);
    assert!(!other.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_wakes_at_its_time() {
    let rig = Rig::new().await;
    let first = rig.waiter(rig.a(), 1).await;
    let second = rig.waiter(rig.a(), 1).await;
    let before = Instant::now();
    rig.publish_later(rig.a(), "late", Duration::from_secs(200)).await;
    rig.publish_later(rig.a(), "early", Duration::from_millis(1500)).await;
    assert_eq!(bodies(&first.await.unwrap().unwrap()), ["early"]);
    assert!(before.elapsed().abs_diff(Duration::from_millis(1500)) < Duration::from_millis(5));
    assert_eq!(bodies(&second.await.unwrap().unwrap()), ["late"]);
    assert!(before.elapsed().abs_diff(Duration::from_secs(200)) < Duration::from_millis(5));
    assert!(rig.store.leases() <= 4, "{}", rig.store.leases());
}

#[tokio::test(start_paused = true)]
async fn the_next_waiter_watches_the_clock_when_the_first_goes() {
    let rig = Rig::new().await;
    rig.publish_later(rig.a(), "m", Duration::from_secs(5)).await;
    let first = rig.waiter(rig.a(), 1).await;
    let second = rig.waiter(rig.a(), 1).await;
    first.abort();
    let before = Instant::now();
    assert_eq!(bodies(&second.await.unwrap().unwrap()), ["m"]);
    assert!(before.elapsed() <= Duration::from_millis(5010));
}

#[tokio::test(start_paused = true)]
async fn patience_ends_on_time_with_nothing() {
    let rig = Rig::new().await;
    let _ahead = rig.waiter(rig.a(), 1).await;
    let before = Instant::now();
    let batch = rig.queue.lease(wish(rig.a(), 1, Duration::from_millis(700))).await.unwrap();
    assert!(batch.is_empty());
    assert!(before.elapsed().abs_diff(Duration::from_millis(700)) < Duration::from_millis(5));
    assert_eq!(rig.store.leases(), 2, "whoever gives up has looked once");
    assert_eq!(rig.sleeping(rig.a()), 1);
    assert!(rig.queue.lease(wish(rig.a(), 1, Duration::ZERO)).await.unwrap().is_empty());
    assert!(rig.queue.lease(wish(rig.a(), 0, Duration::from_secs(9))).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_requeued_message_wakes() {
    let rig = Rig::new().await;
    rig.publish(rig.a(), "m").await;
    let id = rig.all().await[0].id.clone();
    rig.queue.transition(vec![id.clone()], Step::Move(Move::Cancel), vec![]).await.unwrap();
    let waiter = rig.waiter(rig.a(), 1).await;
    rig.queue.transition(vec![id], Step::Move(Move::Requeue), vec![]).await.unwrap();
    assert_eq!(bodies(&waiter.await.unwrap().unwrap()), ["m"]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_reported_to_everybody_who_waits() {
    let rig = Rig::new().await;
    let waiters = [rig.waiter(rig.a(), 1).await, rig.waiter(rig.a(), 1).await, rig.waiter(rig.a(), 1).await];
    rig.store.broken.store(true, Ordering::SeqCst);
    rig.publish(rig.a(), "m").await;
    for waiter in waiters {
        assert!(matches!(waiter.await.unwrap(), Err(StoreError::Unavailable(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_works_again_wakes() {
    let rig = Rig::new().await;
    let waiter = rig.waiter(rig.a(), 1).await;
    // a message nobody was told of
    rig.store.inner.attach(std::sync::Arc::new(Silent));
    rig.publish(rig.a(), "m").await;
    assert_eq!(rig.sleeping(rig.a()), 1);
    rig.store.observer.lock().as_ref().unwrap().health(&Health::Writable);
    assert_eq!(bodies(&waiter.await.unwrap().unwrap()), ["m"]);
}

#[derive(Debug)]
struct Silent;

impl crate::store::Observer for Silent {
    fn ready(&self, _: hookaido_model::LaneId, _: hookaido_model::UnixMillis) {}
    fn lease_ends(&self, _: hookaido_model::UnixMillis) {}
    fn health(&self, _: &Health) {}
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_small() {
    let rig = Rig::new().await;
    let size = size_of_val(&rig.queue.lease(wish(rig.a(), 1, Duration::from_secs(1))));
    assert!(size <= 1024, "{size} bytes");
}

#[tokio::test(start_paused = true)]
async fn shutting_ends_every_wait_and_allows_no_new_one() {
    let rig = Rig::new().await;
    let before = Instant::now();
    let waiters = [rig.waiter(rig.a(), 1).await, rig.waiter(rig.a(), 1).await, rig.waiter(rig.b(), 1).await];
    rig.queue.shut_waiters();
    for waiter in waiters {
        assert!(waiter.await.unwrap().unwrap().is_empty());
    }
    assert!(rig.queue.lease(wish(rig.a(), 1, Duration::from_secs(9))).await.unwrap().is_empty());
    assert_eq!(before.elapsed(), Duration::ZERO);
    rig.publish(rig.a(), "m").await;
    assert_eq!(rig.queue.lease(wish(rig.a(), 1, Duration::from_secs(9))).await.unwrap().envelopes().len(), 1);
}
