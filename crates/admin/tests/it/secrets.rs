//! Runtime secrets through the admin API.

use std::collections::BTreeMap;

use hookaido_model::config::{PublishPolicy, SecretPool, SecretVersion};
use serde_json::{Value, json};

use crate::support::{WHY, World, route, text, token};

/// A world with a pool of two, and a static secret.
async fn world(policy: impl FnOnce(&mut PublishPolicy)) -> World {
    let fixed = SecretVersion { id: "st".into(), value: token("k"), valid_from: None, valid_until: None };
    let pool = |name: &str| SecretPool::Runtime { id: name.into(), initial: None, max_versions: 2 };
    World::with(vec![route("/a")], |config| {
        config.secrets = BTreeMap::from([
            ("pool".to_owned(), pool("pool")),
            ("a@b".to_owned(), pool("a@b")),
            ("st".to_owned(), SecretPool::Static(fixed)),
        ]);
        policy(&mut config.publish_policy);
    })
    .await
}

#[tokio::test]
async fn a_version_is_added_listed_and_deleted() {
    let world = world(|_policy| ()).await;
    let body =
        json!({ "value": " v ", "not_before": "2023-11-01T02:00:00+02:00", "not_after": "2023-12-01T00:00:00.25Z" });
    let (status, added) = world.post("/secrets/pool", &body.to_string()).await;
    assert_eq!(status, 201, "{added}");
    let id = text(&added["id"]);
    assert!(id.len() == 20 && id.starts_with("sec_"), "{id}");
    let window = json!({ "not_before": "2023-11-01T00:00:00Z", "not_after": "2023-12-01T00:00:00.250Z" });
    assert_eq!((&added["not_before"], &added["not_after"]), (&window["not_before"], &window["not_after"]));
    assert_eq!(added["created_at"], "2023-11-14T22:13:20Z");
    let (_, endless) = world.post("/secrets/pool", r#"{"value":"w","not_before":null}"#).await;
    assert_eq!((&endless["not_before"], &endless["not_after"]), (&json!("2023-11-14T22:13:20Z"), &Value::Null));
    let (status, list) = world.get("/secrets/pool/").await;
    assert_eq!(status, 200);
    let shown = json!([
        { "id": endless["id"], "not_before": endless["not_before"] },
        { "id": id, "not_before": window["not_before"], "not_after": window["not_after"] },
    ]);
    assert_eq!((&list["name"], &list["versions"]), (&json!("pool"), &shown));
    assert_eq!(world.refused("/secrets/pool", r#"{"value":"x"}"#).await, (413, "secret_pool_full".to_owned(), None));
    let path = format!("/secrets/pool/{id}");
    let (status, nothing) = world.call("DELETE", &path, &[WHY], "{not read").await;
    assert_eq!((status, nothing), (204, Value::Null));
    let (status, again) = world.call("DELETE", &path, &[WHY], "").await;
    assert_eq!((status, text(&again["code"])), (404, "secret_id_not_found"));
    assert_eq!(world.post("/secrets/a@b", r#"{"value":"x"}"#).await.0, 201, "any name of a pool can be reached");
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_order_of_pool_body_audit() {
    let world = world(|_policy| ()).await;
    for (body, code) in [
        (r#"{}"#, "secret_value_empty"),
        (r#"{"value":null}"#, "secret_value_empty"),
        (r#"{"value":" \t"}"#, "secret_value_empty"),
        (r#"{"value":5}"#, "invalid_body"),
        (r#"{"value":"x","id":"sec_1"}"#, "invalid_body"),
        (r#"{"value":"x","value":"y"}"#, "invalid_body"),
        (r#"{"Value":"x"}"#, "invalid_body"),
        (r#"{"value":"x","not_before":""}"#, "invalid_body"),
        (r#"{"value":"x","not_before":" 2026-01-01T00:00:00Z"}"#, "invalid_body"),
        (r#"{"value":"x","not_after":1700000000}"#, "invalid_body"),
        (r#"{"value":"x"} {}"#, "invalid_body"),
        ("null", "invalid_body"),
        ("[]", "invalid_body"),
        ("", "invalid_body"),
        (r#"{"value":"x","not_after":"2023-11-14T22:13:20Z"}"#, "secret_invalid_window"),
        (
            r#"{"value":"x","not_before":"2026-01-01T00:00:00Z","not_after":"2026-01-01T00:00:00Z"}"#,
            "secret_invalid_window",
        ),
    ] {
        // without a reason, which is looked for last
        let (status, answer) = world.call("POST", "/secrets/pool", &[], body).await;
        assert_eq!((status, text(&answer["code"])), (400, code), "{body}");
        let (status, answer) = world.call("POST", "/secrets/st", &[], body).await;
        assert_eq!((status, text(&answer["code"])), (404, "secret_pool_not_found"));
    }
    let (status, answer) = world.call("POST", "/secrets/pool", &[], r#"{"value":"x"}"#).await;
    assert_eq!((status, text(&answer["code"])), (400, "audit_reason_required"));
    let long = json!({ "value": "x".repeat(65_537) }).to_string();
    assert_eq!(world.refused("/secrets/pool", &long).await.1, "invalid_body");
    let (_, list) = world.get("/secrets/pool").await;
    assert_eq!(list["versions"], json!([]));
}

#[tokio::test]
async fn a_refusal_never_repeats_what_was_sent() {
    let world = world(|_policy| ()).await;
    for body in [r#"{"value": 8675309}"#, r#"{"8675309": "x"}"#, r#"{"value": "x", "not_before": "8675309"}"#] {
        let (status, answer) = world.post("/secrets/pool", body).await;
        assert_eq!(status, 400);
        assert!(!answer.to_string().contains("8675309"), "{answer}");
    }
}

#[tokio::test]
async fn paths_and_methods() {
    let world = world(|_policy| ()).await;
    for (method, path, status, code) in [
        ("GET", "/secrets", 404, "not_found"),
        ("PUT", "/secrets", 404, "not_found"),
        ("GET", "/secrets/none", 404, "secret_pool_not_found"),
        ("GET", "/secrets/no%20name", 404, "not_found"),
        ("DELETE", "/secrets/pool", 404, "not_found"),
        ("PUT", "/secrets/pool", 405, "method_not_allowed"),
        ("GET", "/secrets/pool/x", 404, "not_found"),
        ("POST", "/secrets/pool/x", 404, "not_found"),
        ("PATCH", "/secrets/pool/x", 405, "method_not_allowed"),
        ("DELETE", "/secrets/pool/x/y", 404, "not_found"),
        ("DELETE", "/secrets/none/x", 404, "secret_pool_not_found"),
        ("DELETE", "/secrets/pool/x", 400, "audit_reason_required"),
        ("DELETE", "/secrets/pool/%20", 404, "not_found"),
    ] {
        let (found, answer) = world.call(method, path, &[], "").await;
        assert_eq!((found, text(&answer["code"])), (status, code), "{method} {path}");
    }
}

#[tokio::test]
async fn the_rules_for_managed_changes_hold_here_too() {
    let world = world(|policy| {
        policy.actor_allow = vec!["ann".to_owned()];
        policy.require_request_id = true;
    })
    .await;
    let (ann, eve, id) = (("X-Hookaido-Audit-Actor", "ann"), ("X-Hookaido-Audit-Actor", "eve"), ("X-Request-ID", "1"));
    for (headers, status, code) in [
        (vec![WHY], 400, "audit_request_id_required"),
        (vec![WHY, id], 400, "audit_actor_required"),
        (vec![WHY, id, eve], 400, "audit_actor_not_allowed"),
        (vec![WHY, id, ann], 201, ""),
    ] {
        let (found, answer) = world.call("POST", "/secrets/pool", &headers, r#"{"value":"x"}"#).await;
        assert_eq!((found, text(&answer["code"])), (status, code), "{headers:?}");
    }
    let (status, answer) = world.call("DELETE", "/secrets/pool/x", &[WHY, id, eve], "").await;
    assert_eq!((status, text(&answer["code"])), (400, "audit_actor_not_allowed"));
    assert_eq!(world.get("/secrets/pool").await.0, 200, "looking is free");
}
