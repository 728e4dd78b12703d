//! What work beside the load costs it: pruning, giving space back, a backup. The same load on a server that has none, in turn.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::client::request;
use crate::load::flood;
use crate::process::{Extra, Keep, Server, product};
use crate::table::{per_cent, thousands};
use crate::workers::{count, drain, publish};

/// Connections of the load.
const CONNECTIONS: usize = 64;
/// Rounds of each comparison, at most.
const ROUNDS: usize = 4;

pub(crate) async fn measure(bench: &mut Bench) -> io::Result<()> {
    let folders = [bench.fresh_folder()?, bench.fresh_folder()?];
    let idle = Server::start(Keep::Durable, folders[1].path(), bench.sink.addr).await?;
    pruning(bench, folders[0].path(), &idle).await?;
    giving_back(bench, &idle).await?;
    copying(bench, &idle).await?;
    idle.stop()
}

/// What happens beside the load.
enum Beside<'s> {
    /// Something that the server does by itself as long as this says so.
    While(&'s dyn Fn() -> bool),
    /// Backups of this folder's queue, one after the other.
    Backups(&'s Path),
}

/// Load on both servers in turn; the share of the undisturbed rate that is left, and rates. `None` if nothing happened beside it.
async fn share(
    bench: &Bench,
    busy: &Server,
    idle: &Server,
    beside: &Beside<'_>,
) -> io::Result<Option<(f64, [f64; 2])>> {
    let post = Arc::new(request("POST", "/other", "", &vec![b'x'; 512]));
    let (mut sums, mut rounds) = ([0.0; 2], 0.0);
    for _ in 0..ROUNDS {
        let begun = match beside {
            Beside::While(busy) => busy(),
            Beside::Backups(_) => true,
        };
        let mut backups = match beside {
            Beside::Backups(folder) => Some(Backups::start(folder)?),
            Beside::While(_) => None,
        };
        let load = flood(busy.ingress, CONNECTIONS, Arc::clone(&post), 202, bench.time);
        let disturbed = match &mut backups {
            Some(backups) => backups.beside(load).await?,
            None => load.await?,
        };
        let ended = match beside {
            Beside::While(busy) => busy(),
            Beside::Backups(_) => true,
        };
        let undisturbed = flood(idle.ingress, CONNECTIONS, Arc::clone(&post), 202, bench.time).await?;
        if begun && ended {
            sums = [sums[0] + disturbed.rate(), sums[1] + undisturbed.rate()];
            rounds += 1.0;
        }
    }
    Ok((rounds > 0.0).then(|| (sums[0] / sums[1], sums.map(|sum| sum / rounds))))
}

fn tell(bench: &mut Bench, name: String, found: Option<(f64, [f64; 2])>) {
    match found {
        Some((share, [busy, idle])) => {
            let figure = format!("{}/s against {}/s", thousands(busy), thousands(idle));
            bench.table.bar(name, figure, per_cent(share), ">= 85 %", share >= 0.85);
        }
        None => bench.table.note(name, "over before it could be measured"),
    }
}

async fn pruning(bench: &mut Bench, folder: &Path, idle: &Server) -> io::Result<()> {
    let rows = bench.large;
    let extra = Extra { text: "delivered_retention { max_age 24h }", ..Extra::default() };
    let server = Server::start_with(Keep::Durable, folder, bench.sink.addr, extra).await?;
    publish(server.admin, "/in", rows, 512).await?;
    drain(server.pull, "/in", 8, 1000, Duration::from_secs(600)).await?;
    server.stop()?;
    let text = "delivered_retention { max_age 1s }\nqueue_retention { prune_interval 1s }";
    let server = Server::start_with(Keep::Durable, folder, bench.sink.addr, Extra { text, ..Extra::default() }).await?;
    let begin = Instant::now();
    let mut delivered = count(server.admin, "delivered").await?;
    while delivered >= rows && begin.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        delivered = count(server.admin, "delivered").await?;
    }
    let prunes = || std::thread::scope(|scope| scope.spawn(|| left(server.admin) > 0).join().unwrap_or(false));
    let found = share(bench, &server, idle, &Beside::While(&prunes)).await?;
    tell(bench, format!("ingress while {} delivered rows are pruned", thousands(rows as f64)), found);
    let gone = delivered.saturating_sub(count(server.admin, "delivered").await?);
    bench.table.note("rows pruned a second meanwhile", thousands(gone as f64 / begin.elapsed().as_secs_f64()));
    server.stop()
}

