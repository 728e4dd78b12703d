//! Who may use which endpoint, and settle which lease.

use serde_json::json;

use crate::support::{World, call, lease, post, request};

#[tokio::test]
async fn tokens_of_a_route_replace_those_of_the_api() {
    let world = World::new();
    let table = world.table(&["ta", ""]).await;
    for (path, token, status) in [
        ("/a/dequeue", "ta", 200),
        ("/a/dequeue", "tok", 401),
        ("/b/dequeue", "tok", 200),
        ("/b/dequeue", "ta", 401),
        ("/zz/dequeue", "tok", 404),
        ("/zz/dequeue", "ta", 401),
    ] {
        let (got, _) = call(&table, request("POST", path, Some(token), "{}")).await;
        assert_eq!(got, status, "{path} {token}");
    }
}

#[tokio::test]
async fn with_tokens_of_its_own_somewhere_a_lease_stays_within_its_endpoint() {
    let world = World::new();
    let table = world.table(&["", "", "tc"]).await;
    world.put("/hooks/a", &["1"]).await;
    let leases = lease(&table, "/a/dequeue", 1).await;
    let one = json!({"lease_id": leases[0]}).to_string();
    let extend = json!({"lease_id": leases[0], "extend_by": "1s"}).to_string();
    assert_eq!(post(&table, "/b/ack", &one).await.1["code"], "lease_conflict");
    assert_eq!(post(&table, "/b/nack", &one).await.0, 409);
    assert_eq!(post(&table, "/b/extend", &extend).await.0, 409);
    let (_, body) = post(&table, "/b/ack", &json!({ "lease_ids": leases }).to_string()).await;
    assert_eq!(body["conflicts"][0]["reason"], "lease_not_found", "that it exists is nobody's business");
    assert_eq!(post(&table, "/a/ack", &one).await.0, 204);
    assert_eq!(post(&table, "/b/ack", &one).await.0, 409, "a repeat stays within, too");
}

#[tokio::test]
async fn with_the_same_tokens_for_all_any_endpoint_settles_any_lease() {
    let world = World::new();
    let table = world.table(&["", ""]).await;
    world.put("/hooks/a", &["1"]).await;
    let leases = lease(&table, "/a/dequeue", 1).await;
    let extend = json!({"lease_id": leases[0], "extend_by": "1s"}).to_string();
    assert_eq!(post(&table, "/b/extend", &extend).await.0, 204);
    let one = json!({"lease_id": leases[0]}).to_string();
    assert_eq!(post(&table, "/b/ack", &one).await.0, 204);
    assert_eq!(post(&table, "/a/ack", &one).await.0, 204);
    assert_eq!((world.counts("/hooks/a").acked, world.counts("/hooks/b").acked), (1, 1));
}
