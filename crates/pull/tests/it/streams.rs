//! Server-sent events.

use std::time::Duration;

use hookaido_model::State;
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Stream, World, data, post};

#[tokio::test(start_paused = true)]
async fn waiting_messages_come_first_then_new_ones_at_once() {
    let world = World::new();
    let table = world.table(&[""]).await;
    world.put("/hooks/a", &["1", "2"]).await;
    let mut stream = Stream::open(&table, "/a/stream?batch=5&lease_ttl=20s").await;
    let events = stream.next().await.unwrap();
    let events: Vec<&str> = events.split_terminator("\n\n").collect();
    assert_eq!(events.len(), 2);
    let item = data(events[0]);
    let lease = item["lease_id"].as_str().unwrap();
    assert_eq!(events[0].lines().next(), Some(format!("id: {lease}").as_str()));
    assert_eq!(events[0].lines().nth(1), Some("event: message"));
    assert_eq!((&item["payload_b64"], &item["attempt"]), (&json!("MQ=="), &json!(1)));
    assert_eq!(post(&table, "/a/ack", &json!({ "lease_id": lease }).to_string()).await.0, 204);
    let started = Instant::now();
    let (event, ()) = tokio::join!(stream.next(), async {
        tokio::task::yield_now().await;
        world.put("/hooks/a", &["3"]).await;
    });
    assert_eq!(data(&event.unwrap())["payload_b64"], "Mw==");
    assert_eq!(started.elapsed(), Duration::ZERO);
    let counts = world.counts("/hooks/a");
    assert_eq!((counts.dequeue[0], counts.lease_active, counts.acked), (("200", 2), 2, 1));
}

#[tokio::test(start_paused = true)]
async fn quiet_streams_carry_comments_until_their_time_is_up() {
    let mut world = World::new();
    world.limits.sse_keepalive = Some(Duration::from_secs(2));
    world.limits.sse_max_connection = Some(Duration::from_secs(5));
    let table = world.table(&[""]).await;
    let mut stream = Stream::open(&table, "/a/stream").await;
    let started = Instant::now();
    let mut at = Vec::new();
    while let Some(text) = stream.next().await {
        assert_eq!(text, ": keepalive\n\n");
        at.push(started.elapsed().as_secs());
    }
    assert_eq!(at, [2, 4, 5]);
    assert_eq!(started.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_holds_one_batch_only() {
    let world = World::new();
    let table = world.table(&[""]).await;
    world.put("/hooks/a", &["1", "2", "3"]).await;
    let mut stream = Stream::open(&table, "/a/stream").await;
    assert!(stream.next().await.is_some());
    assert_eq!(world.count(State::Leased).await, 1, "nothing is leased ahead of the reader");
    drop(stream);
    assert_eq!(world.count(State::Queued).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_ends_the_stream_with_an_error() {
    let world = World::new();
    let table = world.table(&[""]).await;
    let mut stream = Stream::open(&table, "/a/stream").await;
    world.queue.close().await.unwrap();
    let event = stream.next().await.unwrap();
    assert!(event.starts_with("event: error\ndata: ") && event.ends_with("\n\n"), "{event}");
    assert_eq!(stream.next().await, None);
    assert_eq!(world.counts("/hooks/a").dequeue[3], ("5xx", 1));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_streams_at_once() {
    let world = World::new();
    let table = world.table(&[""]).await;
    let mut stream = Stream::open(&table, "/a/stream").await;
    assert!(stream.is_quiet().await);
    let started = Instant::now();
    let (end, ()) = tokio::join!(stream.next(), async { world.stop.cancel() });
    assert_eq!((end, started.elapsed()), (None, Duration::ZERO));
}
