//! Leases that end, retention, idle work.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hookaido_model::State;
use hookaido_model::config::Retention;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Rig, bodies, settings, wish};
use crate::store::ListQuery;

#[tokio::test(start_paused = true)]
async fn a_lease_that_ends_goes_to_whoever_waits() {
    let rig = Rig::new().await;
    let shutdown = CancellationToken::new();
    rig.tasks.spawn(rig.queue.clone().run_upkeep(shutdown.clone()));
    let told: Arc<Mutex<Vec<_>>> = Arc::default();
    let listener = Arc::clone(&told);
    rig.queue.on_reclaimed(move |lane| listener.lock().push((lane.lane.id, lane.expired)));
    rig.publish(rig.a(), "m").await;
    rig.publish(rig.b(), "n").await;
    let _long = rig.queue.lease(wish(rig.b(), 1, Duration::ZERO)).await.unwrap().keep();
    let mut short = wish(rig.a(), 1, Duration::ZERO);
    short.ttl = Duration::from_millis(250);
    let _lost = rig.queue.lease(short).await.unwrap().keep();
    let before = Instant::now();
    let waiter = rig.waiter(rig.a(), 1).await;
    let got = waiter.await.unwrap().unwrap();
    assert_eq!((bodies(&got), got[0].attempt), (vec!["m".into()], 2));
    assert!(before.elapsed() < Duration::from_millis(260), "{:?}", before.elapsed());
    let waiter = rig.waiter(rig.b(), 1).await;
    assert_eq!(bodies(&waiter.await.unwrap().unwrap()), ["n"]);
    assert!(before.elapsed() < Duration::from_millis(30_010));
    assert_eq!(*told.lock(), [(rig.a(), 1), (rig.b(), 1)]);
    shutdown.cancel();
    rig.tasks.close();
    rig.tasks.wait().await;
}

#[tokio::test(start_paused = true)]
async fn pruning_keeps_its_cadence_and_takes_all_there_is() {
    let rig = Rig::new().await;
    let mut kept = settings();
    kept.retentions.queued = Retention { enabled: true, max_age: Some(Duration::from_secs(60)), max_rows: None };
    rig.queue.set_settings(kept);
    let shutdown = CancellationToken::new();
    rig.tasks.spawn(rig.queue.clone().run_upkeep(shutdown.clone()));
    let many = (0..1700).map(|_| rig.message(rig.a(), "m", Duration::ZERO)).collect();
    rig.queue.enqueue(many).await.unwrap();
    tokio::time::sleep(Duration::from_secs(299)).await;
    assert!(rig.store.prunes.lock().is_empty());
    rig.publish(rig.a(), "young").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(rig.store.prunes.lock().len(), 4, "in slices");
    let left = rig.queue.list(ListQuery { limit: 5000, content: true, ..ListQuery::default() }).await.unwrap();
    assert_eq!(bodies(&left), ["young"]);
    kept.retentions.prune_interval = Duration::from_secs(10);
    rig.queue.set_settings(kept);
    tokio::time::sleep(Duration::from_secs(95)).await;
    assert!(rig.all().await.is_empty());
    assert!(rig.store.maintained.load(Ordering::SeqCst) > 10);
    shutdown.cancel();
    rig.tasks.close();
    rig.tasks.wait().await;
}

#[tokio::test(start_paused = true)]
async fn what_retention_keeps_of_delivered_messages_follows_the_settings() {
    let rig = Rig::new().await;
    for (enabled, left) in [(false, 0), (true, 1)] {
        let mut kept = settings();
        kept.retentions.delivered = Retention { enabled, max_age: Some(Duration::from_secs(60)), max_rows: None };
        rig.queue.set_settings(kept);
        rig.publish(rig.a(), "m").await;
        let lease = rig.queue.lease(wish(rig.a(), 1, Duration::ZERO)).await.unwrap().keep()[0].lease.unwrap();
        let ack = crate::store::Settle { lease, scope: None, settlement: crate::store::Settlement::Ack };
        rig.queue.settle(ack).await.unwrap();
        let delivered = rig.all().await.into_iter().filter(|envelope| envelope.state == State::Delivered).count();
        assert_eq!(delivered, left);
    }
}
