use hookaido_model::config::{Egress, EgressRule, HttpDelivery, Signing, SigningSecret, Transport};
use hookaido_model::{Attempt, SecretRef};

use crate::rig::{Message, Rig, http, open};
use crate::sink::{Answer, Seen, Sink, status};

fn following() -> Egress {
    Egress { redirects: true, ..open() }
}

fn to(code: u16, location: String) -> Answer {
    Answer { headers: vec![("location", location)], ..status(code) }
}

/// Delivers once, with a sender's header, credentials, and a configured header; gives what came of it.
async fn deliver(egress: Egress, url: &str) -> Attempt {
    let mut rig = Rig::start();
    let mut target = http(url);
    target.retry.max = 0;
    let signing = Signing {
        secret: SigningSecret::Single(SecretRef::Raw("k1".into())),
        signature_header: "X-Sig".to_owned(),
        timestamp_header: "X-At".to_owned(),
    };
    target.transport = Transport::Http(HttpDelivery {
        headers: vec![("X-Key".to_owned(), "secret".to_owned())],
        signing: Some(signing),
    });
    rig.push(egress, 20, vec![target]).await;
    let headers = [("X-K", "v"), ("Authorization", "Bearer a"), ("Cookie", "b=c")];
    rig.publish(url, Message { body: "hello", headers: &headers, ..Message::default() }).await;
    rig.tried(1).await;
    rig.stop().await;
    rig.attempts().await.remove(0)
}

fn secrets(seen: &Seen) -> Vec<&str> {
    ["authorization", "cookie", "x-key", "x-sig", "x-at"]
        .into_iter()
        .filter(|name| seen.header(name).is_some())
        .collect()
}

#[tokio::test]
async fn only_307_and_308_are_followed_with_body_and_headers() {
    for (code, followed) in [(301, false), (302, false), (303, false), (307, true), (308, true)] {
        let sink =
            Sink::start(move |seen, _| if seen.path == "/in" { to(code, "/moved".to_owned()) } else { status(200) })
                .await;
        let attempt = deliver(following(), &sink.url("/in")).await;
        let seen = sink.seen();
        let last = seen.last().unwrap();
        assert_eq!((last.method.as_str(), &*last.body, last.header("x-k")), ("POST", &b"hello"[..], Some("v")));
        if followed {
            assert_eq!((seen.len(), last.path.as_str(), attempt.status_code), (2, "/moved", Some(200)));
            assert_eq!(secrets(last).len(), 5, "the same origin sees what the first request saw");
            assert_ne!(last.header("x-sig"), seen[0].header("x-sig"), "signed for the new path");
        } else {
            assert_eq!((seen.len(), attempt.status_code), (1, Some(code)));
            assert_eq!(attempt.dead_reason.unwrap().as_str(), "no_retry");
        }
    }
}

#[tokio::test]
async fn without_the_policy_nothing_is_followed() {
    let sink = Sink::start(|_, _| to(307, "/moved".to_owned())).await;
    let attempt = deliver(open(), &sink.url("/in")).await;
    assert_eq!((sink.seen().len(), attempt.status_code), (1, Some(307)));
}

#[tokio::test]
async fn another_origin_gets_the_message_and_no_secrets() {
    let other = Sink::answering(200).await;
    let location = other.url("/moved");
    let sink = Sink::start(move |_, _| to(307, location.clone())).await;
    let attempt = deliver(following(), &sink.url("/in")).await;
    assert_eq!(attempt.status_code, Some(200));
    let seen = &other.seen()[0];
    assert_eq!((&*seen.body, seen.header("x-k")), (&b"hello"[..], Some("v")));
    assert_eq!(secrets(seen), Vec::<&str>::new());
    assert_eq!(secrets(&sink.seen()[0]).len(), 5);
}

#[tokio::test]
async fn every_hop_is_checked() {
    let name = |name: &str| EgressRule::Host { name: name.to_owned(), subdomains: false };
    for (location, deny) in [
        ("http://localhost:1/", name("localhost")),
        ("http://10.0.0.1/", EgressRule::Cidr("10.0.0.0".parse().unwrap(), 8)),
        ("ftp://x/", name("unused")),
    ] {
        let sink = Sink::start(move |_, _| to(307, location.to_owned())).await;
        let attempt = deliver(Egress { deny: vec![deny], ..following() }, &sink.url("/in")).await;
        assert_eq!(attempt.dead_reason.unwrap().as_str(), "policy_denied", "{location}");
        assert_eq!((attempt.status_code, sink.seen().len()), (None, 1));
    }
}

#[tokio::test]
async fn a_loop_ends_after_ten_requests_with_its_last_status() {
    let sink = Sink::start(|_, _| to(307, "/in".to_owned())).await;
    let attempt = deliver(following(), &sink.url("/in")).await;
    assert_eq!((sink.seen().len(), attempt.status_code, attempt.error), (10, Some(307), None));
    assert_eq!(attempt.dead_reason.unwrap().as_str(), "no_retry");
}

#[tokio::test]
async fn an_unusable_location_is_an_error() {
    let sink = Sink::start(|_, _| to(307, ":bad".to_owned())).await;
    let attempt = deliver(following(), &sink.url("/in")).await;
    assert_eq!((attempt.status_code, attempt.dead_reason.unwrap().as_str()), (None, "max_retries"));
    assert!(attempt.error.unwrap().starts_with("redirected to an unusable `Location`"));
}
