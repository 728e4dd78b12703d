use std::sync::Arc;
use std::time::Duration;

use hookaido_model::config::{HttpDelivery, Signing, SigningSecret, Transport};
use hookaido_model::{AttemptOutcome, SecretRef, State};
use tokio::sync::Semaphore;

use crate::rig::{Message, Rig, http, open};
use crate::sink::{Answer, Sink, status};

#[tokio::test]
async fn a_message_is_posted_with_its_body_and_headers_and_acknowledged() {
    let (mut rig, sink) = (Rig::start(), Sink::answering(204).await);
    let url = sink.url("/in/x?token=1&k=%20");
    rig.push(open(), 20, vec![http(&url)]).await;
    let headers =
        [("Content-Type", "application/json"), ("X-Event", "push"), ("User-Agent", "sender/1"), ("Te", "trailers")];
    rig.publish(&url, Message { body: "{\"n\":1}", headers: &headers, ..Message::default() }).await;
    let seen = &sink.got(1).await[0];
    rig.stop().await;
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str(), &*seen.body),
        ("POST", "/in/x?token=1&k=%20", &b"{\"n\":1}"[..])
    );
    assert_eq!(seen.header("host"), Some(sink.addr.to_string().as_str()));
    assert_eq!(seen.header("content-length"), Some("7"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(
        (seen.header("x-event"), seen.header("user-agent"), seen.header("te")),
        (Some("push"), Some("sender/1"), None)
    );
    let attempts = rig.attempts().await;
    assert_eq!(attempts.len(), 1);
    assert_eq!(
        (attempts[0].attempt, attempts[0].status_code, attempts[0].outcome),
        (1, Some(204), AttemptOutcome::Acked)
    );
    assert_eq!((attempts[0].error.as_deref(), attempts[0].dead_reason.as_ref()), (None, None));
    assert_eq!(rig.messages().await[0].state, State::Delivered);
    let counts = rig.metrics.delivery.snapshot();
    assert_eq!((counts.attempts, counts.acked, counts.retry, counts.dead), (1, 1, 0, 0));
}

#[tokio::test]
async fn configured_headers_and_credentials_of_the_url_are_sent() {
    let (mut rig, sink) = (Rig::start(), Sink::answering(200).await);
    let url = format!("http://u:p%40@{}/in", sink.addr);
    let headers = vec![("X-Event".to_owned(), "mine".to_owned()), ("X-Empty".to_owned(), String::new())];
    let mut target = http(&url);
    target.transport = Transport::Http(HttpDelivery { headers, signing: None });
    rig.push(open(), 20, vec![target]).await;
    rig.publish(&url, Message { headers: &[("X-Event", "theirs")], ..Message::default() }).await;
    let seen = &sink.got(1).await[0];
    rig.stop().await;
    assert_eq!((seen.header("x-event"), seen.header("x-empty")), (Some("mine"), Some("")));
    assert_eq!(seen.header("authorization"), Some("Basic dTpwQA=="));
    assert_eq!(seen.header("content-length"), Some("0"));
    assert!(seen.header("user-agent").unwrap().starts_with("hookaido/"));
}

#[tokio::test]
async fn requests_are_signed_over_a_configured_header() {
    let (mut rig, sink) = (Rig::start(), Sink::answering(200).await);
    let url = sink.url("/in/p%20q?x=1");
    let signing = Signing {
        secret: SigningSecret::Single(SecretRef::Raw("k1".into())),
        signature_header: "X-Hookaido-Signature".to_owned(),
        timestamp_header: "X-Hookaido-Timestamp".to_owned(),
    };
    let headers = vec![("X-Hookaido-Signature".to_owned(), "mine".to_owned())];
    let mut target = http(&url);
    target.transport = Transport::Http(HttpDelivery { headers, signing: Some(signing.clone()) });
    rig.push(open(), 20, vec![target]).await;
    rig.publish(&url, Message { body: "hello", ..Message::default() }).await;
    let seen = &sink.got(1).await[0];
    rig.stop().await;
    let at = hookaido_model::UnixMillis(seen.header("x-hookaido-timestamp").unwrap().parse::<i64>().unwrap() * 1000);
    let signer = hookaido_auth::Signer::build(&signing, &hookaido_auth::FixedSecrets::default()).unwrap();
    let want = signer.sign("POST", "/in/p%20q", b"hello", at).unwrap();
    assert_eq!(seen.header("x-hookaido-signature"), want.signature.1.to_str().ok());
    assert_eq!(seen.headers.get_all("x-hookaido-signature").iter().count(), 1);
}

#[tokio::test]
async fn without_a_valid_signing_secret_nothing_is_sent_and_it_is_tried_again() {
    let (mut rig, sink) = (Rig::start(), Sink::answering(200).await);
    let url = sink.url("/in");
    let version = hookaido_model::config::SecretVersion {
        id: "past".into(),
        value: SecretRef::Raw("k".into()),
        valid_from: None,
        valid_until: Some(hookaido_model::UnixMillis(1)),
    };
    let secret =
        SigningSecret::Versions { versions: vec![version], pools: Default::default(), selection: Default::default() };
    let signing = Signing { secret, signature_header: "X-S".to_owned(), timestamp_header: "X-T".to_owned() };
    let mut target = http(&url);
    target.retry.max = 0;
    target.transport = Transport::Http(HttpDelivery { headers: vec![], signing: Some(signing) });
    let second = sink.url("/ok");
    rig.push(open(), 1, vec![target, http(&second)]).await;
    rig.publish_to("/hooks/a", &[&url, &second], Message::default()).await;
    sink.got(1).await;
    rig.stop().await;
    let attempts = rig.attempts().await;
    let failed = attempts.iter().find(|a| *a.lane.target == *url).unwrap();
    assert_eq!((failed.status_code, failed.dead_reason.as_ref().unwrap().as_str()), (None, "max_retries"));
    assert!(failed.error.as_deref().unwrap().contains("no signing secret is valid"));
    assert_eq!(sink.seen().len(), 1);
}

#[tokio::test]
async fn connections_are_used_again_also_after_a_body() {
    let sink = Sink::start(|_, _| Answer { body: 60_000, ..status(200) }).await;
    let mut rig = Rig::start();
    let url = sink.url("/in");
    rig.push(open(), 1, vec![http(&url)]).await;
    for n in 1..=10 {
        rig.publish(&url, Message::default()).await;
        sink.got(n).await;
    }
    rig.stop().await;
    assert_eq!(sink.connections(), 1);
    assert_eq!(rig.attempts().await.len(), 10);
}

#[tokio::test]
async fn with_a_concurrency_of_one_messages_go_out_one_by_one_in_order() {
    let sink = Sink::answering(200).await;
    let mut rig = Rig::start();
    let url = sink.url("/in");
    for n in 0..200 {
        rig.publish(&url, Message { body: &format!("n{n}"), ..Message::default() }).await;
    }
    rig.push(open(), 1, vec![http(&url)]).await;
    let seen = sink.got(200).await;
    rig.stop().await;
    let bodies: Vec<_> = seen.iter().map(|s| String::from_utf8(s.body.to_vec()).unwrap()).collect();
    assert_eq!(bodies, (0..200).map(|n| format!("n{n}")).collect::<Vec<_>>());
    assert_eq!(sink.most_at_a_time(), 1);
}

#[tokio::test]
async fn the_concurrency_of_a_route_is_used_and_not_exceeded() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let sink = Sink::start(move |_, _| Answer { gate: Some(Arc::clone(&held)), ..status(200) }).await;
    let mut rig = Rig::start();
    let url = sink.url("/in");
    rig.push(open(), 7, vec![http(&url)]).await;
    for _ in 0..50 {
        rig.publish(&url, Message::default()).await;
    }
    sink.got(7).await;
    gate.add_permits(50);
    sink.got(50).await;
    rig.stop().await;
    assert_eq!(sink.most_at_a_time(), 7);
    assert!(rig.messages().await.iter().all(|m| m.state == State::Delivered && m.attempt == 1));
}

