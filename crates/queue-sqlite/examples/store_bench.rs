//! Rates of the bare store, without HTTP, as a table.
//!
//! `cargo run --release -p hookaido-queue-sqlite --example store_bench [FOLDER] [SECTION..]`; sections: `single enqueue drain life backlog
//! open`, none for all. Callers are tasks of a two-thread runtime; each waits for its answer before it asks again. Every figure stands beside a
//! bare loop that overwrites 4 KiB and syncs, run just before, because disks drift. Removes what it writes.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measuring tool: it may stop at the first surprise, and figures are rounded"
)]

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookaido_model::config::{DropPolicy, QueueLimits};
use hookaido_model::{Clock, Content, JsonMap, LaneId, SystemClock};
use hookaido_queue::store::{Enqueue, Lease, NewMessage, Rules, Settle, SettleBatch, Settlement, Store};
use hookaido_queue_sqlite::{SqliteOptions, SqliteStore};
use hookaido_telemetry::{Metrics, MetricsExporter};
use parking_lot::Mutex;

const LIMITS: QueueLimits = QueueLimits { max_depth: None, drop_policy: DropPolicy::Reject };
const TIME: Duration = Duration::from_secs(3);

/// One open store and what it is measured with.
struct Bench {
    folder: PathBuf,
    store: Arc<SqliteStore>,
    exporter: MetricsExporter,
    lanes: [LaneId; 2],
    /// Waiting times of enqueues in microseconds, since they were last looked at.
    waits: Arc<Mutex<Vec<u32>>>,
}

/// Counters at one moment.
struct Moment {
    at: Instant,
    disk: u64,
    log: u64,
    writer: u64,
    all: u64,
}

impl Bench {
    async fn open(folder: &Path) -> Self {
        let (metrics, exporter) = Metrics::new();
        let options = SqliteOptions::default();
        let path = folder.join("bench.db");
        let store = SqliteStore::open(&path, &options, Arc::new(SystemClock), Arc::clone(&metrics.store)).unwrap();
        let pairs = ["/in", "/other"].map(|route| (Arc::<str>::from(route), Arc::<str>::from("pull")));
        let lanes = store.lanes(pairs.to_vec()).await.unwrap();
        let lanes = [lanes.first().unwrap().id, lanes.get(1).unwrap().id];
        Self { folder: folder.to_owned(), store, exporter, lanes, waits: Arc::default() }
    }

    fn moment(&self) -> Moment {
        let log = "hookaido_store_sqlite_wal_bytes_total ";
        let log = self.exporter.render().lines().find_map(|l| l.strip_prefix(log)?.parse::<f64>().ok()).unwrap_or(0.0);
        Moment { at: Instant::now(), disk: disk_bytes(), log: log as u64, writer: cpu("queue-writer"), all: cpu("") }
    }

    /// Prints one line of the table.
    fn report(&self, what: &str, before: &Moment, messages: u64) {
        let after = self.moment();
        let rate = messages as f64 / (after.at - before.at).as_secs_f64();
        let each = |a: u64, b: u64| (a - b) as f64 / messages.max(1) as f64;
        println!(
            "{what:<34} {rate:>9.0}/s {:>8.0} B disk {:>8.0} B log {:>6.1} us writer {:>6.1} us all",
            each(after.disk, before.disk),
            each(after.log, before.log),
            each(after.writer, before.writer),
            each(after.all, before.all)
        );
    }

