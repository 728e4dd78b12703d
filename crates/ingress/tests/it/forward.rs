//! `auth forward`: another server says who may send.

use std::time::Duration;

use hookaido_model::config::{ForwardAuth, IngressAuth, Route};
use hookaido_telemetry::IngressCounts;

use crate::support::asked::URL;
use crate::support::*;

fn asking(path: &str, copy_headers: &[&str], body_limit: Option<u64>) -> Route {
    let auth = ForwardAuth {
        url: URL.into(),
        timeout: Duration::from_secs(2),
        copy_headers: copy_headers.iter().map(|name| (*name).to_owned()).collect(),
        body_limit,
    };
    Route { auth: IngressAuth::Forward(auth), ..route(path) }
}

#[tokio::test]
async fn the_question_repeats_the_request_and_names_the_path() {
    let world = World::new();
    let table = world.table(&[asking("/a", &[], None)]).await;
    world.asked.say(204, &[]);
    let sent = [
        ("Authorization", "Bearer z"),
        ("X-Hookaido-Original-Path", "/forged"),
        ("Connection", "X-Hop"),
        ("X-Hop", "1"),
        ("X-A", "1"),
    ];
    assert_eq!(status(&table, post("/a/x//y?q=1", &sent, "hello")).await, 202);
    let question = &world.asked.questions()[0];
    let value = |name: &str| question.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!((question.method.as_str(), &*question.body), ("POST", b"hello".as_slice()));
    assert_eq!(value("x-hookaido-original-path"), Some("/a/x/y"));
    assert_eq!(value("x-hookaido-original-method"), Some("POST"));
    assert_eq!((value("authorization"), value("x-a")), (Some("Bearer z"), Some("1")));
    assert_eq!((value("host"), value("connection"), value("x-hop"), value("content-length")), (None, None, None, None));
    assert!(!world.stored("/a").await[0].headers.contains_key("Authorization"));
}

#[tokio::test(start_paused = true)]
async fn only_a_positive_answer_opens_the_way() {
    let world = World::new();
    let table = world.table(&[asking("/a", &[], None)]).await;
    for (answer, want, code) in [
        (200, 202, "queued"),
        (299, 202, "queued"),
        (401, 401, "unauthorized"),
        (403, 403, "forbidden"),
        (302, 503, "auth_unavailable"),
        (404, 503, "auth_unavailable"),
        (429, 503, "auth_unavailable"),
        (500, 503, "auth_unavailable"),
    ] {
        world.asked.say(answer, &[("Location", URL), ("WWW-Authenticate", "Bearer")]);
        let response = send(&table, post("/a", &[], "hi")).await;
        assert_eq!(response.status().as_u16(), want, "{answer}");
        assert!(text(&response).contains(&format!("\"{code}\"")), "{answer}: {}", text(&response));
        let challenge = header(&response, "www-authenticate");
        assert_eq!(challenge, (answer == 401).then_some("Bearer"), "{answer}");
    }
    world.asked.break_off();
    assert_eq!(status(&table, post("/a", &[], "hi")).await, 503);
    world.asked.hang();
    let before = tokio::time::Instant::now();
    assert_eq!(status(&table, post("/a", &[], "hi")).await, 503);
    assert_eq!(before.elapsed().as_secs(), 2);
    assert_eq!(status(&table, post("/a/%0A", &[], "hi")).await, 503, "no header can carry the path");
    assert_eq!(world.asked.questions().len(), 10);
    assert_eq!(world.stored("/a").await.len(), 2);
    let IngressCounts { accepted, rejected, .. } = world.metrics.ingress.snapshot();
    assert_eq!((accepted, rejected), (2, 9));
}

#[tokio::test]
async fn listed_headers_are_never_the_senders() {
    let world = World::new();
    let mut route = asking("/a", &["X-User-Id", "X-Org"], None);
    route.max_headers = 60;
    let table = world.table(&[route]).await;
    let forged = || post("/a", &[("X-User-ID", "forged"), ("x-org", "forged"), ("Connection", "X-Org")], "hi");
    world.asked.say(200, &[("X-Org", "7"), ("X-Org", "8"), ("X-Other", "no")]);
    assert_eq!(status(&table, forged()).await, 202);
    let headers = &world.stored("/a").await[0].headers;
    assert_eq!(headers.get("X-Org").map(String::as_str), Some("7,8"));
    assert!(!headers.contains_key("X-User-Id") && !headers.contains_key("X-Other"), "{headers:?}");
    world.asked.say(200, &[("X-Org", &"7".repeat(60))]);
    assert_eq!(status(&table, forged()).await, 413, "copied headers count towards the limit");
}

#[tokio::test]
async fn the_body_is_measured_first_and_passed_on_as_far_as_the_route_says() {
    let world = World::new();
    let limited = Route { max_body: 5, ..asking("/a", &[], Some(4)) };
    let table = world.table(&[limited]).await;
    assert_eq!(status(&table, post("/a", &[], "longer")).await, 413);
    assert!(world.asked.questions().is_empty());
    for (body, seen) in [("hello", "hell"), ("hi", "hi")] {
        world.asked.say(200, &[]);
        assert_eq!(status(&table, post("/a", &[], body)).await, 202);
        assert_eq!(&*world.asked.questions()[0].body, seen.as_bytes());
        assert_eq!(world.stored("/a").await[0].body, body.as_bytes());
    }
}

#[tokio::test]
async fn behind_trusted_proxies_the_server_learns_the_true_client_only() {
    let mut world = World::new();
    let forged = [("X-Forwarded-For", "6.6.6.6, 10.0.0.1"), ("Forwarded", "for=6.6.6.6")];
    let asked_for = |world: &World| {
        let question = world.asked.questions().remove(0);
        ["x-forwarded-for", "forwarded"].map(|name| {
            question.headers.get_all(name).iter().map(|v| v.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        })
    };
    let table = world.table(&[asking("/a", &[], None)]).await;
    world.asked.say(204, &[]);
    assert_eq!(status(&table, post("/a", &forged, "")).await, 202);
    assert_eq!(asked_for(&world), [["6.6.6.6, 10.0.0.1"], ["for=6.6.6.6"]], "nothing is known of proxies");

    world.front.trusted_proxies = vec![("10.0.0.0".parse().unwrap(), 8)];
    let table = world.table(&[asking("/a", &[], None)]).await;
    world.asked.say(204, &[]);
    let response = send_from(&table, post("/a", &forged, ""), "198.51.100.7").await;
    assert_eq!(response.status().as_u16(), 202);
    assert_eq!(asked_for(&world), [vec!["198.51.100.7".to_owned()], vec![]]);
}
