//! What lives as long as the process: queue, metrics, clock, secrets, dispatcher, and what services keep across reloads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hookaido_auth::{NonceStore, RuntimeSecrets, SecretResolver, SecretSource};
use hookaido_config::{Environment, ProcessEnvironment};
use hookaido_dispatch::{Caller, DispatchParts, Dispatcher, SystemResolver};
use hookaido_http::ByteBudget;
use hookaido_model::config::{Config, QueueBackend};
use hookaido_model::{Clock, PULL_TARGET, SystemClock};
use hookaido_queue::store::{ReclaimedLane, Rules, Store};
use hookaido_queue::{MemoryBounds, MemoryStore, Queue, QueueSettings};
use hookaido_queue_sqlite::{SqliteOptions, SqliteStore};
use hookaido_telemetry::{LogHandles, Metrics, MetricsExporter, PullDeath};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::logs::Logs;
use crate::supervisor::{Command, Commands, commands};
use crate::{StartError, WorkerGrpc};

/// Bytes of request bodies under way, over all connections.
const BODY_BUDGET: u64 = 256 << 20;
/// Time that deliveries in flight are given at the end.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);

/// Where messages are kept.
pub(crate) struct Opened<'a> {
    /// A store that the caller brings.
    pub(crate) given: Option<Arc<dyn Store>>,
    /// Else the file of the SQLite backend.
    pub(crate) path: &'a Path,
}

pub(crate) struct App {
    pub(crate) queue: Queue,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) exporter: Arc<MetricsExporter>,
    pub(crate) environment: Arc<ProcessEnvironment>,
    pub(crate) secrets: Arc<SecretResolver>,
    /// Those that the admin API adds.
    pub(crate) runtime_secrets: Arc<RuntimeSecrets>,
    /// To the supervisor.
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) dispatcher: Dispatcher,
    /// Asks authentication servers.
    pub(crate) caller: Caller,
    pub(crate) bodies: ByteBudget,
    pub(crate) ingress: Arc<hookaido_ingress::State>,
    /// The pulled routes that are served at present.
    pub(crate) pull: Mutex<Option<Arc<hookaido_pull::Table>>>,
    pub(crate) worker_grpc: Option<WorkerGrpc>,
    pub(crate) admin: Arc<hookaido_admin::State>,
    pub(crate) logs: Logs,
    /// Everything that is spawned for the whole life of the process.
    pub(crate) tasks: TaskTracker,
    /// Work of requests whose sender may be gone; finished before the queue closes.
    pub(crate) requests: TaskTracker,
    /// Cancelled first: no new work.
    pub(crate) stop: CancellationToken,
    /// Cancelled when all services have ended.
    pub(crate) upkeep: CancellationToken,
}

impl App {
    /// Opens the queue and makes the parts that outlive every configuration.
    pub(crate) fn open(
        store: Opened<'_>,
        config: &Config,
        environment: Arc<ProcessEnvironment>,
        logs: &Logs,
        worker_grpc: Option<WorkerGrpc>,
    ) -> Result<(Self, Commands), StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (metrics, exporter) = Metrics::new();
        metrics.set_process(env!("CARGO_PKG_VERSION"), clock.now());
        let path = store.path;
        let durable = store.given.is_none() && config.backend == QueueBackend::Sqlite;
        let store = open_store(store, config, &clock, &metrics)?;
        tracing::info!(target: "hookaido", backend = store.backend(), "queue_backend_selected");
        let queue = Queue::new(store, Arc::clone(&clock), settings(config));
        let secrets = Arc::new(crate::environment::secrets(&environment));
        let resolver = Arc::new(SystemResolver::default());
        // its own resolver, so that look-ups of push never hold up ingress
        let caller = Caller::new(Arc::new(SystemResolver::default()), Arc::clone(&clock));
        let dispatcher = Dispatcher::new(DispatchParts {
            queue: queue.clone(),
            metrics: Arc::clone(&metrics),
            secrets: Arc::clone(&secrets) as Arc<dyn SecretSource>,
            resolver,
            jitter: Arc::new(jitter),
            drain: DRAIN,
            path: environment.var("PATH").unwrap_or_default().into(),
        });
        let beside = durable.then(|| path_beside(path, "-secrets"));
        let runtime_secrets = Arc::new(crate::secrets::runtime(&environment, beside));
        let (commands, receiver) = commands();
        let bodies = ByteBudget::new(BODY_BUDGET);
        let requests = TaskTracker::new();
        let ingress = ingress_state(path, durable, &bodies, &requests, clock.as_ref())?;
        let app = Self {
            ingress,
            pull: Mutex::default(),
            worker_grpc,
            admin: hookaido_admin::State::new(),
            queue,
            clock,
            metrics,
            exporter: Arc::new(exporter),
            environment,
            secrets,
            runtime_secrets,
            commands,
            dispatcher,
            caller,
            bodies,
            logs: logs.clone(),
            tasks: TaskTracker::new(),
            requests,
            stop: CancellationToken::new(),
            upkeep: CancellationToken::new(),
        };
        app.spawn_watchers();
        Ok((app, receiver))
    }

    /// Begins to take care of the queue. Leases that ran out while nobody ran are taken back first of all, by these rules.
    pub(crate) fn keep_queue(&self, rules: Rules) {
        self.queue.set_rules(rules);
        let metrics = Arc::clone(&self.metrics);
        self.queue.on_reclaimed(move |lane| ran_out(&metrics, lane));
        let (queue, stop) = (self.queue.clone(), self.upkeep.clone());
        self.keep_running("queue_upkeep", &self.upkeep, move || queue.clone().run_upkeep(stop.clone()));
    }

    /// What else runs beside the services until all of them have ended.
    fn spawn_watchers(&self) {
        let (queue, admin, stop) = (self.queue.clone(), Arc::clone(&self.admin), self.upkeep.clone());
        self.keep_running("sampling", &self.upkeep, move || {
            crate::sampling::run(queue.clone(), Arc::clone(&admin), stop.clone())
        });
        let (ingress, queue, stop) = (Arc::clone(&self.ingress), self.queue.clone(), self.upkeep.clone());
        self.keep_running("queue_watch", &self.upkeep, move || {
            Arc::clone(&ingress).watch_queue(queue.clone(), stop.clone())
        });
        let (exporter, metrics) = (Arc::clone(&self.exporter), Arc::clone(&self.metrics));
        let (logs, ingress) = (Arc::clone(&self.logs.handles), Arc::clone(&self.ingress));
        let stop = self.upkeep.clone();
        self.keep_running("metrics_upkeep", &self.upkeep, move || {
            let kept = (Arc::clone(&exporter), Arc::clone(&metrics));
            metrics_upkeep(kept, Arc::clone(&logs), Arc::clone(&ingress), stop.clone())
        });
    }
}