    /// `callers` tasks, each storing one operation of `batch` messages after the other.
    async fn enqueue(&self, lane: LaneId, (callers, batch): (usize, usize), size: usize, most: u64) -> u64 {
        let (begin, count) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let (store, count, waits) = (Arc::clone(&self.store), Arc::clone(&count), Arc::clone(&self.waits));
                tokio::spawn(async move {
                    let mut mine = Vec::new();
                    while begin.elapsed() < TIME && count.load(Ordering::Relaxed) < most {
                        let messages = (0..batch).map(|_| message(lane, size)).collect();
                        let asked = Instant::now();
                        store.enqueue(Enqueue { messages, limits: LIMITS, now: SystemClock.now() }).await.unwrap();
                        mine.push(asked.elapsed().as_micros() as u32);
                        count.fetch_add(batch as u64, Ordering::Relaxed);
                    }
                    waits.lock().append(&mut mine);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        count.load(Ordering::Relaxed)
    }

    /// `callers` tasks, each leasing up to `batch` messages and acknowledging them.
    async fn drain(&self, lane: LaneId, (callers, batch): (usize, u32), most: u64) -> u64 {
        let (begin, count) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let (store, count) = (Arc::clone(&self.store), Arc::clone(&count));
                tokio::spawn(async move {
                    while begin.elapsed() < TIME && count.load(Ordering::Relaxed) < most {
                        let done = lease_and_ack(&store, lane, batch).await;
                        if done == 0 {
                            break;
                        }
                        count.fetch_add(done, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        count.load(Ordering::Relaxed)
    }

    fn report_waits(&self) {
        let mut waits = std::mem::take(&mut *self.waits.lock());
        waits.sort_unstable();
        let at = |part: f64| waits.get((waits.len() as f64 * part) as usize).map_or(0.0, |us| f64::from(*us) / 1000.0);
        println!(
            "  waits: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, longest {:.2} ms",
            at(0.5),
            at(0.99),
            at(0.999),
            at(0.999_999)
        );
    }

    async fn empty(&self, lane: LaneId) {
        while self.drain(lane, (4, 1000), u64::MAX).await > 0 {}
    }
}

async fn lease_and_ack(store: &SqliteStore, lane: LaneId, batch: u32) -> u64 {
    let now = SystemClock.now();
    let wish = Lease { lane, max: batch, max_bytes: 64 << 20, until: now.plus(Duration::from_secs(30)), now };
    let leased = store.lease(wish).await.unwrap();
    let leases = leased.envelopes.iter().filter_map(|envelope| envelope.lease);
    let settles: Vec<_> = leases.map(|lease| Settle { lease, scope: None, settlement: Settlement::Ack }).collect();
    let done = settles.len() as u64;
    if done > 0 {
        let op = SettleBatch {
            settles,
            attempts: vec![],
            keep_delivered: false,
            rules: Rules::default(),
            now: SystemClock.now(),
        };
        store.settle(op).await.unwrap();
    }
    done
}

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

/// A loop of one writer that needs nothing but the disk: overwrites 4 KiB and syncs. Returns how often.
fn overwrite(folder: &Path, time: Duration) -> f64 {
    const PLACES: u32 = 1024;
    let path = folder.join("overwrite");
    if !path.exists() {
        std::fs::File::create(&path).unwrap().write_all(&vec![0; PLACES as usize * 4096]).unwrap();
        std::fs::File::open(&path).unwrap().sync_all().unwrap();
    }
    let mut file = std::fs::File::options().write(true).open(&path).unwrap();
    let (begin, mut count) = (Instant::now(), 0_u32);
    while begin.elapsed() < time {
        file.seek(SeekFrom::Start(u64::from(count % PLACES) * 4096)).unwrap();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / begin.elapsed().as_secs_f64()
}

fn report_overwrite(folder: &Path) {
    println!("{:<34} {:>9.0}/s", "bare 4 KiB overwrite + fdatasync", overwrite(folder, Duration::from_secs(1)));
}

fn disk_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap();
    text.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap()
}

fn resident_mib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Microseconds of processor time of the threads whose name begins so.
fn cpu(name: &str) -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let of = |path: PathBuf| {
        let comm = std::fs::read_to_string(path.join("comm")).ok()?;
        let nanos = std::fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok()?;
        comm.starts_with(name).then_some(nanos / 1000)
    };
    tasks.filter_map(|task| of(task.path())).sum()
}

async fn enqueue_section(bench: &Bench, callers: &[usize]) {
    for callers in callers.iter().copied() {
        report_overwrite(&bench.folder);
        let before = bench.moment();
        bench.waits.lock().clear();
        let count = bench.enqueue(bench.lanes[0], (callers, 1), 512, u64::MAX).await;
        bench.report(&format!("enqueue, {callers} callers"), &before, count);
        bench.report_waits();
    }
}

/// One caller against the bare loop, in turns of a fifth of a second, because the disk drifts.
async fn single_section(bench: &Bench) {
    let turn = Duration::from_millis(200);
    let (mut bare, mut stored) = (0.0, 0);
    for _ in 0..20 {
        bare += overwrite(&bench.folder, turn);
        let begin = Instant::now();
        while begin.elapsed() < turn {
            stored += bench.enqueue(bench.lanes[0], (1, 1), 512, 10).await;
        }
    }
    let rate = stored as f64 / (turn * 20).as_secs_f64();
    println!("{:<34} {rate:>9.0}/s", "enqueue, 1 caller");
    println!("{:<34} {:>9.0}/s: {:.0} %", "  beside bare overwrite + fdatasync", bare / 20.0, rate / bare * 2000.0);
}

async fn batch_section(bench: &Bench) {
    let before = bench.moment();
    let count = bench.enqueue(bench.lanes[0], (1, 1000), 512, 300_000).await;
    bench.report("enqueue in batches of 1,000", &before, count);
}

async fn drain_section(bench: &Bench) {
    bench.enqueue(bench.lanes[0], (1, 1000), 512, 400_000).await;
    for (callers, batch) in [(8, 100), (64, 1)] {
        let before = bench.moment();
        let count = bench.drain(bench.lanes[0], (callers, batch), u64::MAX).await;
        bench.report(&format!("lease {batch} + ack {batch}, {callers} callers"), &before, count);
    }
    bench.empty(bench.lanes[0]).await;
}

/// A message's whole life, in steady batches.
async fn life_section(bench: &Bench) {
    for (size, rounds) in [(512, 300), (16 << 10, 100)] {
        for warm in [true, false] {
            let (before, mut count) = (bench.moment(), 0);
            for _ in 0..rounds {
                bench.enqueue(bench.lanes[0], (1, 100), size, 100).await;
                count += bench.drain(bench.lanes[0], (1, 100), 100).await;
            }
            if !warm {
                bench.report(&format!("whole life of {size} bytes, by 100"), &before, count);
            }
        }
    }
}

async fn backlog_section(bench: &Bench) {
    let [lane, other] = bench.lanes;
    for depth in [10_000, 1_000_000] {
        let mut stored = 0;
        while stored < depth {
            stored += bench.enqueue(lane, (1, 1000), 512, depth - stored).await;
        }
        println!("with {depth} queued: {} MiB resident", resident_mib());
        for _ in 0..2 {
            let before = bench.moment();
            let count = bench.enqueue(other, (64, 1), 512, u64::MAX).await;
            bench.report("  enqueue elsewhere, 64 callers", &before, count);
            let before = bench.moment();
            let count = bench.drain(lane, (8, 100), 8000).await;
            bench.report("  lease 100 + ack 100, 8 callers", &before, count);
        }
        if depth == 10_000 {
            bench.empty(lane).await;
            bench.empty(other).await;
        }
    }
}

async fn open_section(bench: Bench) {
    let Bench { folder, store, exporter, .. } = bench;
    // As kill -9 leaves it: the log is not copied.
    for name in ["bench.db", "bench.db-wal"] {
        std::fs::copy(folder.join(name), folder.join(format!("copy-{name}"))).unwrap();
    }
    drop((store, exporter));
    let (metrics, _exporter) = Metrics::new();
    let (begin, options) = (Instant::now(), SqliteOptions::default());
    let path = folder.join("copy-bench.db");
    let store = SqliteStore::open(&path, &options, Arc::new(SystemClock), Arc::clone(&metrics.store)).unwrap();
    let queued: u64 = store.stats().await.unwrap().lanes.iter().map(|lane| lane.counts[0]).sum();
    println!("open after a crash with {queued} queued: {} ms", begin.elapsed().as_millis());
    store.close().await.unwrap();
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = tempfile::tempdir_in(arguments.next().unwrap_or_else(|| ".".to_owned())).unwrap();
    let sections: Vec<String> = arguments.collect();
    let wanted = |section: &str| sections.is_empty() || sections.iter().any(|wanted| wanted == section);
    let bench = Bench::open(folder.path()).await;
    if wanted("single") {
        single_section(&bench).await;
    }
    if wanted("enqueue") {
        enqueue_section(&bench, &[16, 64, 256]).await;
        batch_section(&bench).await;
    }
    if wanted("drain") {
        drain_section(&bench).await;
    }
    if wanted("life") {
        life_section(&bench).await;
    }
    if wanted("backlog") {
        backlog_section(&bench).await;
    }
    println!("resident: {} MiB", resident_mib());
    if wanted("open") {
        open_section(bench).await;
    }
}
