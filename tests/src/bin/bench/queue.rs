//! What happens behind ingress: workers, push, publishing, long queues, memory, start-up.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::client::{Connection, request};
use crate::load::{flood, percentile};
use crate::process::{Keep, Server};
use crate::table::{per_cent, thousands};
use crate::workers::{drain, metric, publish, queued, wake_ups};

const MIB: f64 = 1024.0 * 1024.0;

/// `durable_64` is the rate of durable ingress at 64 connections of the same run; zero takes it anew.
pub(crate) async fn measure(bench: &mut Bench, mut durable_64: f64) -> io::Result<()> {
    let folder = bench.fresh_folder()?;
    let server = Server::start(Keep::Durable, folder.path(), bench.sink.addr).await?;
    let post = Arc::new(request("POST", "/in", "", &vec![b'x'; 512]));
    let idle = server.resident() as f64 / MIB;
    let load = flood(server.ingress, 64, Arc::clone(&post), 202, bench.time).await?;
    let loaded = server.resident() as f64 / MIB;
    if durable_64 == 0.0 {
        durable_64 = load.rate();
    }
    bench.table.bar("resident memory, idle", format!("{idle:.1} MiB"), "", "<= 25 MB", idle <= 25.0);
    bench.table.bar("resident memory, under load", format!("{loaded:.1} MiB"), "", "<= 60 MB", loaded <= 60.0);
    drain(server.pull, "/in", 8, 1000, Duration::from_secs(60)).await?;
    batches(bench, &server, durable_64).await?;
    pushes(bench, &server, durable_64).await?;
    latency(bench, &server).await?;
    life(bench, &server).await?;
    server.stop()?;
    large(bench).await
}

async fn batches(bench: &mut Bench, server: &Server, durable_64: f64) -> io::Result<()> {
    let rate = publish(server.admin, "/in", 200_000, 512).await?;
    let ratio = rate / durable_64;
    bench.table.bar(
        "publish in batches of 1,000",
        format!("{}/s", thousands(rate)),
        format!("{ratio:.2}x durable ingress"),
        ">= 2x durable ingress",
        ratio >= 2.0,
    );
    let rate = drain(server.pull, "/in", 8, 100, Duration::from_secs(60)).await?;
    let want = (1.5 * durable_64).min(40_000.0);
    bench.table.bar(
        "dequeue 100 + batch ack, 8 workers",
        format!("{}/s", thousands(rate)),
        format!("{:.2}x durable ingress", rate / durable_64),
        ">= 40,000/s or 1.5x durable ingress",
        rate >= want,
    );
    publish(server.admin, "/in", 100_000, 512).await?;
    let rate = drain(server.pull, "/in", 64, 1, bench.time).await?;
    let share = rate / durable_64;
    bench.table.bar(
        "single dequeue + single ack, 64 workers",
        format!("{}/s", thousands(rate)),
        per_cent(share),
        ">= 30 % of durable ingress",
        share >= 0.3,
    );
    drain(server.pull, "/in", 8, 1000, Duration::from_secs(60)).await.map(drop)
}

