//! `make bench`: the figures of docs/performance.md as ratios from one run on loopback.
//!
//! Starts the release binary and the same server with a store that keeps nothing, loads both in turn, and prints a table of
//! measures, ratios and bars. Bounded in count and time; everything it writes is in a temporary folder of the working directory.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a measuring tool: figures are rounded, tasks end with the process"
)]

mod client;
mod config;
mod cost;
mod ingress;
mod load;
mod nothing;
mod process;
mod queue;
mod sink;
mod table;
mod upkeep;
mod waiters;
mod workers;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What every measure needs.
pub(crate) struct Bench {
    table: table::Table,
    sink: sink::Sink,
    /// Time of one round of load.
    time: Duration,
    /// Messages of the large queue.
    large: u64,
    folder: tempfile::TempDir,
}

impl Bench {
    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn fresh_folder(&self) -> io::Result<tempfile::TempDir> {
        tempfile::tempdir_in(self.folder())
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.peek().is_some_and(|first| first == "serve-nothing") {
        return serve_nothing();
    }
    let arguments: Vec<String> = arguments.collect();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(measure(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("bench: {error}");
    ExitCode::FAILURE
}

/// `bench [--quick] [--large N] [ingress] [cost] [queue] [upkeep] [waiters] [config]`
async fn measure(arguments: &[String]) -> io::Result<()> {
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let after = |name: &str| arguments.iter().skip_while(|a| *a != name).nth(1).and_then(|n| n.parse().ok());
    let mut bench = Bench {
        table: table::Table::default(),
        sink: sink::Sink::start().await?,
        time: Duration::from_secs(if has("--quick") { 1 } else { 4 }),
        large: after("--large").unwrap_or(if has("--quick") { 200_000 } else { 1_000_000 }),
        folder: tempfile::tempdir_in(".")?,
    };
    let all = !["ingress", "cost", "queue", "upkeep", "waiters", "config"].into_iter().any(has);
    let mut durable_64 = 0.0;
    if all || has("ingress") {
        durable_64 = ingress::measure(&mut bench).await?.durable_64;
    }
    if all || has("cost") {
        cost::measure(&mut bench).await?;
    }
    if all || has("queue") {
        queue::measure(&mut bench, durable_64).await?;
    }
    if all || has("upkeep") {
        upkeep::measure(&mut bench).await?;
    }
    if all || has("waiters") {
        waiters::measure(&mut bench).await?;
    }
    if all || has("config") {
        config::measure(&mut bench)?;
    }
    bench.table.print();
    Ok(())
}

/// The other side of every comparison: this program as a server whose store keeps nothing.
fn serve_nothing() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(config) = arguments.iter().skip_while(|argument| *argument != "--config").nth(1) else {
        return fail(&io::Error::other("serve-nothing needs --config"));
    };
    let options = hookaido_server::Options { config: config.into(), ..hookaido_server::Options::default() };
    match hookaido_server::run_on(&options, Arc::new(nothing::Nothing)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}
