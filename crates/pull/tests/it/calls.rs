//! Dequeue, ack, nack, dead, extend: answers, limits, counts.

use std::time::Duration;

use hookaido_model::{Backoff, DeadReason, Redelivery, State};
use hookaido_queue::store::{ListQuery, Rules};
use serde_json::json;

use crate::support::{World, call, lease, post, request};

#[tokio::test]
async fn a_message_is_leased_and_acknowledged() {
    let world = World::new();
    let table = world.table(&[""]).await;
    world.put("/hooks/a", &["hello"]).await;
    let (status, body) = post(&table, "/a/dequeue", "{}").await;
    assert_eq!(status, 200);
    let item = &body["items"][0];
    let want = json!({
        "id": item["id"], "lease_id": item["lease_id"], "route": "/hooks/a", "attempt": 1, "payload_b64": "aGVsbG8=",
        "received_at": "2023-11-14T22:13:20Z", "next_run_at": "2023-11-14T22:13:20Z",
        "headers": {"Content-Type": "text/plain"},
    });
    assert_eq!(body, json!({ "items": [want] }));
    assert_eq!(post(&table, "/a/dequeue", "").await, (200, json!({"items": []})));
    let ack = json!({"lease_id": item["lease_id"]}).to_string();
    assert_eq!(post(&table, "/a/ack", &ack).await, (204, json!(null)));
    assert_eq!(post(&table, "/a/ack", &ack).await, (204, json!(null)), "a repeat is a success");
    assert_eq!(post(&table, "/a/nack", &ack).await.0, 409);
    assert_eq!(world.count(State::Queued).await + world.count(State::Leased).await, 0);
    let counts = world.counts("/hooks/a");
    assert_eq!((counts.acked, counts.nack_conflict, counts.lease_active), (2, 1, 0));
    assert_eq!(counts.dequeue, [("200", 2), ("204", 0), ("4xx", 0), ("5xx", 0)]);
}

#[tokio::test]
async fn batches_name_their_conflicts() {
    let world = World::new();
    let table = world.table(&[""]).await;
    world.put("/hooks/a", &["1", "2", "3"]).await;
    let leases = lease(&table, "/a/dequeue", 10).await;
    let ids = json!({"lease_ids": [leases[0], format!(" {}", leases[0]), leases[1]]}).to_string();
    assert_eq!(post(&table, "/a/ack", &ids).await, (200, json!({"acked": 2})));
    let ids = json!({"lease_ids": ["x", leases[2], "lease_y"], "dead": true, "delay": "never"}).to_string();
    let (status, body) = post(&table, "/a/nack", &ids).await;
    assert_eq!((status, &body["code"], &body["succeeded"]), (409, &json!("lease_conflict"), &json!(1)));
    let conflict = |lease: &str| json!({"lease_id": lease, "reason": "lease_not_found"});
    assert_eq!(body["conflicts"], json!([conflict("x"), conflict("lease_y")]));
    assert_eq!(world.count(State::Dead).await, 1);
    let too_many = json!({"lease_ids": ["1", "2", "3", "4"]}).to_string();
    assert_eq!(post(&table, "/a/ack", &too_many).await.1["code"], "invalid_body");
}

#[tokio::test]
async fn an_expired_lease_is_a_conflict_of_its_own() {
    let world = World::new();
    let table = world.table(&[""]).await;
    world.put("/hooks/a", &["1"]).await;
    let leases = lease(&table, "/a/dequeue", 1).await;
    world.clock.advance(Duration::from_secs(31));
    let (status, body) = post(&table, "/a/ack", &json!({ "lease_ids": leases }).to_string()).await;
    assert_eq!((status, &body["conflicts"][0]["reason"]), (409, &json!("lease_expired")));
    let extend = json!({"lease_id": leases[0], "extend_by": "1s"}).to_string();
    assert_eq!(post(&table, "/a/extend", &extend).await.1["code"], "lease_conflict");
    assert_eq!(world.counts("/hooks/a").ack_conflict, 1);
}

#[tokio::test]
async fn nacks_delay_or_bury() {
    let world = World::new();
    let table = world.table(&[""]).await;
    world.put("/hooks/a", &["1"]).await;
    let first = lease(&table, "/a/dequeue", 1).await;
    let nack = json!({"lease_id": first[0], "delay": "5s", "reason": "later"}).to_string();
    assert_eq!(post(&table, "/a/nack", &nack).await.0, 204);
    assert!(lease(&table, "/a/dequeue", 1).await.is_empty());
    world.clock.advance(Duration::from_secs(5));
    let second = lease(&table, "/a/dequeue", 1).await;
    let dead = json!({"lease_id": second[0], "dead": true, "reason": " broken "}).to_string();
    assert_eq!(post(&table, "/a/nack", &dead).await.0, 204);
    let query = ListQuery { limit: 9, ..ListQuery::default() };
    let dead = world.queue.list(query).await.unwrap();
    assert_eq!(dead[0].dead_reason.as_ref().map(|reason| reason.as_str()), Some(" broken "));
    assert_eq!(dead[0].attempt, 2);
    assert_eq!(world.counts("/hooks/a").dead, [("max_receives", 0), ("worker", 1)]);
    assert_eq!(post(&table, "/a/nack", &json!({"lease_id": second[0], "dead": true}).to_string()).await.0, 204);
    assert_eq!(world.counts("/hooks/a").dead[1].1, 1, "a repeat buries nobody");
}

