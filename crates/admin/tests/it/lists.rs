//! Messages, dead letters, attempts.

use hookaido_model::{Attempt, AttemptId, AttemptOutcome, DeadReason};
use hookaido_queue::store::Settlement;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn lists_filter_by_route_target_state_and_time() {
    let world = World::new(vec![route("/a"), managed("/m", "shop", "paid")]).await;
    world.publish("/a", &["a1", "a2", "a3"]).await;
    let scoped = "/applications/shop/endpoints/paid/messages";
    assert_eq!(world.post(&format!("{scoped}/publish"), r#"{"items":[{"id":"m1"}]}"#).await.0, 200);
    world.bury("/a", "bad").await;
    for (query, want) in [
        ("", vec!["m1", "a3", "a2", "a1"]),
        ("?limit=2", vec!["m1", "a3"]),
        ("?route=%20/a%20&limit=1&limit=9", vec!["a3"]),
        ("?route=/", vec![]),
        ("?target=other", vec![]),
        ("?state=DEAD", vec!["a1"]),
        ("?state=leased", vec![]),
        ("?before=2023-11-14T21:13:22Z", vec!["a2", "a1"]),
        ("?application=shop&endpoint_name=paid", vec!["m1"]),
        ("?unknown=1&route=%zz", vec!["m1", "a3", "a2", "a1"]),
    ] {
        let (status, list) = world.get(&format!("/messages{query}")).await;
        assert_eq!((status, ids(&list)), (200, want), "{query}");
    }
    assert_eq!(ids(&world.get(&format!("{scoped}?state=queued")).await.1), ["m1"]);
    let (_, dlq) = world.get("/dlq?state=queued").await;
    let want = json!({ "id": "a1", "route": "/a", "target": "pull", "received_at": "2023-11-14T21:13:20Z", "attempt": 1,
        "dead_reason": "bad" });
    assert_eq!(dlq, json!({ "items": [want] }));
}

#[tokio::test]
async fn parameters_that_cannot_be_read_are_refused() {
    let world = World::new(vec![route("/a"), managed("/m", "shop", "paid")]).await;
    for (path, status, code) in [
        ("/messages?limit=0", 400, "invalid_query"),
        ("/messages?before=x", 400, "invalid_query"),
        ("/messages?route=a", 400, "invalid_query"),
        ("/messages?state=queued,dead", 400, "invalid_query"),
        ("/messages?include_payload=maybe", 400, "invalid_query"),
        ("/messages?application=shop&limit=0", 400, "invalid_query"),
        ("/messages?application=shop", 400, "selector_scope_mismatch"),
        ("/messages?endpoint_name=paid", 400, "selector_scope_mismatch"),
        ("/messages?application=shop&endpoint_name=paid&route=/m", 400, "selector_scope_mismatch"),
        ("/messages?application=-b&endpoint_name=paid", 400, "invalid_body"),
        ("/messages?application=shop&endpoint_name=zz", 404, "managed_endpoint_not_found"),
        ("/dlq?route=a", 400, "invalid_query"),
        ("/dlq?include_trace=2", 400, "invalid_query"),
        ("/attempts?outcome=lost", 400, "invalid_query"),
        ("/attempts?application=shop&endpoint_name=zz", 404, "managed_endpoint_not_found"),
        ("/applications/shop/endpoints/paid/messages?route=/m", 400, "selector_scope_forbidden"),
        ("/applications/shop/endpoints/zz/messages", 404, "managed_endpoint_not_found"),
        ("/applications/shop/endpoints/paid/messages?state=x", 400, "invalid_query"),
    ] {
        let (got, answer) = world.get(path).await;
        assert_eq!((got, text(&answer["code"])), (status, code), "{path}");
    }
}

#[tokio::test]
async fn attempts_show_what_came_of_them() {
    let world = World::new(vec![pushed("/p", &["http://x/1"])]).await;
    world.publish("/p", &["e1"]).await;
    let lane = world.queue.lanes(vec![("/p".into(), "http://x/1".into())]).await.unwrap().remove(0);
    let attempt = |attempt, status_code, outcome, dead_reason: Option<DeadReason>| Attempt {
        id: AttemptId(0),
        event_id: "e1".into(),
        lane: lane.clone(),
        attempt,
        status_code,
        error: status_code.is_none().then(|| "refused".to_owned()),
        outcome,
        dead_reason,
        created_at: NOW,
    };
    let attempts = vec![
        attempt(1, None, AttemptOutcome::Retry, None),
        attempt(2, Some(404), AttemptOutcome::Dead, Some(DeadReason::NO_RETRY)),
    ];
    world.queue.settle_all(Vec::new(), attempts).await.unwrap();
    let (_, list) = world.get("/attempts?event_id=e1").await;
    let items = list["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["status_code"], &items[0]["dead_reason"]), (2, &404.into(), &"no_retry".into()));
    assert_eq!((&items[1]["error"], items[1].get("status_code")), (&"refused".into(), None));
    for (query, want) in
        [("outcome=RETRY", 1), ("outcome=acked", 0), ("route=/p&limit=1", 1), ("target=x", 0), ("event_id=e2", 0)]
    {
        let (status, list) = world.get(&format!("/attempts?{query}")).await;
        assert_eq!((status, list["items"].as_array().unwrap().len()), (200, want), "{query}");
    }
}

#[tokio::test]
async fn an_acknowledged_message_is_gone() {
    let world = World::new(vec![route("/a")]).await;
    world.publish("/a", &["a1"]).await;
    let leased = world.lease("/a", 1).await;
    world.settle(&leased[0], Settlement::Ack).await;
    assert!(world.states().await.is_empty());
}
