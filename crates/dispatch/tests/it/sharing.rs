use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::rig::{Message, Rig, http, open};
use crate::sink::{Answer, Sink, status};

#[tokio::test]
async fn a_slow_target_does_not_starve_its_sibling() {
    for concurrency in [2, 3, 20] {
        let gate = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&gate);
        let slow = Sink::start(move |_, _| Answer { gate: Some(Arc::clone(&held)), ..status(200) }).await;
        let fast = Sink::answering(200).await;
        let mut rig = Rig::start();
        let (slow_url, fast_url) = (slow.url("/in"), fast.url("/in"));
        rig.push(open(), concurrency, vec![http(&slow_url), http(&fast_url)]).await;
        for _ in 0..60 {
            rig.publish(&slow_url, Message::default()).await;
        }
        // the slow one has taken all it may
        slow.got(concurrency as usize - (concurrency as usize / 2 / 4).max(1)).await;
        for _ in 0..60 {
            rig.publish(&fast_url, Message::default()).await;
        }
        fast.got(60).await;
        assert_eq!(
            slow.seen().len(),
            concurrency as usize - (concurrency as usize / 2 / 4).max(1),
            "idle shares are lent"
        );
        gate.add_permits(1000);
        slow.got(60).await;
        rig.stop().await;
        assert!(rig.attempts().await.len() == 120);
    }
}

#[tokio::test]
async fn more_targets_than_concurrency_take_turns() {
    let sinks = [Sink::answering(200).await, Sink::answering(200).await, Sink::answering(200).await];
    let mut rig = Rig::start();
    let urls: Vec<_> = sinks.iter().map(|s| s.url("/in")).collect();
    for _ in 0..30 {
        rig.publish_to("/hooks/a", &urls.iter().map(String::as_str).collect::<Vec<_>>(), Message::default()).await;
    }
    rig.push(open(), 1, urls.iter().map(|u| http(u)).collect()).await;
    for sink in &sinks {
        sink.got(30).await;
    }
    rig.stop().await;
    let attempts = rig.attempts().await;
    assert_eq!(attempts.len(), 90);
    // nobody has to wait for another's backlog: among the first third, every target was served
    for url in &urls {
        assert!(attempts[..30].iter().filter(|a| *a.lane.target == **url).count() >= 8, "{url}");
    }
}