#[tokio::test]
async fn a_route_says_how_often_and_when_a_message_comes_again() {
    let world = World::new();
    let table = world.table(&[""]).await;
    let lane = world.queue.lanes(vec![("/hooks/a".into(), "pull".into())]).await.unwrap()[0].id;
    let second = Duration::from_secs(1);
    let backoff = Backoff { base: second, cap: second * 9, jitter: 0.0 };
    world.queue.set_rules(Rules::new([(lane, Redelivery { max_receives: Some(3), backoff: Some(backoff) })]));
    world.put("/hooks/a", &["1"]).await;
    let nack = |lease: &str, delay: Option<&str>| {
        json!({"lease_id": lease, "delay": delay, "reason": "no database"}).to_string()
    };
    let first = lease(&table, "/a/dequeue", 1).await;
    assert_eq!(post(&table, "/a/nack", &nack(&first[0], None)).await.0, 204);
    assert!(lease(&table, "/a/dequeue", 1).await.is_empty(), "the rule delays it");
    world.clock.advance(second);
    let again = lease(&table, "/a/dequeue", 1).await;
    assert_eq!(post(&table, "/a/nack", &nack(&again[0], Some("0s"))).await.0, 204);
    let last = lease(&table, "/a/dequeue", 1).await;
    assert_eq!(last.len(), 1, "the worker's own delay counts, even if it is none");
    assert_eq!(post(&table, "/a/nack", &nack(&last[0], Some("1h"))).await.0, 204);
    assert_eq!(post(&table, "/a/nack", &nack(&last[0], Some("1h"))).await.0, 204, "a repeat");
    let query = ListQuery { limit: 9, ..ListQuery::default() };
    let dead = &world.queue.list(query).await.unwrap()[0];
    assert_eq!(dead.dead_reason, Some(DeadReason("max_receives: no database".into())));
    let counts = world.counts("/hooks/a");
    assert_eq!((counts.dead, counts.nacked, counts.lease_active), ([("max_receives", 1), ("worker", 0)], 4, 0));
}

#[tokio::test]
async fn extensions_stay_within_max_lease_ttl() {
    let mut world = World::new();
    world.limits.max_lease_ttl = Some(Duration::from_secs(40));
    let table = world.table(&[""]).await;
    world.put("/hooks/a", &["1"]).await;
    let leases = lease(&table, "/a/dequeue", 1).await;
    let extend = |by: &str| json!({"lease_id": leases[0], "extend_by": by}).to_string();
    for by in ["0s", "-1h", "9h"] {
        assert_eq!(post(&table, "/a/extend", &extend(by)).await.0, 204);
    }
    world.clock.advance(Duration::from_secs(39));
    assert_eq!(post(&table, "/a/extend", &extend("0")).await.0, 204);
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(post(&table, "/a/extend", &extend("1s")).await.0, 409);
    for (body, status) in [
        (json!({"lease_id": "lease_nope", "extend_by": "-1s"}), 409),
        (json!({"lease_id": "x"}), 400),
        (json!({"extend_by": "1s"}), 400),
        (json!({"lease_ids": ["x"], "extend_by": "1s"}), 400),
        (json!({"lease_id": "x", "lease_ttl": "1s"}), 400),
    ] {
        assert_eq!(post(&table, "/a/extend", &body.to_string()).await.0, status, "{body}");
    }
}

#[tokio::test]
async fn refused_dequeues_are_counted() {
    let world = World::new();
    let table = world.table(&[""]).await;
    for body in ["[]", "{\"batch\":\"1\"}", "{\"max_wait\":\"5\"}", "{} {}"] {
        let (status, answer) = post(&table, "/a/dequeue", body).await;
        assert_eq!((status, &answer["code"]), (400, &json!("invalid_body")), "{body}");
    }
    let huge = "x".repeat((1 << 20) + 1);
    let (status, answer) = post(&table, "/a/dequeue", &huge).await;
    assert_eq!((status, &answer["code"]), (400, &json!("invalid_body")));
    world.queue.close().await.unwrap();
    let (status, answer) = post(&table, "/a/dequeue", "{}").await;
    assert_eq!((status, &answer["code"]), (503, &json!("store_unavailable")));
    assert_eq!(world.counts("/hooks/a").dequeue, [("200", 0), ("204", 0), ("4xx", 5), ("5xx", 1)]);
}

#[tokio::test]
async fn requests_are_refused_in_order() {
    let world = World::new();
    let table = world.table_for("/pull", "tok", &[""]).await;
    let refused = |method: &'static str, path: &'static str, token: Option<&'static str>| {
        let table = table.clone();
        async move { call(&table, request(method, path, token, "{}")).await.0 }
    };
    let (with, without) = (Some("tok"), None);
    for (method, path, token, status) in [
        ("GET", "/pull/a/dequeue", without, 405),
        ("GET", "/pull/zz/dequeue", without, 405),
        ("PUT", "/pull/a/stream", without, 405),
        ("POST", "/pull/a/dequeue", without, 401),
        ("POST", "/pull/zz/dequeue", without, 401),
        ("POST", "/pull/a/stream", without, 401),
        ("GET", "/pull/a/stream", without, 401),
        ("POST", "/pull/a/dequeue", Some("other"), 401),
        ("POST", "/pull/zz/dequeue", with, 404),
        ("POST", "/pull/zz/stream", with, 404),
        ("GET", "/pull/zz/stream", with, 404),
        ("POST", "/a/dequeue", with, 404),
        ("POST", "/pull/a", with, 404),
        ("POST", "/pull", with, 404),
        ("POST", "/pullx/a/dequeue", with, 404),
        ("POST", "/pull/a/DEQUEUE", with, 404),
        ("POST", "/pull/a/stream", with, 405),
        ("GET", "/pull/a/stream?batch=0", with, 400),
        ("POST", "/pull//a/%64equeue/", with, 200),
    ] {
        assert_eq!(refused(method, path, token).await, status, "{method} {path} {token:?}");
    }
}
