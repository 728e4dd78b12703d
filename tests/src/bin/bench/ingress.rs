//! Durable ingress against the same HTTP stack storing nothing, and against the disk itself.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::client::request;
use crate::load::{Load, flood};
use crate::process::{Keep, Server};
use crate::table::{per_cent, thousands};

/// The rates other measures are compared with.
pub(crate) struct Rates {
    pub(crate) durable_64: f64,
}

/// Rounds of each pair; the two sides take turns so that a drift of the machine hits both.
const ROUNDS: usize = 3;

pub(crate) async fn measure(bench: &mut Bench) -> io::Result<Rates> {
    let post = Arc::new(request("POST", "/in", "", &vec![b'x'; 512]));
    let mut durable_64 = 0.0;
    for connections in [1, 16, 64, 256] {
        let (durable, nothing, bytes) = pair(bench, connections, &post).await?;
        let share = durable.rate() / nothing.rate();
        let figure = format!(
            "{}/s, p50 {:.2} ms, p99 {:.2} ms; storing nothing {}/s",
            thousands(durable.rate()),
            durable.percentile(0.5),
            durable.percentile(0.99),
            thousands(nothing.rate())
        );
        let name = format!("durable ingress, {connections} connections, 512 bytes");
        match connections {
            1 => {
                let disk = overwrite_loop(bench.folder())?;
                let share = durable.rate() / disk;
                let figure = format!("{figure}; bare overwrite + fdatasync {}/s", thousands(disk));
                bench.table.bar(name, figure, per_cent(share), ">= 50 % of the bare loop", share >= 0.5);
            }
            16 => bench.table.note(name, format!("{figure} ({})", per_cent(share))),
            _ => bench.table.bar(name, figure, per_cent(share), ">= 75 % of storing nothing", share >= 0.75),
        }
        if connections == 64 {
            durable_64 = durable.rate();
            let p99 = durable.percentile(0.99);
            bench.table.bar("p99 at 64 connections", format!("{p99:.2} ms"), "", "<= 20 ms", p99 <= 20.0);
            let each = bytes / (durable.requests.max(1) as f64);
            bench.table.bar(
                "bytes written to disk per 512-byte message, 64 connections",
                thousands(each),
                "",
                "<= 4,096",
                each <= 4096.0,
            );
        }
    }
    Ok(Rates { durable_64 })
}

/// Load on both servers in turn; the sums, and the bytes the durable one wrote.
async fn pair(bench: &Bench, connections: usize, post: &Arc<Vec<u8>>) -> io::Result<(Load, Load, f64)> {
    let mut sums = [Load::default(), Load::default()];
    let mut bytes = 0.0;
    let folders = [bench.fresh_folder()?, bench.fresh_folder()?];
    let durable = Server::start(Keep::Durable, folders[0].path(), bench.sink.addr).await?;
    let nothing = Server::start(Keep::Nothing, folders[1].path(), bench.sink.addr).await?;
    for server in [&durable, &nothing] {
        flood(server.ingress, connections, Arc::clone(post), 202, Duration::from_millis(500)).await?;
    }
    for _ in 0..ROUNDS {
        for (sum, server) in sums.iter_mut().zip([&durable, &nothing]) {
            let before = server.written();
            let load = flood(server.ingress, connections, Arc::clone(post), 202, bench.time).await?;
            if std::ptr::eq(server, &raw const durable) {
                bytes += (server.written() - before) as f64;
            }
            sum.requests += load.requests;
            sum.refused += load.refused;
            sum.elapsed += load.elapsed;
            sum.latencies.extend(load.latencies);
        }
    }
    for sum in &mut sums {
        sum.latencies.sort_unstable();
        if sum.refused > 0 {
            return Err(io::Error::other(format!("{} requests were refused", sum.refused)));
        }
    }
    durable.stop()?;
    nothing.stop()?;
    let [durable, nothing] = sums;
    Ok((durable, nothing, bytes))
}

/// Overwrites the same 4 KiB of a preallocated file and syncs, as fast as it goes.
fn overwrite_loop(folder: &Path) -> io::Result<f64> {
    let path = folder.join("overwrite");
    let mut file = std::fs::File::create(&path)?;
    file.write_all(&vec![0; 4 << 20])?;
    file.sync_all()?;
    let block = [7; 4096];
    let begin = Instant::now();
    let mut count = 0.0;
    while begin.elapsed() < Duration::from_secs(2) {
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&block)?;
        file.sync_data()?;
        count += 1.0;
    }
    let rate = count / begin.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}
