use std::sync::Arc;
use std::time::Duration;

use hookaido_model::{AttemptOutcome, State};
use hookaido_queue::store::Step;
use tokio::sync::Semaphore;

use crate::rig::{Message, Options, Rig, http, open};
use crate::sink::{Answer, Sink, status};

fn gated(gate: &Arc<Semaphore>) -> impl Fn(&crate::sink::Seen, usize) -> Answer + Send + Sync + 'static {
    let gate = Arc::clone(gate);
    move |_, _| Answer { gate: Some(Arc::clone(&gate)), ..status(200) }
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_flight_and_leaves_the_rest_untouched() {
    let gate = Arc::new(Semaphore::new(0));
    let sink = Sink::start(gated(&gate)).await;
    let mut rig = Rig::start();
    let url = sink.url("/in");
    rig.push(open(), 3, vec![http(&url)]).await;
    for _ in 0..20 {
        rig.publish(&url, Message::default()).await;
    }
    sink.got(3).await;
    {
        let mut stop = Box::pin(rig.stop());
        assert!(futures_util::poll!(&mut stop).is_pending());
        gate.add_permits(3);
        stop.await;
    }
    let messages = rig.messages().await;
    assert_eq!(messages.iter().filter(|m| m.state == State::Delivered).count(), 3);
    let waiting: Vec<_> = messages.iter().filter(|m| m.state != State::Delivered).collect();
    assert!(waiting.iter().all(|m| m.state == State::Queued && m.attempt == 0), "{waiting:?}");
    assert_eq!((rig.attempts().await.len(), sink.seen().len()), (3, 3));
}

#[tokio::test]
async fn what_exceeds_the_drains_budget_is_cut_off_and_waits() {
    let sink = Sink::start(gated(&Arc::new(Semaphore::new(0)))).await;
    let mut rig = Rig::with(Options { drain: Duration::from_millis(50), ..Options::default() });
    let url = sink.url("/in");
    rig.push(open(), 3, vec![http(&url)]).await;
    rig.publish(&url, Message::default()).await;
    sink.got(1).await;
    rig.stop().await;
    let message = &rig.messages().await[0];
    assert_eq!((message.state, message.attempt), (State::Queued, 0), "a stop costs no attempt");
    assert!(rig.attempts().await.is_empty());
}

#[tokio::test]
async fn a_stop_does_not_touch_what_waits_for_a_retry() {
    let sink = Sink::answering(503).await;
    let mut rig = Rig::start();
    let url = sink.url("/in");
    let mut target = http(&url);
    (target.retry.base, target.retry.cap) = (Duration::from_secs(60), Duration::from_secs(60));
    rig.push(open(), 20, vec![target]).await;
    rig.publish(&url, Message::default()).await;
    sink.got(1).await;
    rig.stop().await;
    let message = &rig.messages().await[0];
    assert_eq!((message.state, message.attempt), (State::Queued, 1));
    assert_eq!(message.next_run_at.0, rig.attempts().await[0].created_at.0 + 60_000);
}

#[tokio::test]
async fn messages_of_a_removed_target_wait_untouched() {
    let (gone, stays) = (Sink::answering(503).await, Sink::answering(200).await);
    let mut rig = Rig::start();
    let (gone_url, stays_url) = (gone.url("/gone"), stays.url("/stays"));
    rig.push(open(), 20, vec![http(&gone_url), http(&stays_url)]).await;
    rig.push(open(), 20, vec![http(&stays_url)]).await;
    rig.publish_to("/hooks/a", &[&gone_url, &stays_url], Message::default()).await;
    stays.got(1).await;
    rig.push(open(), 20, vec![]).await;
    rig.push(open(), 20, vec![http(&stays_url)]).await;
    rig.publish(&stays_url, Message::default()).await;
    stays.got(2).await;
    let waiting = rig.messages().await.into_iter().find(|m| *m.lane.target == *gone_url).unwrap();
    assert_eq!((waiting.state, waiting.attempt, gone.seen().len()), (State::Queued, 0, 0));
    // back again, it goes
    rig.push(open(), 20, vec![http(&gone_url)]).await;
    gone.got(1).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_reload_changes_targets_while_deliveries_go_on() {
    let gate = Arc::new(Semaphore::new(0));
    let (old, new) = (Sink::start(gated(&gate)).await, Sink::answering(200).await);
    let mut rig = Rig::start();
    let (old_url, new_url) = (old.url("/in"), new.url("/in"));
    rig.push(open(), 2, vec![http(&old_url)]).await;
    for _ in 0..5 {
        rig.publish(&old_url, Message::default()).await;
    }
    old.got(2).await;
    rig.push(open(), 4, vec![http(&new_url)]).await;
    rig.publish(&new_url, Message::default()).await;
    new.got(1).await;
    assert_eq!(old.seen().len(), 2, "the removed target gets nothing more");
    gate.add_permits(100);
    rig.stop().await;
    let attempts = rig.attempts().await;
    assert_eq!(attempts.iter().filter(|a| *a.lane.target == *old_url && a.outcome == AttemptOutcome::Acked).count(), 2);
    let left: Vec<_> = rig.messages().await.into_iter().filter(|m| m.state == State::Queued).collect();
    assert!(left.len() == 3 && left.iter().all(|m| m.attempt == 0), "{left:?}");
}

#[tokio::test]
async fn a_reload_takes_new_policies_and_concurrency() {
    let sink = Sink::answering(200).await;
    let mut rig = Rig::start();
    let url = sink.url("/in");
    let mut strict = open();
    strict.https_only = true;
    rig.push(strict, 20, vec![http(&url)]).await;
    rig.publish(&url, Message::default()).await;
    rig.tried(1).await;
    rig.push(open(), 20, vec![http(&url)]).await;
    rig.publish(&url, Message::default()).await;
    sink.got(1).await;
    rig.stop().await;
    let outcomes: Vec<_> = rig.attempts().await.iter().map(|a| a.outcome).collect();
    assert_eq!(outcomes, [AttemptOutcome::Dead, AttemptOutcome::Acked]);
}

#[tokio::test]
async fn messages_published_requeued_or_due_later_wake_an_idle_route() {
    let sink = Sink::answering(404).await;
    let mut rig = Rig::start();
    let url = sink.url("/in");
    rig.push(open(), 20, vec![http(&url)]).await;
    rig.publish(&url, Message { id: Some("e1"), ..Message::default() }).await;
    rig.tried(1).await;
    rig.settled(1).await;
    let requeue = Step::Move(hookaido_model::Move::Requeue);
    rig.queue.transition(vec!["e1".into()], requeue, vec![State::Dead]).await.unwrap();
    sink.got(2).await;
    rig.stop().await;
    let attempts: Vec<_> = rig.attempts().await.iter().map(|a| a.attempt).collect();
    assert_eq!(attempts, [1, 1], "a requeued message starts over");
}
