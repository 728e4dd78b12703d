use std::time::Duration;

use hookaido_model::{AttemptOutcome, State};

use crate::rig::{Message, Options, Rig, http, open};
use crate::sink::{Answer, Sink, status};

#[tokio::test]
async fn failures_are_tried_again_until_the_policy_is_used_up() {
    let (mut rig, sink) = (Rig::start(), Sink::answering(503).await);
    let url = sink.url("/in");
    let mut target = http(&url);
    (target.retry.max, target.retry.base, target.retry.cap) =
        (3, Duration::from_millis(40), Duration::from_millis(100));
    rig.push(open(), 20, vec![target]).await;
    rig.publish(&url, Message::default()).await;
    let seen = sink.got(4).await;
    rig.stop().await;
    for (gap, least) in seen.windows(2).zip([40, 80, 100]) {
        assert!(gap[1].at - gap[0].at >= Duration::from_millis(least), "{least}");
    }
    let outcomes: Vec<_> = rig.attempts().await.iter().map(|a| (a.attempt, a.status_code, a.outcome)).collect();
    let retry = AttemptOutcome::Retry;
    assert_eq!(
        outcomes,
        [(1, Some(503), retry), (2, Some(503), retry), (3, Some(503), retry), (4, Some(503), AttemptOutcome::Dead)]
    );
    let message = &rig.messages().await[0];
    assert_eq!((message.state, message.dead_reason.as_ref().unwrap().as_str()), (State::Dead, "max_retries"));
    let counts = rig.metrics.delivery.snapshot();
    assert_eq!((counts.attempts, counts.retry, counts.dead), (4, 3, 1));
}

#[tokio::test]
async fn statuses_decide_whether_to_try_again() {
    for (code, tries) in
        [(301, 1), (304, 1), (307, 1), (400, 1), (404, 1), (410, 1), (408, 2), (429, 2), (500, 2), (504, 2)]
    {
        let mut rig = Rig::start();
        let sink = Sink::start(move |_, n| status(if n == 0 { code } else { 200 })).await;
        let url = sink.url("/in");
        rig.push(open(), 20, vec![http(&url)]).await;
        rig.publish(&url, Message::default()).await;
        sink.got(tries).await;
        rig.stop().await;
        let attempts = rig.attempts().await;
        assert_eq!((attempts.len(), attempts[0].status_code), (tries, Some(code)), "{code}");
        if tries == 1 {
            assert_eq!(attempts[0].dead_reason.as_ref().unwrap().as_str(), "no_retry", "{code}");
            assert_eq!(attempts[0].error, None);
        }
    }
}

#[tokio::test]
async fn the_delay_is_exact_and_may_be_what_the_target_asks_for() {
    for (header, want) in [("5", 5_000), ("999999", 3_600_000), ("soon", 1_000), ("0", 1_000), ("1", 1_000)] {
        let mut rig = Rig::start();
        let sink =
            Sink::start(move |_, _| Answer { headers: vec![("retry-after", header.to_owned())], ..status(503) }).await;
        let url = sink.url("/in");
        let mut target = http(&url);
        (target.retry.base, target.retry.cap) = (Duration::from_secs(1), Duration::from_secs(1));
        rig.push(open(), 20, vec![target]).await;
        rig.publish(&url, Message::default()).await;
        sink.got(1).await;
        rig.stop().await;
        let (attempt, message) = (&rig.attempts().await[0], &rig.messages().await[0]);
        assert_eq!(message.state, State::Queued);
        assert_eq!(message.next_run_at.0 - attempt.created_at.0, want, "{header}");
    }
}

#[tokio::test]
async fn jitter_comes_from_the_injected_numbers() {
    let mut rig = Rig::with(Options { jitter: -1.0, ..Options::default() });
    let sink = Sink::answering(500).await;
    let url = sink.url("/in");
    let mut target = http(&url);
    (target.retry.base, target.retry.cap, target.retry.jitter) = (Duration::from_secs(8), Duration::from_secs(8), 0.25);
    rig.push(open(), 20, vec![target]).await;
    rig.publish(&url, Message::default()).await;
    sink.got(1).await;
    rig.stop().await;
    assert_eq!(rig.messages().await[0].next_run_at.0 - rig.attempts().await[0].created_at.0, 6_000);
}

#[tokio::test]
async fn an_unreachable_target_is_tried_again_and_says_why() {
    let mut rig = Rig::start();
    // bound and closed again: nobody listens there
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sink = Sink::answering(200).await;
    let (url, after) = (format!("http://{closed}/in"), sink.url("/after"));
    let mut target = http(&url);
    target.retry.max = 0;
    rig.push(open(), 1, vec![target, http(&after)]).await;
    rig.publish_to("/hooks/a", &[&url, &after], Message::default()).await;
    sink.got(1).await;
    rig.stop().await;
    let attempts = rig.attempts().await;
    let failed = attempts.iter().find(|a| *a.lane.target == *url).unwrap();
    assert_eq!((failed.status_code, failed.outcome), (None, AttemptOutcome::Dead));
    let error = failed.error.as_deref().unwrap();
    assert!(error.starts_with(&format!("cannot connect to {closed}: ")), "{error}");
}