async fn pushes(bench: &mut Bench, server: &Server, durable_64: f64) -> io::Result<()> {
    const COUNT: u64 = 40_000;
    let before = bench.sink.received();
    let begin = Instant::now();
    publish(server.admin, "/push", COUNT, 512).await?;
    while bench.sink.received() < before + COUNT {
        if begin.elapsed() > Duration::from_secs(120) {
            return Err(io::Error::other("pushes did not arrive within two minutes"));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let rate = COUNT as f64 / begin.elapsed().as_secs_f64();
    let share = rate / durable_64;
    bench.table.bar(
        "push to a local sink",
        format!("{}/s", thousands(rate)),
        per_cent(share),
        ">= 20 % of durable ingress",
        share >= 0.2,
    );
    Ok(())
}

async fn latency(bench: &mut Bench, server: &Server) -> io::Result<()> {
    let taken = wake_ups(server.ingress, server.pull, 200).await?;
    let p99 = percentile(&taken, 0.99);
    let figure = format!("p50 {:.2} ms, p99 {p99:.2} ms", percentile(&taken, 0.5));
    bench.table.bar("202 to a long-polling worker, idle server", figure, "", "p99 <= 3 ms", p99 <= 3.0);
    Ok(())
}

/// Bytes of the write-ahead log for a message's whole life.
async fn life(bench: &mut Bench, server: &Server) -> io::Result<()> {
    const NAME: &str = "hookaido_store_sqlite_wal_bytes_total";
    const SIZE: usize = 16 * 1024;
    let before = metric(server.metrics, NAME).await?;
    let mut messages = 0.0;
    let post = Arc::new(request("POST", "/in", "", &vec![b'x'; SIZE]));
    for _ in 0..5 {
        let load = flood(server.ingress, 64, Arc::clone(&post), 202, Duration::from_millis(300)).await?;
        messages += load.requests as f64;
        drain(server.pull, "/in", 8, 100, Duration::from_secs(30)).await?;
    }
    let each = (metric(server.metrics, NAME).await? - before) / messages;
    let ratio = each / SIZE as f64;
    bench.table.bar(
        "WAL bytes of a message's whole life, 16 KiB payload",
        thousands(each),
        format!("{ratio:.2}x the payload"),
        "<= 1.5x",
        ratio <= 1.5,
    );
    Ok(())
}

/// The same rates on a short and on a long queue, memory and start-up with the long one.
async fn large(bench: &mut Bench) -> io::Result<()> {
    let folders = [bench.fresh_folder()?, bench.fresh_folder()?];
    let short = Server::start(Keep::Durable, folders[0].path(), bench.sink.addr).await?;
    let long = Server::start(Keep::Durable, folders[1].path(), bench.sink.addr).await?;
    publish(short.admin, "/in", 10_000, 512).await?;
    publish(long.admin, "/in", bench.large, 512).await?;
    let resident = long.resident() as f64 / MIB;
    let name = format!("resident memory, {} queued", thousands(bench.large as f64));
    bench.table.bar(name, format!("{resident:.1} MiB"), "", "<= 100 MB", resident <= 100.0);
    long.stop()?;
    let long = Server::start(Keep::Durable, folders[1].path(), bench.sink.addr).await?;
    let took = long.started_in.as_secs_f64();
    if queued(long.admin).await? != bench.large {
        return Err(io::Error::other("messages are missing after a restart"));
    }
    bench.table.bar("start-up with the long queue", format!("{took:.2} s"), "", "<= 0.5 s", took <= 0.5);
    compare(bench, &short, &long).await?;
    short.stop()?;
    long.stop()
}

async fn compare(bench: &mut Bench, short: &Server, long: &Server) -> io::Result<()> {
    let post = Arc::new(request("POST", "/other", "", &vec![b'x'; 512]));
    let mut rates = [[0.0; 2]; 2];
    for _ in 0..3 {
        for (rate, server) in rates.iter_mut().zip([short, long]) {
            rate[0] += flood(server.ingress, 64, Arc::clone(&post), 202, bench.time).await?.rate();
            // the short queue is filled up again, so that both are drained at their length
            rate[1] += drain(server.pull, "/in", 8, 100, Duration::from_millis(200)).await?;
        }
        publish(short.admin, "/in", 10_000, 512).await?;
    }
    let (least, bar) = if bench.large >= 10_000_000 { (0.9, ">= 90 %") } else { (0.95, ">= 95 %") };
    for (name, which) in [("ingress", 0), ("dequeue 100 + ack", 1)] {
        let share = rates[1][which] / rates[0][which];
        let figure = format!("{}/s against {}/s", thousands(rates[1][which] / 3.0), thousands(rates[0][which] / 3.0));
        let name = format!("{name}, {} queued against 10 thousand", thousands(bench.large as f64));
        bench.table.bar(name, figure, per_cent(share), bar, share >= least);
    }
    let mut connection = Connection::open(long.admin).await?;
    let begin = Instant::now();
    connection.send(&request("GET", "/messages?limit=100", "", b"")).await?;
    let took = begin.elapsed().as_secs_f64() * 1000.0;
    bench.table.note("GET /messages?limit=100 with the long queue", format!("{took:.1} ms"));
    Ok(())
}
