//! Waiting dequeues: woken at once, given up without a trace.

use std::sync::Arc;
use std::time::Duration;

use hookaido_model::State;
use hookaido_pull::{Table, handle};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::support::{World, call, lease, post, request};

async fn wait(table: &Arc<Table>, max_wait: &str) -> Value {
    let body = json!({ "max_wait": max_wait }).to_string();
    let (status, body) = call(table, request("POST", "/a/dequeue", Some("tok"), &body)).await;
    assert_eq!(status, 200);
    body
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_the_message_or_its_time() {
    let mut world = World::new();
    world.limits.max_wait = Some(Duration::from_secs(20));
    let table = world.table(&[""]).await;
    let started = Instant::now();
    assert_eq!(wait(&table, "1h").await["items"], json!([]));
    assert_eq!(started.elapsed().as_secs(), 20, "never longer than max_wait");
    let (items, ()) = tokio::join!(wait(&table, "10s"), async {
        tokio::task::yield_now().await;
        world.put("/hooks/a", &["m"]).await;
    });
    assert_eq!(items["items"][0]["payload_b64"], "bQ==");
    assert_eq!(started.elapsed().as_secs(), 20, "woken at once");
}

#[tokio::test(start_paused = true)]
async fn a_nacked_message_wakes_who_waits() {
    let world = World::new();
    let table = world.table(&[""]).await;
    world.put("/hooks/a", &["m"]).await;
    let leases = lease(&table, "/a/dequeue", 1).await;
    let started = Instant::now();
    let (items, _) = tokio::join!(wait(&table, "10s"), async {
        tokio::task::yield_now().await;
        post(&table, "/a/nack", &json!({"lease_id": leases[0]}).to_string()).await
    });
    assert_eq!(items["items"][0]["attempt"], 2);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_takes_no_message_along() {
    let world = World::new();
    let table = world.table(&[""]).await;
    let waiting = handle(&table, request("POST", "/a/dequeue", Some("tok"), "{\"max_wait\":\"9s\"}"));
    assert!(timeout(Duration::from_millis(10), waiting).await.is_err());
    world.put("/hooks/a", &["m"]).await;
    assert_eq!(world.count(State::Queued).await, 1);
    let (_, body) = post(&table, "/a/dequeue", "{}").await;
    assert_eq!(body["items"][0]["attempt"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_waits_but_not_operations() {
    let world = World::new();
    let table = world.table(&[""]).await;
    let started = Instant::now();
    let (items, ()) = tokio::join!(wait(&table, "10s"), async {
        tokio::task::yield_now().await;
        world.stop.cancel();
    });
    assert_eq!(items["items"], json!([]));
    assert_eq!(started.elapsed(), Duration::ZERO);
    world.put("/hooks/a", &["m"]).await;
    assert_eq!(lease(&table, "/a/dequeue", 1).await.len(), 1, "what needs no waiting still works");
}