/// Counts leases that ran out in the hands of workers.
fn ran_out(metrics: &Metrics, ReclaimedLane { lane, expired, died }: &ReclaimedLane) {
    if *lane.target != *PULL_TARGET {
        return;
    }
    let route = metrics.pull.route(&lane.route);
    route.lease_expired(*expired);
    route.died(PullDeath::MaxReceives, *died);
    if *died > 0 {
        let (route, messages) = (&*lane.route, *died);
        tracing::warn!(target: "hookaido", route, messages, reason = "max_receives", "pull_dead");
    }
}

/// Folds what was measured into the families, and counts lines that the logs had no room for.
async fn metrics_upkeep(
    (exporter, metrics): (Arc<MetricsExporter>, Arc<Metrics>),
    logs: Arc<LogHandles>,
    ingress: Arc<hookaido_ingress::State>,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        exporter.upkeep();
        metrics.set_log_drops(logs.dropped());
        ingress.trim_clients();
        metrics.ingress.set_rate_limit_clients(ingress.limited_clients());
    }
}

/// What ingress keeps across reloads. Beside a queue file the used nonces are kept across restarts too.
fn ingress_state(
    database: &Path,
    durable: bool,
    bodies: &ByteBudget,
    requests: &TaskTracker,
    clock: &dyn Clock,
) -> Result<Arc<hookaido_ingress::State>, StartError> {
    if !durable {
        return Ok(hookaido_ingress::State::new(bodies.clone(), requests.clone()));
    }
    let path = path_beside(database, "-nonces");
    let nonces = NonceStore::open(&path, clock.now()).map_err(|error| {
        StartError::Queue(format!("cannot open the file of used nonces {}: {error}", path.display()))
    })?;
    Ok(hookaido_ingress::State::with_nonces(bodies.clone(), requests.clone(), nonces))
}

/// A file beside the queue's.
fn path_beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What the configuration says about the queue.
pub(crate) fn settings(config: &Config) -> QueueSettings {
    QueueSettings { limits: config.queue_limits, retentions: config.retentions }
}

fn open_store(
    store: Opened<'_>,
    config: &Config,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
) -> Result<Arc<dyn Store>, StartError> {
    if let Some(given) = store.given {
        return Ok(given);
    }
    match config.backend {
        QueueBackend::Memory => {
            let bounds = MemoryBounds::beside(config.queue_limits.max_depth);
            Ok(Arc::new(MemoryStore::with_metrics(Arc::clone(&metrics.store)).bounded(bounds)))
        }
        QueueBackend::Sqlite => {
            let options = SqliteOptions::default();
            let opened = SqliteStore::open(store.path, &options, Arc::clone(clock), Arc::clone(&metrics.store));
            let opened = opened.map_err(|error| StartError::Queue(error.to_string()))?;
            Ok(opened)
        }
        QueueBackend::Postgres => Err(StartError::Queue("queue backend postgres is not supported yet".to_owned())),
    }
}

/// A random number from -1 to 1.
fn jitter() -> f64 {
    let mut bytes = [0; 4];
    if getrandom::fill(&mut bytes).is_err() {
        return 0.0;
    }
    f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX) * 2.0 - 1.0
}