/// Delivered messages, asked from a thread without a runtime.
fn left(admin: std::net::SocketAddr) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.and_then(|runtime| runtime.block_on(count(admin, "delivered"))).unwrap_or(0)
}

async fn giving_back(bench: &mut Bench, idle: &Server) -> io::Result<()> {
    let rows = bench.large;
    let folder = bench.fresh_folder()?;
    let server = Server::start(Keep::Durable, folder.path(), bench.sink.addr).await?;
    publish(server.admin, "/in", rows, 512).await?;
    // Something arrives all the time, so that not all is given back at once in an idle moment.
    let post = Arc::new(request("POST", "/other", "", b"x"));
    let load = flood(server.ingress, 4, Arc::clone(&post), 202, Duration::from_secs(2));
    let (load, drained) = tokio::join!(load, drain(server.pull, "/in", 8, 1000, Duration::from_secs(600)));
    load.and(drained.map(|_| crate::load::Load::default()))?;
    let file = folder.path().join("bench.db");
    let size = || std::fs::metadata(&file).map_or(0, |meta| meta.len());
    let full = size();
    let begin = Instant::now();
    // The server looks after its file every fifteen seconds.
    while size() >= full && begin.elapsed() < Duration::from_secs(20) {
        flood(server.ingress, 4, Arc::clone(&post), 202, Duration::from_millis(200)).await?;
    }
    let shrinks = || size() < full && size() > full / 8;
    let found = share(bench, &server, idle, &Beside::While(&shrinks)).await?;
    tell(bench, format!("ingress while the space of {} messages is given back", thousands(rows as f64)), found);
    bench.table.note("the file meanwhile", format!("{} MB, then {} MB", full >> 20, size() >> 20));
    server.stop()
}

async fn copying(bench: &mut Bench, idle: &Server) -> io::Result<()> {
    let rows = bench.large;
    let folder = bench.fresh_folder()?;
    let server = Server::start(Keep::Durable, folder.path(), bench.sink.addr).await?;
    publish(server.admin, "/in", rows, 512).await?;
    let found = share(bench, &server, idle, &Beside::Backups(folder.path())).await?;
    tell(bench, format!("ingress while {} messages are backed up", thousands(rows as f64)), found);
    let begin = Instant::now();
    let mut child = backup(folder.path())?;
    while child.try_wait()?.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bench.table.note("a backup without load", format!("{:.1} s", begin.elapsed().as_secs_f64()));
    server.stop()
}

/// Backups, one after the other.
struct Backups<'f> {
    folder: &'f Path,
    child: Child,
}

impl<'f> Backups<'f> {
    fn start(folder: &'f Path) -> io::Result<Self> {
        Ok(Self { folder, child: backup(folder)? })
    }

    /// Carries on as long as the work does, then waits for the last one.
    async fn beside<T>(&mut self, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let mut work = std::pin::pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                () = tokio::time::sleep(Duration::from_millis(10)) => {
                    if let Some(status) = self.child.try_wait()? {
                        expect(status)?;
                        self.child = backup(self.folder)?;
                    }
                }
            }
        };
        expect(self.child.wait()?)?;
        done
    }
}

fn expect(status: std::process::ExitStatus) -> io::Result<()> {
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("the backup failed: {status}"))) }
}

fn backup(folder: &Path) -> io::Result<Child> {
    let mut command = Command::new(product()?);
    command.args(["db", "backup", "--force", "--db"]).arg(folder.join("bench.db")).arg(folder.join("copy.db"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()
}
