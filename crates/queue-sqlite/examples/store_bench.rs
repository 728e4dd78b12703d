//! Rates of the bare store, without HTTP: `cargo run --release -p hookaido-queue-sqlite --example store_bench [FOLDER]`.
//!
//! Callers are tasks of a two-thread runtime; each waits for its answer before it asks again. Bounded in time; removes what it writes.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a measuring tool: it may stop at the first surprise, and figures are rounded"
)]

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookaido_model::config::{DropPolicy, QueueLimits};
use hookaido_model::{Clock, Content, JsonMap, LaneId, SystemClock};
use hookaido_queue::store::{Enqueue, Lease, NewMessage, Settle, SettleBatch, Settlement, Store};
use hookaido_queue_sqlite::{SqliteOptions, SqliteStore};
use hookaido_telemetry::Metrics;

const LIMITS: QueueLimits = QueueLimits { max_depth: None, drop_policy: DropPolicy::Reject };

fn message(lane: LaneId, size: usize) -> NewMessage {
    let headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", "512"),
        ("User-Agent", "provider-hookshot/1234567"),
        ("X-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
    ];
    let now = SystemClock.now();
    NewMessage {
        lanes: [lane].into_iter().collect(),
        id: None,
        content: Content {
            payload: Bytes::from(vec![b'x'; size]),
            headers: JsonMap::from_pairs(headers),
            trace: JsonMap::from_pairs([("path", "/in"), ("remote_addr", "127.0.0.1:40000")]),
        },
        received_at: now,
        next_run_at: now,
    }
}

async fn enqueue(store: &Arc<SqliteStore>, lane: LaneId, callers: usize, size: usize, time: Duration) -> f64 {
    let begin = Instant::now();
    let tasks = (0..callers).map(|_| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut count = 0u64;
            while begin.elapsed() < time {
                let op = Enqueue { messages: vec![message(lane, size)], limits: LIMITS, now: SystemClock.now() };
                store.enqueue(op).await.unwrap();
                count += 1;
            }
            count
        })
    });
    let mut total = 0;
    for task in tasks.collect::<Vec<_>>() {
        total += task.await.unwrap();
    }
    total as f64 / begin.elapsed().as_secs_f64()
}

async fn drain(store: &Arc<SqliteStore>, lane: LaneId, callers: usize, batch: u32, time: Duration) -> f64 {
    let begin = Instant::now();
    let tasks = (0..callers).map(|_| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut count = 0u64;
            while begin.elapsed() < time {
                let now = SystemClock.now();
                let until = now.plus(Duration::from_secs(30));
                let lease = Lease { lane, max: batch, max_bytes: 64 << 20, until, now };
                let leased = store.lease(lease).await.unwrap();
                if leased.envelopes.is_empty() {
                    break;
                }
                let settles = leased.envelopes.iter().filter_map(|envelope| {
                    envelope.lease.map(|lease| Settle { lease, scope: None, settlement: Settlement::Ack })
                });
                let settles: Vec<_> = settles.collect();
                count += settles.len() as u64;
                let op = SettleBatch { settles, attempts: vec![], keep_delivered: false, now: SystemClock.now() };
                store.settle(op).await.unwrap();
            }
            count
        })
    });
    let mut total = 0;
    for task in tasks.collect::<Vec<_>>() {
        total += task.await.unwrap();
    }
    total as f64 / begin.elapsed().as_secs_f64()
}

async fn fill(store: &Arc<SqliteStore>, lane: LaneId, count: usize) -> f64 {
    let begin = Instant::now();
    for _ in 0..count / 1000 {
        let messages = (0..1000).map(|_| message(lane, 512)).collect();
        store.enqueue(Enqueue { messages, limits: LIMITS, now: SystemClock.now() }).await.unwrap();
    }
    count as f64 / begin.elapsed().as_secs_f64()
}

fn overwrite(folder: &Path) -> f64 {
    let path = folder.join("overwrite");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&vec![0; 4 << 20]).unwrap();
    file.sync_all().unwrap();
    let begin = Instant::now();
    let mut count = 0.0;
    while begin.elapsed() < Duration::from_secs(2) {
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        count += 1.0;
    }
    count / begin.elapsed().as_secs_f64()
}

fn written() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap();
    text.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap()
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let folder = tempfile::tempdir_in(folder).unwrap();
    let (metrics, exporter) = Metrics::new();
    let path = folder.path().join("bench.db");
    let open = || {
        SqliteStore::open(&path, &SqliteOptions::default(), Arc::new(SystemClock), Arc::clone(&metrics.store)).unwrap()
    };
    let store = open();
    let pair = |route: &str| (Arc::<str>::from(route), Arc::<str>::from("pull"));
    let lanes = store.lanes(vec![pair("/in"), pair("/other")]).await.unwrap();
    let (lane, other) = (lanes.first().unwrap().id, lanes.get(1).unwrap().id);
    let time = Duration::from_secs(4);
    println!("overwrite 4 KiB + fdatasync: {:.0}/s", overwrite(folder.path()));
    for callers in [1, 16, 64, 256] {
        let before = written();
        let begin = Instant::now();
        let rate = enqueue(&store, lane, callers, 512, time).await;
        let bytes = (written() - before) as f64 / (rate * begin.elapsed().as_secs_f64());
        println!("enqueue, {callers} callers: {rate:.0}/s, {bytes:.0} bytes written each");
    }
    println!("lease 100 + ack 100, 8 callers: {:.0}/s", drain(&store, lane, 8, 100, time).await);
    println!("enqueue in batches of 1,000: {:.0}/s", fill(&store, lane, 200_000).await);
    println!("lease 1 + ack 1, 64 callers: {:.0}/s", drain(&store, lane, 64, 1, time).await);
    drain(&store, lane, 8, 1000, Duration::from_secs(60)).await;
    println!("at 10,000 queued:");
    fill(&store, lane, 10_000).await;
    println!("  enqueue elsewhere, 64 callers: {:.0}/s", enqueue(&store, other, 64, 512, time).await);
    fill(&store, lane, 90_000).await;
    println!("  lease 100 + ack 100: {:.0}/s", drain(&store, lane, 8, 100, Duration::from_millis(500)).await);
    fill(&store, lane, 1_000_000).await;
    println!("at 1,000,000 queued:");
    println!("  enqueue elsewhere, 64 callers: {:.0}/s", enqueue(&store, other, 64, 512, time).await);
    println!("  lease 100 + ack 100: {:.0}/s", drain(&store, lane, 8, 100, Duration::from_millis(500)).await);
    let rendered = exporter.render();
    for name in ["wal_bytes_total", "checkpoint_seconds_sum", "checkpoint_seconds_count"] {
        for line in rendered.lines().filter(|line| line.contains(name)) {
            println!("{line}");
        }
    }
    drop(store);
}
