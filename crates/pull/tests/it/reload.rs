//! What becomes of streams and waits when another configuration takes over.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::support::{Stream, World, call, data, request};

#[tokio::test(start_paused = true)]
async fn streams_go_on_where_nothing_changed_for_them() {
    let world = World::new();
    let first = world.table(&["", ""]).await;
    let mut stream = Stream::open(&first, "/a/stream").await;
    assert!(stream.is_quiet().await);
    let second = world.table(&["", "tb"]).await;
    first.retire(Some(&second));
    assert!(stream.is_quiet().await);
    world.put("/hooks/a", &["m"]).await;
    assert_eq!(data(&stream.next().await.unwrap())["payload_b64"], "bQ==");
}

#[tokio::test(start_paused = true)]
async fn streams_end_with_their_token_their_route_or_their_prefix() {
    for (prefix, token, tokens) in
        [("", "new", &[""][..]), ("", "tok", &["ta"]), ("", "tok", &[]), ("/p", "tok", &[""])]
    {
        let world = World::new();
        let first = world.table(&[""]).await;
        let mut stream = Stream::open(&first, "/a/stream").await;
        assert!(stream.is_quiet().await);
        first.retire(Some(&*world.table_for(prefix, token, tokens).await));
        assert_eq!(stream.next().await, None, "{prefix} {token} {tokens:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_outlived_reloads_ends_with_its_token_all_the_same() {
    let world = World::new();
    let mut table = world.table(&[""]).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = Stream::open(&table, "/a/stream").await;
        assert!(stream.is_quiet().await);
        streams.push(stream);
        let next = world.table(&[""]).await;
        table.retire(Some(&next));
        table = next;
    }
    for stream in &mut streams {
        assert!(stream.is_quiet().await);
    }
    table.retire(None);
    for stream in &mut streams {
        assert_eq!(stream.next().await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_its_token() {
    let world = World::new();
    let table = world.table(&[""]).await;
    let started = Instant::now();
    let wait = request("POST", "/a/dequeue", Some("tok"), "{\"max_wait\":\"10s\"}");
    let ((status, body), ()) = tokio::join!(call(&table, wait), async {
        tokio::task::yield_now().await;
        table.retire(Some(&*world.table_for("", "new", &[""]).await));
        world.put("/hooks/a", &["m"]).await;
    });
    assert_eq!((status, body), (200, json!({"items": []})));
    assert_eq!(started.elapsed(), Duration::ZERO);
}
