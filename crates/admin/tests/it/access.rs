//! Tokens, paths, methods, health.

use std::sync::Arc;

use hookaido_model::config::Config;

use crate::support::*;

fn guarded(config: &mut Config) {
    config.admin_api.auth_tokens = vec![token("at"), token("second")];
    config.admin_api.prefix = "/ops".to_owned();
}

#[tokio::test]
async fn token_path_and_method_are_judged_in_this_order() {
    let world = World::with(vec![route("/a")], guarded).await;
    let bearer = [("Authorization", "Bearer second")];
    for (method, path, headers, want) in [
        ("GET", "/ops/healthz", &[][..], 200),
        ("GET", "/ops/healthz?", &[], 200),
        ("GET", "/ops/healthz?x", &[], 401),
        ("HEAD", "/ops/healthz", &[], 401),
        ("HEAD", "/ops/healthz", &bearer, 405),
        ("GET", "/ops/dlq", &[], 401),
        ("GET", "/ops/nothing", &[], 401),
        ("PUT", "/ops/dlq", &[], 401),
        ("GET", "/ops/dlq", &[("Authorization", "Bearer no")], 401),
        ("GET", "/ops/dlq", &bearer, 200),
        ("GET", "/ops//dlq/", &bearer, 200),
        ("GET", "/ops/messages/../%64lq", &bearer, 200),
        ("GET", "/ops/DLQ", &bearer, 404),
        ("GET", "/ops", &bearer, 404),
        ("GET", "/dlq", &bearer, 404),
        ("GET", "/opsx/dlq", &bearer, 404),
        ("PUT", "/ops/dlq", &bearer, 405),
        ("GET", "/ops/messages/publish", &bearer, 405),
        ("PATCH", "/ops/applications/x/endpoints/y", &bearer, 405),
        ("PUT", "/ops/applications/x/endpoints/y", &bearer, 400),
        ("PATCH", "/ops/secrets/x", &bearer, 405),
        ("GET", "/ops/secrets/x", &bearer, 404),
        ("GET", "/ops/applications/-x/endpoints", &bearer, 400),
        ("GET", "/ops/applications/x/endpoints/y/messages/zz", &bearer, 404),
    ] {
        let response = world.send(method, path, headers, "").await;
        assert_eq!(response.status().as_u16(), want, "{method} {path}");
        assert_eq!(response.headers().contains_key("www-authenticate"), want == 401);
        assert_eq!(response.headers().contains_key("allow"), want == 405);
    }
}

#[tokio::test]
async fn probes_hear_of_a_drain() {
    let world = World::with(vec![route("/a")], guarded).await;
    let response = world.send("GET", "/ops/healthz", &[], "").await;
    assert_eq!(response.body().as_bytes().unwrap(), b"ok\n");
    Arc::clone(&world.state).set_draining(true);
    assert_eq!(world.send("GET", "/ops/healthz", &[], "").await.status().as_u16(), 503);
    let bearer = [("Authorization", "Bearer at")];
    let (status, details) = world.call("GET", "/ops/healthz?details=1", &bearer, "").await;
    assert_eq!((status, &details["ok"]), (503, &false.into()));
    world.state.set_draining(false);
    assert_eq!(world.send("GET", "/ops/healthz", &[], "").await.status().as_u16(), 200);
}

#[tokio::test]
async fn bodies_over_the_limit_are_400() {
    let world = World::with(vec![route("/a")], |config| config.max_body = 64).await;
    let long = format!("{{\"ids\":[\"{}\"]}}", "x".repeat(64));
    assert_eq!(world.refused("/messages/cancel", &long).await, (400, "invalid_body".to_owned(), None));
    assert_eq!(world.post("/messages/cancel", r#"{"ids":["x"]}"#).await.0, 200);
}
