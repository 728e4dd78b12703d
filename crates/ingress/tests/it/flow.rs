//! From a request to a stored message.

use hookaido_ingress::{BuildError, CallError};
use hookaido_model::config::{Channel, Match};
use hookaido_telemetry::IngressCounts;

use crate::support::*;

#[tokio::test]
async fn a_webhook_is_stored_before_it_is_acknowledged() {
    let world = World::new();
    let table = world.table(&[route("/hooks/a")]).await;
    let headers =
        [("Content-Type", "text/plain"), ("X-A", "b"), ("Authorization", "Bearer z"), ("Connection", "close")];
    let response = send(&table, post("/hooks//a/./x?y=1", &headers, "hello")).await;
    assert_eq!(response.status().as_u16(), 202);
    assert_eq!(header(&response, "content-type"), Some("application/json"));
    assert_eq!(text(&response), "{\"status\":\"queued\"}\n");

    let stored = world.stored("/hooks/a").await;
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].body.as_slice(), stored[0].received_at), (&b"hello"[..], world.now()));
    let want = [("Content-Type", "text/plain"), ("X-A", "b"), ("Content-Length", "5")];
    assert_eq!(stored[0].headers, want.map(|(n, v)| (n.to_owned(), v.to_owned())).into());
    let want = [("path", "/hooks/a/x"), ("remote_addr", "192.0.2.7:4711")];
    assert_eq!(stored[0].trace, want.map(|(n, v)| (n.to_owned(), v.to_owned())).into());
}

#[tokio::test]
async fn the_first_route_that_matches_takes_the_request() {
    let world = World::new();
    let put = Match { methods: vec!["PUT".to_owned()], ..Match::default() };
    let table = world.table(&[hookaido_model::config::Route { matches: put, ..route("/a") }, route("/")]).await;
    assert_eq!(status(&table, request("PUT", "/a/x", &[], "1")).await, 202);
    assert_eq!(status(&table, post("/a/x", &[], "2")).await, 202);
    assert_eq!(status(&table, post("/ab", &[], "3")).await, 202);
    let bodies =
        |stored: Vec<Stored>| stored.into_iter().map(|s| String::from_utf8(s.body).unwrap()).collect::<Vec<_>>();
    assert_eq!(bodies(world.stored("/a").await), ["1"]);
    assert_eq!(bodies(world.stored("/").await), ["2", "3"]);
    let response = send(&table, request("DELETE", "/a", &[], "")).await;
    assert_eq!((response.status().as_u16(), header(&response, "allow")), (405, Some("PUT, POST")));
}

#[tokio::test]
async fn outbound_and_internal_routes_are_not_served() {
    let world = World::new();
    let internal = hookaido_model::config::Route { channel: Channel::Internal, ..route("/job") };
    let outbound = hookaido_model::config::Route { channel: Channel::Outbound, ..fan_out("/out", &["http://x/"]) };
    let inbound = hookaido_model::config::Route { channel: Channel::Inbound, ..route("/in") };
    let table = world.table(&[internal, outbound, inbound]).await;
    assert_eq!(status(&table, post("/job", &[], "1")).await, 404);
    assert_eq!(status(&table, post("/out", &[], "1")).await, 404);
    assert_eq!(status(&table, request("GET", "/job", &[], "")).await, 404);
    assert_eq!(status(&table, post("/in", &[], "1")).await, 202);
    assert!(world.stored("/job").await.is_empty());
}

#[tokio::test]
async fn every_target_of_a_route_gets_the_message() {
    let world = World::new();
    let table = world.table(&[fan_out("/a", &["http://one/", "http://two/"])]).await;
    assert_eq!(status(&table, post("/a", &[], "m")).await, 202);
    assert_eq!(world.stored_for("/a", "http://one/").await.len(), 1);
    assert_eq!(world.stored_for("/a", "http://two/").await.len(), 1);
    let IngressCounts { accepted, enqueued, .. } = world.metrics.ingress.snapshot();
    assert_eq!((accepted, enqueued), (1, 2));
}

#[tokio::test]
async fn a_route_without_lane_is_not_built() {
    let world = World::new();
    let routes = [route("/a")];
    let ingress = world.ingress();
    let parts = hookaido_ingress::Parts {
        ingress: &ingress,
        adaptive_backpressure: &world.adaptive_backpressure,
        routes: &routes,
        lane: &|_, _| None,
        secrets: &hookaido_auth::FixedSecrets::default(),
        pools: &world.pools,
        forward: &|_| Err(CallError(String::new())),
        queue: &world.queue,
        metrics: &world.metrics,
        state: &world.state,
    };
    let error = hookaido_ingress::Table::build(&parts).unwrap_err();
    assert!(matches!(error, BuildError::Lane { .. }), "{error}");
}

#[tokio::test]
async fn a_closed_queue_is_told_with_503() {
    let world = World::new();
    let table = world.table(&[route("/a")]).await;
    world.queue.close().await.unwrap();
    let response = send(&table, post("/a", &[], "m")).await;
    assert_eq!(response.status().as_u16(), 503);
    assert!(header(&response, "retry-after").is_some());
    assert!(text(&response).contains("\"store_unavailable\""), "{}", text(&response));
}
