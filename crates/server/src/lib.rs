//! Build, run, reload and drain one instance.
//!
//! `Options -> load -> open the store -> build the tables -> bind -> serve -> drain`, in that order and as a list one can read in
//! [`run_on`]. Owns the only place where anything changes while running: the supervisor, fed by a closed set of commands.
//! Called by `cli`; the measuring tools call it with a store of their own.

mod app;
mod certificates;
mod descriptors;
mod endpoints;
mod environment;
mod error;
mod forward;
mod generation;
mod listeners;
mod load;
mod logs;
mod metrics_endpoint;
mod pid_file;
mod rewrite;
mod sampling;
mod secrets;
mod services;
mod stop;
mod supervisor;
mod tasks;
mod vault;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use hookaido_http::Handler;
use hookaido_model::config::LogLevel;
use hookaido_pull::Table;
use hookaido_queue::store::Store;

pub use environment::{DotenvError, environment, secrets};
pub use error::StartError;

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// The queue file of the SQLite backend.
    pub db: PathBuf,
    /// Wins over the level in the file.
    pub log_level: Option<LogLevel>,
    /// Written while running.
    pub pid_file: Option<PathBuf>,
    /// Reload when the configuration file changes.
    pub watch: bool,
    /// Variables behind those of the process.
    pub dotenv: Option<PathBuf>,
    /// The gRPC worker API, where the program was built with it; it lies beside this crate and not below.
    pub worker_grpc: Option<WorkerGrpc>,
}

/// Makes the gRPC worker API over the pulled routes of a configuration.
pub type WorkerGrpc = fn(Arc<Table>) -> Arc<dyn Handler>;

/// Serves until told to stop, on the backend that the configuration names. Blocks.
///
/// # Errors
/// Why it did not start; the same is in the log.
pub fn run(options: &Options) -> Result<(), StartError> {
    start(options, None)
}

/// As [`run`], on a given store.
///
/// # Errors
/// Why it did not start; the same is in the log.
pub fn run_on(options: &Options, store: Arc<dyn Store>) -> Result<(), StartError> {
    start(options, Some(store))
}

fn start(options: &Options, store: Option<Arc<dyn Store>>) -> Result<(), StartError> {
    let logs = logs::Logs::start(options.log_level)?;
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("hookaido")
        .build()
        .map_err(StartError::Runtime)
        .and_then(|runtime| {
            let result = runtime.block_on(serve(options, store, &logs));
            runtime.shutdown_timeout(std::time::Duration::from_millis(200));
            result
        });
    if let Err(error) = &result {
        error.log();
    }
    logs.flush();
    result
}

async fn serve(options: &Options, store: Option<Arc<dyn Store>>, logs: &logs::Logs) -> Result<(), StartError> {
    let environment = Arc::new(environment(options.dotenv.as_deref())?);
    let loaded = load::load_first(&options.config, &environment, options.worker_grpc.is_some())?;
    // Before the log follows the file, so that even one that wants no log shows what is doubtful in it.
    load::log_warnings(&loaded);
    logs.follow(&loaded.config.observability)?;
    // Before the pid file or a listener can invite a signal.
    let signals = stop::Signals::catch().map_err(StartError::Runtime)?;
    let pid_file = options.pid_file.as_deref().map(pid_file::PidFile::create).transpose();
    let _pid_file = pid_file.map_err(StartError::PidFile)?;
    let store = app::Opened { given: store, path: &options.db };
    let (app, commands) = app::App::open(store, &loaded.config, environment, logs, options.worker_grpc)?;
    let mut generation = app.build(&loaded, 1).await?;
    app.adopt_secrets(&mut generation, &loaded.config);
    app.keep_queue(generation.rules.clone());
    let running = listeners::Running::start(&app, &loaded.config, &generation)?;
    app.activate(generation);
    supervisor::supervise(options, (app, commands), running, loaded, signals).await;
    Ok(())
}
