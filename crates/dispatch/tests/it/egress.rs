use std::net::IpAddr;
use std::sync::Arc;

use hookaido_model::AttemptOutcome;
use hookaido_model::config::{Egress, EgressRule};

use crate::rig::{Message, Names, Options, Rig, http, open};
use crate::sink::Sink;

/// Delivers once to `url` and gives the dead reason, the error and whether the sink saw it. Names resolve to `addresses`.
async fn verdict(egress: Egress, addresses: &[&str], url: &str, sink: &Sink) -> (Option<String>, Option<String>, bool) {
    let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
    let mut rig = Rig::with(Options { resolver: Arc::new(Names(addresses)), ..Options::default() });
    let mut target = http(url);
    target.retry.max = 0;
    let before = sink.seen().len();
    rig.push(egress, 20, vec![target]).await;
    rig.publish(url, Message::default()).await;
    rig.tried(1).await;
    rig.stop().await;
    let attempt = rig.attempts().await.remove(0);
    if attempt.dead_reason.as_ref().is_some_and(|r| r.as_str() == "policy_denied") {
        assert_eq!((attempt.status_code, attempt.outcome), (None, AttemptOutcome::Dead));
    }
    let reason = attempt.dead_reason.map(|r| r.as_str().to_owned());
    (reason, attempt.error, sink.seen().len() > before)
}

fn host(name: &str) -> EgressRule {
    EgressRule::Host { name: name.to_owned(), subdomains: false }
}

#[tokio::test]
async fn what_the_policy_denies_is_dead_at_once_and_never_contacted() {
    let sink = Sink::answering(200).await;
    let port = sink.addr.port();
    let protected = || Egress { dns_rebind_protection: true, ..open() };
    let cases: Vec<(Egress, &[&str], String)> = vec![
        (Egress { https_only: true, ..open() }, &[], sink.url("/in")),
        (Egress { deny: vec![host("a.example")], ..open() }, &["127.0.0.1"], format!("http://A.example:{port}/")),
        (Egress { deny: vec![EgressRule::Cidr("127.0.0.0".parse().unwrap(), 8)], ..open() }, &[], sink.url("/")),
        (Egress { allow: vec![host("b.example")], ..open() }, &["127.0.0.1"], format!("http://a.example:{port}/")),
        (protected(), &[], sink.url("/in")),
        (protected(), &["127.0.0.1"], format!("http://rebound.example:{port}/")),
        (protected(), &["1.1.1.1", "127.0.0.1"], format!("http://mixed.example:{port}/")),
        (protected(), &[], format!("http://[::ffff:127.0.0.1]:{port}/")),
        (protected(), &[], format!("http://[::1]:{port}/")),
        // odd spellings are names to us; whatever resolves them says what they mean
        (protected(), &["127.0.0.1"], format!("http://2130706433:{port}/")),
        (protected(), &["127.0.0.1"], format!("http://0x7f.1:{port}/")),
        (protected(), &["127.0.0.1"], format!("http://0177.0.0.1:{port}/")),
        (protected(), &["127.0.0.1"], format!("http://localhost.:{port}/")),
        (Egress { allow: vec![host("*")], ..protected() }, &[], sink.url("/in")),
    ];
    for (egress, addresses, url) in cases {
        let (reason, error, contacted) = verdict(egress, addresses, &url, &sink).await;
        assert_eq!((reason.as_deref(), contacted), (Some("policy_denied"), false), "{url}: {error:?}");
        assert!(error.unwrap().starts_with("egress policy: "), "{url}");
    }
}

#[tokio::test]
async fn the_checked_address_is_the_one_that_is_contacted() {
    let sink = Sink::answering(200).await;
    let url = format!("http://Any.Example:{}/in", sink.addr.port());
    let egress = Egress { allow: vec![host("any.example")], ..open() };
    assert_eq!(verdict(egress, &["127.0.0.1"], &url, &sink).await, (None, None, true));
    assert_eq!(sink.seen()[0].header("host").unwrap(), format!("any.example:{}", sink.addr.port()));
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    let sink = Sink::answering(200).await;
    let url = format!("http://two.example:{}/in", sink.addr.port());
    assert_eq!(verdict(open(), &["127.0.0.2", "127.0.0.1"], &url, &sink).await, (None, None, true));
}

#[tokio::test]
async fn an_unknown_name_is_tried_again() {
    let sink = Sink::answering(200).await;
    let (reason, error, _) = verdict(open(), &[], "http://nowhere.invalid/", &sink).await;
    assert_eq!(reason.as_deref(), Some("max_retries"));
    assert_eq!(error.as_deref(), Some("cannot resolve `nowhere.invalid`: no such host"));
}

#[tokio::test]
async fn the_systems_resolver_reads_odd_spellings_and_they_are_checked() {
    let sink = Sink::answering(200).await;
    for spelling in ["localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1"] {
        let mut rig = Rig::start();
        let url = format!("http://{spelling}:{}/", sink.addr.port());
        let mut target = http(&url);
        target.retry.max = 0;
        rig.push(Egress { dns_rebind_protection: true, ..open() }, 20, vec![target]).await;
        rig.publish(&url, Message::default()).await;
        rig.tried(1).await;
        rig.stop().await;
        let attempt = rig.attempts().await.remove(0);
        assert_ne!(attempt.outcome, AttemptOutcome::Acked, "{spelling}");
    }
    assert!(sink.seen().is_empty());
}
