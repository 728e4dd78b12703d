//! What may be published, and what is said about it.

use hookaido_model::config::{Config, DropPolicy, QueueLimits, Route, RoutePublish};
use serde_json::json;

use crate::support::*;

const PATH: &str = "/messages/publish";
const SCOPED: &str = "/applications/shop/endpoints/paid/messages/publish";

fn routes() -> Vec<Route> {
    let off = |enabled, direct, managed| RoutePublish { enabled, direct, managed };
    vec![
        Route { max_body: 10, max_headers: 12, ..route("/a") },
        managed("/m", "shop", "paid"),
        Route { publish: off(true, true, false), ..managed("/q", "shop", "q") },
        Route { publish: off(false, true, true), ..route("/off") },
        Route { publish: off(true, false, true), ..route("/indirect") },
        pushed("/two", &["http://x/1", "http://x/2"]),
        pushed("/one", &["http://x/1"]),
    ]
}

fn item(text: &str) -> String {
    format!("{{\"items\":[{{\"id\":\"p\",{text}}}]}}")
}

#[tokio::test]
async fn items_are_checked_one_by_one() {
    let world = World::new(routes()).await;
    let big = "MTIzNDU2Nzg5MDE=";
    for (text, status, code) in [
        (r#""route":"hooks""#, 400, "invalid_body"),
        (r#""route":"""#, 400, "invalid_body"),
        (r#""application":"shop""#, 400, "invalid_body"),
        (r#""application":"-","endpoint_name":"paid""#, 400, "invalid_body"),
        (r#""application":"shop","endpoint_name":"paid""#, 400, "scoped_publish_required"),
        (r#""route":"/m""#, 400, "managed_selector_required"),
        (r#""route":"/zz""#, 400, "route_not_found"),
        (r#""route":"/off","payload_b64":"*""#, 403, "route_publish_disabled"),
        (r#""route":"/indirect""#, 403, "route_publish_disabled"),
        (r#""route":"/two""#, 400, "target_unresolvable"),
        (r#""route":"/two","target":"http://x/3""#, 400, "target_unresolvable"),
        (r#""route":"/a","target":"x","payload_b64":"*""#, 400, "target_unresolvable"),
        (r#""route":"/a","received_at":"now","payload_b64":"*""#, 400, "invalid_received_at"),
        (r#""route":"/a","next_run_at":"2026-13-01T00:00:00Z","payload_b64":"*""#, 400, "invalid_next_run_at"),
        (r#""route":"/a","payload_b64":"*","headers":{"a b":"x"}"#, 400, "invalid_payload_b64"),
        (r#""route":"/a","payload_b64":"aGk""#, 400, "invalid_payload_b64"),
        (r#""route":"/a","payload_b64":" aGk=""#, 400, "invalid_payload_b64"),
        (r#""route":"/a","payload_b64":"_-8=""#, 400, "invalid_payload_b64"),
        (&format!(r#""route":"/a","payload_b64":"{big}""#), 413, "payload_too_large"),
        (r#""route":"/a","headers":{"a b":"x"}"#, 400, "invalid_header"),
        (r#""route":"/a","headers":{"":"x"}"#, 400, "invalid_header"),
        (r#""route":"/a","headers":{"X-A":"a\nb"}"#, 400, "invalid_header"),
        (r#""route":"/a","headers":{"X-A":"1234567890"}"#, 413, "headers_too_large"),
    ] {
        let want = (status, code.to_owned(), Some(0));
        assert_eq!(world.refused(PATH, &item(text)).await, want, "{text}");
    }
    assert!(world.states().await.is_empty());
}

#[tokio::test]
async fn bodies_are_strict() {
    let world = World::new(routes()).await;
    let many = format!("{{\"items\":[{}{{}}]}}", "{},".repeat(1000));
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"items":null}"#,
        r#"{"items":[]}"#,
        r#"{"items":{}}"#,
        r#"{"items":[["p","/a"]]}"#,
        r#"{"items":[null]}"#,
        r#"{"items":[{"id":"p","route":"/a","priority":3}]}"#,
        r#"{"items":[{"id":"p","route":"/a"}],"x":1}"#,
        r#"{"items":[{"id":"p","route":"/a"}]} {}"#,
        r#"{"items":[{"id":"p","id":"q","route":"/a"}]}"#,
        r#"{"items":[{"id":"p","route":"/a"}],"items":[]}"#,
        r#"{"ITEMS":[{"id":"p","route":"/a"}]}"#,
        r#"{"items":[{"Id":"p","route":"/a"}]}"#,
        r#"{"items":[{"id":"p","route":"/a","headers":{"A":5}}]}"#,
        r#"{"items":[{"id":"p","route":"/a","headers":{"A":"1","A":"2"}}]}"#,
        &many,
    ] {
        assert_eq!(world.refused(PATH, body).await, (400, "invalid_body".to_owned(), None), "{body}");
    }
    let (status, answer) = world.post(PATH, "{\"items\":[{\"id\":\"p\",\"route\":\"/a\"}]}\n \n").await;
    assert_eq!((status, answer), (200, json!({ "published": 1, "audit": { "reason": "test" } })));
}

#[tokio::test]
async fn forms_of_all_items_come_before_the_routes_of_any() {
    let world = World::new(routes()).await;
    for (second, want) in [
        (r#"{"id":"b","route":"x"}"#, ("invalid_body", 1)),
        (r#"{"id":"b"}"#, ("invalid_body", 1)),
        ("{}", ("invalid_body", 1)),
        (r#"{"id":" a ","route":"/a"}"#, ("invalid_body", 1)),
        (r#"{"id":"b","application":"shop","endpoint_name":"paid"}"#, ("scoped_publish_required", 1)),
        (r#"{"id":"b","route":"/a","payload_b64":"*"}"#, ("route_not_found", 0)),
        (r#"{"id":"b","route":"/m"}"#, ("route_not_found", 0)),
    ] {
        let body = format!("{{\"items\":[{{\"id\":\"a\",\"route\":\"/zz\"}},{second}]}}");
        assert_eq!(world.refused(PATH, &body).await, (400, want.0.to_owned(), Some(want.1)), "{second}");
    }
}

#[tokio::test]
async fn a_message_arrives_as_it_was_published() {
    let world = World::new(routes()).await;
    let item = r#""route":" /one ","target":"http://x/1","payload_b64":"aG\r\nk=\n","headers":{"x-b":"ü","A":" v "},
        "trace":{"t":"x\n"},"received_at":" 2023-01-01T01:00:00.5+01:00 ","next_run_at":"""#;
    assert_eq!(world.post(PATH, &crate::publish::item(item)).await.0, 200);
    let (_, list) = world.get("/messages?include_payload=1&include_headers=1&include_trace=1").await;
    let at = "2023-01-01T00:00:00.500Z";
    let want = json!({
        "id": "p", "route": "/one", "target": "http://x/1", "state": "queued", "attempt": 0, "received_at": at,
        "next_run_at": at, "payload_b64": "aGk=", "headers": { "x-b": "ü", "A": " v " }, "trace": { "t": "x\n" },
    });
    assert_eq!(list["items"][0], want);
    let empty = r#"{"items":[{"id":"e","route":"/a","payload_b64":"  ","headers":null,"trace":null}]}"#;
    assert_eq!(world.post(PATH, empty).await.0, 200);
    let leased = world.lease("/a", 1).await;
    let content = leased[0].content.as_ref().unwrap();
    assert!(content.payload.is_empty() && content.headers.is_empty() && leased[0].received_at == NOW);
}

#[tokio::test]
async fn an_id_that_exists_stops_the_whole_batch() {
    let world = World::new(routes()).await;
    world.publish("/a", &["p1", "p2"]).await;
    let body = r#"{"items":[{"id":"n1","route":"/a"},{"id":" p2 ","route":"/one"}]}"#;
    assert_eq!(world.refused(PATH, body).await, (409, "duplicate_id".to_owned(), Some(1)));
    assert_eq!(world.states().await, ["p1 queued", "p2 queued"]);
}

#[tokio::test]
async fn a_full_queue_is_503() {
    let limits = QueueLimits { max_depth: Some(2), drop_policy: DropPolicy::Reject };
    let world = World::with(routes(), |config| config.queue_limits = limits).await;
    world.publish("/a", &["p1", "p2"]).await;
    let response = world.send("POST", PATH, &[WHY], &item(r#""route":"/a""#)).await;
    assert_eq!(response.status().as_u16(), 503);
    assert!(response.headers().contains_key("retry-after"));
    let counts = world.metrics.publish.snapshot();
    assert_eq!((counts.accepted, counts.rejected, counts.rejected_queue_full), (2, 1, 1));
}

#[tokio::test]
async fn the_path_of_an_endpoint_publishes_to_its_route() {
    let world = World::new(routes()).await;
    let (status, answer) = world.post(SCOPED, r#"{"items":[{"id":"x1"},{"id":"x2","target":"pull"}]}"#).await;
    let scope = json!({ "application": "shop", "endpoint_name": "paid", "route": "/m" });
    assert_eq!((status, answer), (200, json!({ "published": 2, "scope": scope, "audit": { "reason": "test" } })));
    for (item, code) in [
        (r#"{"id":"x3","route":"/m"}"#, "selector_scope_forbidden"),
        (r#"{"id":"x3","route":"m"}"#, "invalid_body"),
        (r#"{"id":"x3","application":"shop","endpoint_name":"paid"}"#, "selector_scope_forbidden"),
        (r#"{"id":"x3","application":"shop"}"#, "invalid_body"),
        (r#"{"id":"x3","target":"other"}"#, "target_unresolvable"),
    ] {
        let body = format!("{{\"items\":[{item}]}}");
        assert_eq!(world.refused(SCOPED, &body).await, (400, code.to_owned(), Some(0)), "{item}");
    }
    let one = r#"{"items":[{"id":"x3"}]}"#;
    let q = "/applications/shop/endpoints/q/messages/publish";
    let zz = "/applications/shop/endpoints/zz/messages/publish";
    assert_eq!(world.refused(q, one).await, (403, "route_publish_disabled".to_owned(), None));
    assert_eq!(world.refused(zz, "x").await, (404, "managed_endpoint_not_found".to_owned(), None));
    let counts = world.metrics.publish.snapshot();
    assert_eq!((counts.scoped_accepted, counts.scoped_rejected), (2, 7));
    assert_eq!((counts.rejected_policy, counts.rejected_validation), (5, 2));
}

#[tokio::test]
async fn the_policy_of_the_server_comes_first() {
    type Change = fn(&mut Config);
    let cases: [(Change, &str, &str, u16, &str); 6] = [
        (|c| c.publish_policy.direct = false, PATH, "x", 403, "global_publish_disabled"),
        (|c| c.publish_policy.managed = false, SCOPED, "x", 403, "scoped_publish_disabled"),
        (|c| c.publish_policy.allow_pull_routes = false, PATH, "/a", 403, "pull_route_publish_disabled"),
        (|c| c.publish_policy.allow_deliver_routes = false, PATH, "/one", 403, "deliver_route_publish_disabled"),
        (|c| c.publish_policy.require_actor = true, PATH, "/a", 400, "audit_actor_required"),
        (|c| c.publish_policy.require_request_id = true, PATH, "/a", 400, "audit_request_id_required"),
    ];
    for (change, path, route, status, code) in cases {
        let world = World::with(routes(), change).await;
        let (got, refused, _) = world.refused(path, &item(&format!("\"route\":\"{route}\""))).await;
        assert_eq!((got, refused.as_str()), (status, code));
    }
}

#[tokio::test]
async fn actors_of_managed_routes_are_listed() {
    let world = World::with(routes(), |config| {
        config.publish_policy.actor_allow = vec!["ci".to_owned()];
        config.publish_policy.actor_prefix = vec!["deploy-".to_owned()];
    })
    .await;
    for (index, (actor, want)) in [
        ("", (400, "audit_actor_required")),
        ("eve", (400, "audit_actor_not_allowed")),
        ("ci2", (400, "audit_actor_not_allowed")),
        ("ci", (200, "")),
        ("deploy-7", (200, "")),
    ]
    .into_iter()
    .enumerate()
    {
        let body = format!("{{\"items\":[{{\"id\":\"x{index}\"}}]}}");
        let (status, answer) = world.call("POST", SCOPED, &[WHY, ("X-Hookaido-Audit-Actor", actor)], &body).await;
        assert_eq!((status, text(&answer["code"])), want, "{actor}");
    }
    assert_eq!(world.post(PATH, &item(r#""route":"/a""#)).await.0, 200);
}

#[tokio::test]
async fn audit_headers_are_bounded_and_repeated() {
    let world = World::new(routes()).await;
    let body = item(r#""route":"/a""#);
    let (long, longest) = ("r".repeat(513), "r".repeat(512));
    let wide = "r".repeat(257);
    for headers in [
        vec![],
        vec![("X-Hookaido-Audit-Reason", "  ")],
        vec![("X-Hookaido-Audit-Reason", long.as_str())],
        vec![WHY, ("X-Hookaido-Audit-Actor", wide.as_str())],
        vec![WHY, ("X-Request-ID", wide.as_str())],
    ] {
        let (status, answer) = world.call("POST", PATH, &headers, &body).await;
        assert_eq!((status, text(&answer["code"])), (400, "audit_reason_required"));
    }
    let headers =
        [("X-Hookaido-Audit-Reason", longest.as_str()), ("X-Hookaido-Audit-Actor", " ann "), ("X-Request-ID", "r1")];
    let (status, answer) = world.call("POST", PATH, &headers, &body).await;
    assert_eq!(status, 200);
    assert_eq!(answer["audit"], json!({ "reason": longest, "actor": "ann", "request_id": "r1" }));
}

#[tokio::test]
async fn a_thousand_items_are_one_batch() {
    let world = World::new(routes()).await;
    let items: Vec<_> =
        (0..1000).map(|i| json!({ "id": format!("p{i}"), "route": "/a", "payload_b64": "aGk=" })).collect();
    let (status, answer) = world.post(PATH, &json!({ "items": items }).to_string()).await;
    assert_eq!((status, &answer["published"]), (200, &1000.into()));
    assert_eq!(world.lease("/a", 1000).await.len(), 1000);
}
