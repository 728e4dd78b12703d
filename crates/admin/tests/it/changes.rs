//! Changes to messages, by id and by filter.

use hookaido_queue::store::Settlement;
use serde_json::json;

use crate::support::*;

/// s1 delivered, s2 dead, s3 leased, s4 canceled, s5 queued.
async fn zoo() -> World {
    let world = World::with(vec![route("/a")], |config| config.retentions.delivered.enabled = true).await;
    world.publish("/a", &["s1", "s2", "s3", "s4", "s5"]).await;
    let leased = world.lease("/a", 1).await;
    world.settle(&leased[0], Settlement::Ack).await;
    world.bury("/a", "r").await;
    assert_eq!(world.lease("/a", 1).await[0].id.to_string(), "s3");
    let (status, answer) = world.post("/messages/cancel", r#"{"ids":["s4"]}"#).await;
    assert_eq!((status, answer), (200, json!({ "canceled": 1, "audit": { "reason": "test" } })));
    world
}

const ALL: &str = r#"{"ids":["s1","s2","s3","s4","s5"," s5 ","nobody"]}"#;

#[tokio::test]
async fn each_change_takes_messages_from_its_states_only() {
    for (path, member, count, after) in [
        ("/messages/cancel", "canceled", 3, ["delivered", "canceled", "canceled", "canceled", "canceled"]),
        ("/messages/requeue", "requeued", 2, ["delivered", "queued", "leased", "queued", "queued"]),
        ("/messages/resume", "resumed", 1, ["delivered", "dead", "leased", "queued", "queued"]),
        ("/dlq/requeue", "requeued", 1, ["delivered", "queued", "leased", "canceled", "queued"]),
    ] {
        let world = zoo().await;
        let (status, answer) = world.post(path, ALL).await;
        assert_eq!((status, &answer[member]), (200, &count.into()), "{path}");
        let want: Vec<_> = after.iter().enumerate().map(|(i, state)| format!("s{} {state}", i + 1)).collect();
        assert_eq!(world.states().await, want, "{path}");
        assert_eq!(world.post(path, ALL).await.1[member], 0);
    }
    let world = zoo().await;
    assert_eq!(world.post("/dlq/delete", ALL).await.1["deleted"], 1);
    assert_eq!(world.states().await, ["s1 delivered", "s3 leased", "s4 canceled", "s5 queued"]);
}

#[tokio::test]
async fn id_lists_hold_1_to_1000_texts() {
    let world = World::new(vec![route("/a")]).await;
    let many = format!("{{\"ids\":[{}\"x\"]}}", "\"x\",".repeat(1000));
    for path in ["/dlq/requeue", "/dlq/delete", "/messages/cancel", "/messages/requeue", "/messages/resume"] {
        for body in [
            "",
            "null",
            "[]",
            "[[\"x\"]]",
            "{}",
            r#"{"ids":[]}"#,
            r#"{"ids":null}"#,
            r#"{"ids":["a"," "]}"#,
            r#"{"ids":["a",5]}"#,
            r#"{"ids":["a"],"reason":"x"}"#,
            r#"{"Ids":["a"]}"#,
            r#"{"ids":["a"],"ids":["b"]}"#,
            r#"{"ids":["a"]}{"ids":["b"]}"#,
            &many,
        ] {
            assert_eq!(world.refused(path, body).await, (400, "invalid_body".to_owned(), None), "{path} {body}");
        }
        let (status, answer) = world.call("POST", path, &[], "null").await;
        assert_eq!((status, text(&answer["code"])), (400, "audit_reason_required"));
    }
    let most = format!("{{\"ids\":[{}\"x\"]}}", "\"x\",".repeat(999));
    assert_eq!(world.post("/messages/cancel", &most).await.0, 200);
}

#[tokio::test]
async fn filters_change_what_matches() {
    let world = zoo().await;
    let (status, answer) = world.post("/messages/requeue_by_filter", r#"{"preview_only":true}"#).await;
    let want = json!({ "matched": 2, "preview_only": true, "audit": { "reason": "test" } });
    assert_eq!((status, answer), (200, want));
    let (_, answer) = world.post("/messages/requeue_by_filter", r#"{"state":" DEAD ","limit":null}"#).await;
    let want = json!({ "matched": 1, "requeued": 1, "preview_only": false, "audit": { "reason": "test" } });
    assert_eq!(answer, want);
    let (_, answer) = world.post("/messages/resume_by_filter", r#"{"route":"/a","target":"pull"}"#).await;
    assert_eq!(answer["resumed"], 1);
    let (_, answer) = world.post("/messages/cancel_by_filter", r#"{"limit":1,"before":"2023-11-14T21:13:22Z"}"#).await;
    assert_eq!((&answer["matched"], &answer["canceled"]), (&1.into(), &1.into()));
    assert_eq!(world.states().await, ["s1 delivered", "s2 canceled", "s3 leased", "s4 queued", "s5 queued"]);
    let (_, answer) = world.post("/messages/cancel_by_filter", r#"{"route":"/zz"}"#).await;
    assert_eq!((&answer["matched"], answer.get("canceled")), (&0.into(), None));
}

#[tokio::test]
async fn filters_are_strict() {
    let world = World::new(vec![route("/a")]).await;
    world.publish("/a", &["a1"]).await;
    for body in [
        "",
        "null",
        "[]",
        "x",
        r#"{"a":1}"#,
        r#"{"route":"a"}"#,
        r#"{"limit":-1}"#,
        r#"{"limit":1.5}"#,
        r#"{"before":"x"}"#,
        r#"{"state":"nope"}"#,
        r#"{"state":"delivered"}"#,
        r#"{"state":"canceled"}"#,
        r#"{"limit":1,"limit":2}"#,
        "{}{}",
    ] {
        let path = "/messages/cancel_by_filter";
        assert_eq!(world.refused(path, body).await, (400, "invalid_body".to_owned(), None), "{body}");
    }
    assert_eq!(world.states().await, ["a1 queued"]);
    let (status, answer) = world.call("POST", "/messages/cancel_by_filter", &[], "{}").await;
    assert_eq!((status, text(&answer["code"])), (400, "audit_reason_required"));
}

#[tokio::test]
async fn managed_routes_are_reached_by_their_labels_only() {
    let world = World::new(vec![route("/a"), managed("/m", "shop", "paid")]).await;
    world.publish("/a", &["a1"]).await;
    let scoped = "/applications/shop/endpoints/paid/messages";
    assert_eq!(world.post(&format!("{scoped}/publish"), r#"{"items":[{"id":"m1"},{"id":"m2"}]}"#).await.0, 200);
    let filter = "/messages/cancel_by_filter";
    let below = format!("{scoped}/cancel_by_filter");
    for (path, body, status, code) in [
        (filter, "{}", 400, "managed_selector_required"),
        (filter, r#"{"preview_only":true}"#, 400, "managed_selector_required"),
        (filter, r#"{"route":"/m"}"#, 400, "managed_selector_required"),
        (filter, r#"{"application":"shop"}"#, 400, "selector_scope_mismatch"),
        (filter, r#"{"application":"shop","endpoint_name":"paid","route":"/m"}"#, 400, "selector_scope_mismatch"),
        (filter, r#"{"application":"shop","endpoint_name":"gone"}"#, 404, "managed_endpoint_not_found"),
        (filter, r#"{"application":"shop","endpoint_name":"p d"}"#, 400, "invalid_body"),
        (&below, r#"{"route":"m"}"#, 400, "selector_scope_forbidden"),
        (&below, r#"{"application":"shop"}"#, 400, "selector_scope_forbidden"),
        // What is wrong with a member comes before what does not go together.
        (filter, r#"{"application":"shop","route":"m"}"#, 400, "selector_scope_mismatch"),
        (filter, r#"{"application":"s p","route":"/m"}"#, 400, "invalid_body"),
        (filter, r#"{"application":"shop","limit":-1}"#, 400, "invalid_body"),
        (&below, r#"{"route":"/m","limit":-1}"#, 400, "invalid_body"),
        (&below, r#"{"route":"/m","state":"gone"}"#, 400, "invalid_body"),
        (&below, "null", 400, "invalid_body"),
        ("/applications/shop/endpoints/zz/messages/cancel_by_filter", "x", 404, "managed_endpoint_not_found"),
    ] {
        assert_eq!(world.refused(path, body).await, (status, code.to_owned(), None), "{path} {body}");
    }
    let (_, answer) = world.post(filter, r#"{"application":"shop","endpoint_name":"paid","limit":1}"#).await;
    let scope = json!({ "application": "shop", "endpoint_name": "paid", "route": "/m" });
    assert_eq!((&answer["canceled"], &answer["scope"]), (&1.into(), &scope));
    let (_, answer) = world.post(&below, "{}").await;
    assert_eq!((&answer["canceled"], &answer["scope"]), (&1.into(), &scope));
    let (_, answer) = world.post(filter, r#"{"route":"/a"}"#).await;
    assert_eq!((&answer["canceled"], answer.get("scope")), (&1.into(), None));
}

#[tokio::test]
async fn ids_of_managed_messages_have_rules_while_they_would_change() {
    let world = World::with(vec![route("/a"), managed("/m", "shop", "paid")], |config| {
        config.publish_policy.actor_allow = vec!["ci".to_owned()];
    })
    .await;
    world.publish("/a", &["a1"]).await;
    let actor = |name| [WHY, ("X-Hookaido-Audit-Actor", name)];
    let scoped = "/applications/shop/endpoints/paid/messages/publish";
    assert_eq!(world.call("POST", scoped, &actor("ci"), r#"{"items":[{"id":"m1"}]}"#).await.0, 200);
    let both = r#"{"ids":["a1","m1"]}"#;
    assert_eq!(world.refused("/messages/cancel", both).await.1, "audit_actor_required");
    let (status, answer) = world.call("POST", "/messages/cancel", &actor("eve"), both).await;
    assert_eq!((status, text(&answer["code"])), (400, "audit_actor_not_allowed"));
    assert_eq!(world.states().await, ["a1 queued", "m1 queued"]);
    assert_eq!(world.post("/messages/cancel", r#"{"ids":["a1"]}"#).await.1["canceled"], 1);
    assert_eq!(world.call("POST", "/messages/cancel", &actor("ci"), both).await.1["canceled"], 1);
    assert_eq!(world.post("/messages/cancel", both).await.1["canceled"], 0);
    assert_eq!(world.refused("/messages/resume", both).await.1, "audit_actor_required");
}