#[tokio::test]
async fn an_endless_answer_costs_its_connection_and_not_the_delivery() {
    let sink = Sink::start(|_, _| Answer { body: 1 << 20, ..status(200) }).await;
    let mut rig = Rig::start();
    let url = sink.url("/in");
    rig.push(open(), 1, vec![http(&url)]).await;
    rig.publish(&url, Message::default()).await;
    rig.publish(&url, Message::default()).await;
    sink.got(2).await;
    rig.stop().await;
    assert_eq!(sink.connections(), 2);
    assert!(rig.attempts().await.iter().all(|a| a.outcome == AttemptOutcome::Acked));
}

#[tokio::test]
async fn no_answer_within_the_timeout_is_an_error_without_a_status() {
    let gate = Arc::new(Semaphore::new(0));
    let sink = Sink::start(move |_, n| Answer { gate: (n == 0).then(|| Arc::clone(&gate)), ..status(200) }).await;
    let mut rig = Rig::start();
    let url = sink.url("/in");
    let mut target = http(&url);
    target.timeout = Duration::from_millis(100);
    rig.push(open(), 2, vec![target]).await;
    rig.publish(&url, Message::default()).await;
    let seen = sink.got(2).await;
    rig.stop().await;
    assert!(seen[1].at - seen[0].at >= Duration::from_millis(100));
    let attempts = rig.attempts().await;
    assert_eq!((attempts[0].status_code, attempts[0].outcome), (None, AttemptOutcome::Retry));
    assert_eq!(attempts[0].error.as_deref(), Some("no answer within 100ms"));
    assert_eq!((attempts[1].status_code, attempts[1].outcome), (Some(200), AttemptOutcome::Acked));
}
