//! Sizes, rates, depth.

use std::sync::Arc;
use std::time::Duration;

use hookaido_model::config::{AdaptiveBackpressure, DropPolicy, IngressAuth, QueueLimits, RateLimit, Route};
use tokio_util::sync::CancellationToken;

use crate::support::*;

fn slow(burst: u32) -> Option<RateLimit> {
    Some(RateLimit { rps: 0.01, burst })
}

#[tokio::test]
async fn bodies_over_the_limit_of_the_route_are_refused() {
    let world = World::new();
    let table = world.table(&[Route { max_body: 4, ..route("/a") }]).await;
    assert_eq!(status(&table, post("/a", &[], "0123")).await, 202);
    let response = send(&table, post("/a", &[], "01234")).await;
    assert_eq!(response.status().as_u16(), 413);
    assert!(text(&response).contains("\"body_too_large\""));
    assert_eq!(world.stored("/a").await.len(), 1);
}

#[tokio::test]
async fn kept_headers_over_the_limit_are_refused() {
    let world = World::new();
    let table = world.table(&[Route { max_headers: 100, ..route("/a") }]).await;
    // 6 for `X-Fill`, 15 for the content length.
    assert_eq!(status(&table, post("/a", &[("X-Fill", &"v".repeat(79))], "hi")).await, 202);
    assert_eq!(status(&table, post("/a", &[("X-Fill", &"v".repeat(80))], "hi")).await, 413);
    assert_eq!(status(&table, post("/a", &[("Cookie", &"v".repeat(200))], "hi")).await, 202);
}

#[tokio::test]
async fn what_the_head_decides_comes_before_the_size_of_the_body() {
    let world = World::new();
    let basic = IngressAuth::Basic(vec![("u".to_owned(), "p".to_owned())]);
    let table = world.table(&[Route { max_body: 4, auth: basic, ..route("/b") }]).await;
    let long = "0123456789";
    assert_eq!(status(&table, post("/no", &[], long)).await, 404);
    assert_eq!(status(&table, request("PUT", "/b", &[], long)).await, 405);
    assert_eq!(status(&table, post("/b", &[], long)).await, 401);
    assert_eq!(status(&table, post("/b", &[("Authorization", "Basic dTpw")], long)).await, 413);
}

