//! Many at once on real threads, some of which lose patience: everything arrives, nobody sleeps beside a message.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hookaido_model::SystemClock;
use parking_lot::Mutex;

use super::{Rig, bodies, settings};
use crate::queue::{LeaseWish, LeasedBatch, Queue};
use crate::store::{Settle, Settlement};
use crate::{MemoryStore, Store};

const MESSAGES: usize = 4000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_arrives_once_though_workers_come_and_go() {
    let mut rig = Rig::new().await;
    // real time for real threads
    rig.queue = Queue::new(Arc::new(MemoryStore::new()) as Arc<dyn Store>, Arc::new(SystemClock), settings());
    rig.lanes = rig.queue.lanes(vec![("/a".into(), "pull".into()), ("/b".into(), "pull".into())]).await.unwrap();
    let rig = Arc::new(rig);
    let done: Arc<Mutex<HashSet<String>>> = Arc::default();
    for worker in 0..24u64 {
        let (rig_of_worker, done) = (Arc::clone(&rig), Arc::clone(&done));
        rig.tasks.spawn(async move { work(&rig_of_worker.queue, rig_of_worker.a(), worker, &done).await });
    }
    for publisher in 0..4 {
        let rig_of_publisher = Arc::clone(&rig);
        rig.tasks.spawn(async move {
            let rig = rig_of_publisher;
            for n in 0..MESSAGES / 4 {
                rig.publish(rig.a(), &format!("{publisher}-{n}")).await;
                if n % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    rig.tasks.close();
    let ended = tokio::time::timeout(Duration::from_secs(60), rig.tasks.wait()).await;
    assert!(ended.is_ok(), "{} of {MESSAGES} arrived", done.lock().len());
    assert_eq!(done.lock().len(), MESSAGES);
    assert!(rig.all().await.is_empty());
}

async fn work(queue: &Queue, lane: hookaido_model::LaneId, worker: u64, done: &Mutex<HashSet<String>>) {
    let mut random = worker.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while done.lock().len() < MESSAGES {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let max = if worker.is_multiple_of(3) { 10 } else { 1 };
        // patience ends only to see that all is done; no message depends on it
        let wish = LeaseWish { lane, max, ttl: Duration::from_secs(300), max_wait: Duration::from_secs(2) };
        let leasing = queue.lease(wish);
        let batch = if random.is_multiple_of(4) {
            let patience = Duration::from_micros(random % 800);
            let Ok(batch) = tokio::time::timeout(patience, leasing).await else { continue };
            batch
        } else {
            leasing.await
        };
        let batch = batch.unwrap();
        if random.is_multiple_of(11) {
            continue;
        }
        let envelopes = LeasedBatch::keep(batch);
        for (body, envelope) in bodies(&envelopes).into_iter().zip(&envelopes) {
            assert_eq!(envelope.attempt, 1, "what was given back does not count");
            let ack = Settle { lease: envelope.lease.unwrap(), scope: None, settlement: Settlement::Ack };
            queue.settle(ack).await.unwrap();
            assert!(done.lock().insert(body), "twice");
        }
    }
}