#[tokio::test]
async fn only_routed_requests_cost_a_token_and_a_failed_authentication_does() {
    let mut world = World::new();
    world.rate_limit = slow(2);
    let basic = IngressAuth::Basic(vec![("u".to_owned(), "p".to_owned())]);
    let table = world.table(&[Route { auth: basic, ..route("/a") }]).await;
    for _ in 0..4 {
        assert_eq!(status(&table, post("/x", &[], "")).await, 404);
        assert_eq!(status(&table, request("GET", "/a", &[], "")).await, 405);
    }
    assert_eq!(status(&table, post("/a", &[], "")).await, 401);
    assert_eq!(status(&table, post("/a", &[("Authorization", "Basic dTpw")], "")).await, 202);
    let response = send(&table, post("/a", &[], "")).await;
    assert_eq!(response.status().as_u16(), 429);
    let seconds: u64 = header(&response, "retry-after").unwrap().parse().unwrap();
    assert!((1..=100).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn the_limit_of_a_route_replaces_the_overall_one() {
    let mut world = World::new();
    world.rate_limit = slow(1);
    let table = world.table(&[Route { rate_limit: slow(3), ..route("/own") }, route("/a"), route("/b")]).await;
    for expected in [202, 202, 202, 429] {
        assert_eq!(status(&table, post("/own", &[], "")).await, expected);
    }
    assert_eq!(status(&table, post("/a", &[], "")).await, 202);
    assert_eq!(status(&table, post("/b", &[], "")).await, 429);
}

#[tokio::test]
async fn balances_outlive_a_reload_that_does_not_change_them() {
    let world = World::new();
    let limited = |burst| [Route { rate_limit: slow(burst), ..route("/a") }];
    let table = world.table(&limited(1)).await;
    assert_eq!(status(&table, post("/a", &[], "")).await, 202);
    let reloaded = world.table(&[route("/new"), limited(1)[0].clone()]).await;
    drop(table);
    assert_eq!(status(&reloaded, post("/a", &[], "")).await, 429);
    let changed = world.table(&limited(2)).await;
    assert_eq!(status(&changed, post("/a", &[], "")).await, 202);
}

#[tokio::test]
async fn each_client_has_a_limit_beside_the_one_of_all() {
    let mut world = World::new();
    (world.rate_limit, world.client_limit) = (slow(4), slow(2));
    let own = Route { client_limit: slow(1), ..route("/own") };
    let table = world.table(&[own.clone(), route("/a"), route("/b")]).await;
    let from = async |table: &Arc<_>, path: &str, address: &str| {
        send_from(table, post(path, &[], ""), address).await.status().as_u16()
    };
    // Over all routes two for each client, and what is too much costs the others nothing.
    for (path, want) in [("/a", 202), ("/b", 202), ("/a", 429), ("/a", 429), ("/b", 429)] {
        assert_eq!(from(&table, path, "2001:db8::1").await, want, "{path}");
    }
    assert_eq!(from(&table, "/a", "2001:db8::2").await, 429, "the same /64");
    assert_eq!(from(&table, "/a", "2001:db8:0:1::1").await, 202);
    // The limit of a route replaces the one over all routes, for each client too.
    assert_eq!(from(&table, "/own", "2001:db8::1").await, 202);
    assert_eq!(from(&table, "/own", "2001:db8::1").await, 429);
    assert_eq!(from(&table, "/own", "198.51.100.7").await, 429, "that of all is used up");
    let response = send_from(&table, post("/own", &[], ""), "2001:db8::1").await;
    let seconds: u64 = header(&response, "retry-after").unwrap().parse().unwrap();
    assert!((1..=100).contains(&seconds), "{seconds}");
    assert_eq!(world.state.limited_clients(), 4);

    // A reload keeps balances whose settings are the same.
    world.rate_limit = None;
    let reloaded = world.table(&[route("/new"), Route { client_limit: slow(2), ..own }, route("/a")]).await;
    drop(table);
    assert_eq!(from(&reloaded, "/a", "2001:db8::1").await, 429);
    assert_eq!(from(&reloaded, "/own", "2001:db8::1").await, 202, "another limit begins anew");
    world.state.trim_clients();
    assert!(world.state.limited_clients() > 0, "nobody's balance is full yet");
    drop(reloaded);
    assert_eq!(world.state.limited_clients(), 0);
}

#[tokio::test]
async fn a_full_queue_is_told_with_503_and_fan_out_is_all_or_nothing() {
    let world = World::with_limits(QueueLimits { max_depth: Some(2), drop_policy: DropPolicy::Reject });
    let table = world.table(&[fan_out("/three", &["http://1/", "http://2/", "http://3/"]), route("/a")]).await;
    let response = send(&table, post("/three", &[], "m")).await;
    assert_eq!((response.status().as_u16(), header(&response, "retry-after").is_some()), (503, true));
    assert!(text(&response).contains("\"queue_full\""));
    for target in ["http://1/", "http://2/", "http://3/"] {
        assert!(world.stored_for("/three", target).await.is_empty());
    }
    for expected in [202, 202, 503] {
        assert_eq!(status(&table, post("/a", &[], "")).await, expected);
    }
    let counts = world.metrics.ingress.snapshot();
    assert_eq!((counts.accepted, counts.enqueued, counts.rejected), (2, 2, 2));
    assert!(counts.rejected_by_reason.contains(&("queue_full", 2)));
}

#[tokio::test]
async fn the_oldest_message_makes_room_where_the_configuration_says_so() {
    let world = World::with_limits(QueueLimits { max_depth: Some(2), drop_policy: DropPolicy::DropOldest });
    let table = world.table(&[route("/a"), route("/b")]).await;
    for (path, body) in [("/a", "1"), ("/b", "2"), ("/b", "3")] {
        assert_eq!(status(&table, post(path, &[], body)).await, 202);
    }
    assert!(world.stored("/a").await.is_empty());
    assert_eq!(world.stored("/b").await.len(), 2);
    assert_eq!(status(&table, post("/a", &[], "4")).await, 503, "leased messages never make room");
}

#[tokio::test]
async fn a_queue_that_falls_behind_refuses_more() {
    let mut world = World::new();
    world.adaptive_backpressure = AdaptiveBackpressure { enabled: true, ..pressure_off() };
    let table = world.table(&[route("/a")]).await;
    for _ in 0..3 {
        assert_eq!(status(&table, post("/a", &[], "")).await, 202);
        world.state.observe(&world.queue.stats().await.unwrap());
    }
    let response = send(&table, post("/a", &[], "")).await;
    assert_eq!((response.status().as_u16(), header(&response, "retry-after")), (503, Some("5")));
    let counts = world.metrics.ingress.snapshot();
    assert_eq!((counts.pressure_applied, counts.accepted), (1, 3));
    world.adaptive_backpressure = pressure_off();
    assert_eq!(status(&world.table(&[route("/a")]).await, post("/a", &[], "")).await, 202);
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_looked_at_while_a_table_asks_for_it() {
    let mut world = World::new();
    world.adaptive_backpressure = AdaptiveBackpressure { enabled: true, ..pressure_off() };
    let table = world.table(&[route("/a")]).await;
    let shutdown = CancellationToken::new();
    let watch = world.tasks.spawn(Arc::clone(&world.state).watch_queue(world.queue.clone(), shutdown.clone()));
    for _ in 0..3 {
        assert_eq!(status(&table, post("/a", &[], "")).await, 202);
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(status(&table, post("/a", &[], "")).await, 503);
    assert_eq!(world.stored("/a").await.len(), 3);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(status(&table, post("/a", &[], "")).await, 202, "nothing is queued any more");
    shutdown.cancel();
    watch.await.unwrap();
}
