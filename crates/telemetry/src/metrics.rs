//! Every metric family, and the exporter that renders them.
//!
//! Recording is one relaxed atomic add on a cell of our own; the exporter copies the cells into the Prometheus recorder when it renders.
//! So a count is readable elsewhere (`/healthz?details=1`) and costs the hot path nothing more. There is no global recorder: a process
//! may hold several [`Metrics`], as tests do.

pub(crate) mod cell;
pub mod delivery;
pub mod http;
pub mod ingress;
pub mod publish;
pub mod pull;
pub mod store;

use std::sync::Arc;
use std::time::Duration;

use hookaido_model::UnixMillis;
use metrics::Gauge;

use self::cell::{Count, Registry};
use self::delivery::DeliveryMetrics;
use self::http::HttpMetrics;
use self::ingress::IngressMetrics;
use self::publish::PublishMetrics;
use self::pull::PullMetrics;
use self::store::StoreMetrics;
use crate::LogDrops;

/// The version of the families, as dashboards know it.
const SCHEMA: &str = "1.3.0";

/// All families of one process.
#[derive(Debug)]
pub struct Metrics {
    /// What ingress answered.
    pub ingress: IngressMetrics,
    /// What the pull API answered, by route.
    pub pull: PullMetrics,
    /// What push did.
    pub delivery: DeliveryMetrics,
    /// What operators published.
    pub publish: PublishMetrics,
    /// What the store did. Shared with the store, which outlives nothing but is opened before the services.
    pub store: Arc<StoreMetrics>,
    /// Connections of the listeners.
    pub http: HttpMetrics,
    process: Process,
    queue: Queue,
    registry: Arc<Registry>,
}

/// Depth and age of the queue, as [`Metrics::set_queue`] takes them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QueueGauges {
    /// Messages in state `queued`.
    pub queued: u64,
    /// Messages in state `leased`.
    pub leased: u64,
    /// Messages in state `dead`.
    pub dead: u64,
    /// Messages in any state.
    pub total: u64,
    /// Age of the oldest queued message; zero without one.
    pub oldest_queued_age: Duration,
    /// How long the earliest ready message has been ready; zero without one.
    pub ready_lag: Duration,
}

/// State of the OpenTelemetry export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TracingCounts {
    /// Whether export is configured.
    pub enabled: bool,
    /// Failed set-ups.
    pub init_failures: u64,
    /// Failed exports.
    pub export_errors: u64,
}

#[derive(Debug)]
struct Process {
    start_time: Gauge,
    tracing_enabled: Count,
    tracing_init_failures: Count,
    tracing_export_errors: Count,
    log_dropped: [Count; 3],
}

#[derive(Debug)]
struct Queue {
    depth: [Gauge; 3],
    total: Gauge,
    oldest_age: Gauge,
    ready_lag: Gauge,
}

/// Renders the families. The server calls [`upkeep`](Self::upkeep) every five seconds, scraped or not.
#[derive(Debug)]
pub struct MetricsExporter {
    metrics: Arc<Metrics>,
}

impl Metrics {
    /// A fresh set of families, all at zero, and what renders them.
    #[must_use]
    pub fn new() -> (Arc<Self>, MetricsExporter) {
        let registry = Arc::new(Registry::new());
        let metrics = Arc::new(Self {
            ingress: IngressMetrics::new(&registry),
            pull: PullMetrics::new(),
            delivery: DeliveryMetrics::new(&registry),
            publish: PublishMetrics::new(&registry),
            store: Arc::new(StoreMetrics::new(&registry)),
            http: HttpMetrics::new(&registry),
            process: Process::new(&registry),
            queue: Queue::new(&registry),
            registry,
        });
        (Arc::clone(&metrics), MetricsExporter { metrics })
    }

    /// Says which version runs since when. Called once at start.
    pub fn set_process(&self, version: &str, started_at: UnixMillis) {
        let family = cell::family("hookaido_build_info", "Version that runs; always 1.");
        self.registry.gauge(family, &[("version", version)]).set(1.0);
        self.process.start_time.set(cell::to_f64(u64::try_from(started_at.secs()).unwrap_or(0)));
    }

    /// Sets depth and age of the queue.
    pub fn set_queue(&self, gauges: &QueueGauges) {
        for (gauge, value) in self.queue.depth.iter().zip([gauges.queued, gauges.leased, gauges.dead]) {
            gauge.set(cell::to_f64(value));
        }
        self.queue.total.set(cell::to_f64(gauges.total));
        self.queue.oldest_age.set(gauges.oldest_queued_age.as_secs_f64());
        self.queue.ready_lag.set(gauges.ready_lag.as_secs_f64());
    }

    /// Says whether OpenTelemetry export is configured.
    pub fn set_tracing_enabled(&self, enabled: bool) {
        self.process.tracing_enabled.set(u64::from(enabled));
    }

    /// Setting up the export failed.
    pub fn tracing_init_failed(&self) {
        self.process.tracing_init_failures.add(1);
    }

    /// An export failed.
    pub fn tracing_export_failed(&self) {
        self.process.tracing_export_errors.add(1);
    }

    /// State of the OpenTelemetry export.
    #[must_use]
    pub fn tracing(&self) -> TracingCounts {
        TracingCounts {
            enabled: self.process.tracing_enabled.get() > 0,
            init_failures: self.process.tracing_init_failures.get(),
            export_errors: self.process.tracing_export_errors.get(),
        }
    }

    /// Expired runtime secrets of a pool were removed; the pool's name comes from the configuration.
    pub fn secrets_pruned(&self, pool: &str, n: u64) {
        let family =
            cell::family("hookaido_runtime_secret_gc_pruned_total", "Expired runtime secrets removed, by pool.");
        self.registry.add_to(family, &[("pool", pool)], n);
    }

    /// Log lines dropped so far; taken over from [`LogHandles::dropped`](crate::LogHandles::dropped) now and then.
    pub fn set_log_drops(&self, drops: LogDrops) {
        for (cell, value) in self.process.log_dropped.iter().zip([drops.access, drops.runtime, drops.failed]) {
            cell.set(value);
        }
    }
}

impl MetricsExporter {
    /// Content type of [`render`](Self::render).
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4";

    /// The page that Prometheus scrapes.
    #[must_use]
    pub fn render(&self) -> String {
        self.metrics.pull.export(&self.metrics.registry);
        self.metrics.registry.render()
    }

    /// Folds recorded durations into buckets. Must run every few seconds: without it each recorded duration stays in memory.
    pub fn upkeep(&self) {
        self.metrics.registry.upkeep();
    }
}

impl Process {
    fn new(registry: &Registry) -> Self {
        let family = cell::family;
        registry.gauge(family("hookaido_up", "Always 1 while the process serves."), &[]).set(1.0);
        registry
            .gauge(
                family("hookaido_metrics_schema_info", "Version of the metric families; always 1."),
                &[("schema", SCHEMA)],
            )
            .set(1.0);
        let dropped = family(
            "hookaido_log_lines_dropped_total",
            "Log lines lost: a full buffer of a log, or an output that failed.",
        );
        Self {
            start_time: registry
                .gauge(family("hookaido_start_time_seconds", "Start of the process in Unix seconds."), &[]),
            tracing_enabled: registry.flag(family("hookaido_tracing_enabled", "1 when trace export is configured.")),
            tracing_init_failures: registry
                .count(family("hookaido_tracing_init_failures_total", "Failed set-ups of trace export."), &[]),
            tracing_export_errors: registry
                .count(family("hookaido_tracing_export_errors_total", "Failed trace exports."), &[]),
            log_dropped: ["access", "runtime", "failed"].map(|why| registry.count(dropped, &[("reason", why)])),
        }
    }
}

impl Queue {
    fn new(registry: &Registry) -> Self {
        let family = cell::family;
        let depth = family("hookaido_queue_depth", "Messages by state.");
        Self {
            depth: ["queued", "leased", "dead"].map(|state| registry.gauge(depth, &[("state", state)])),
            total: registry.gauge(family("hookaido_queue_total", "Messages in any state."), &[]),
            oldest_age: registry
                .gauge(family("hookaido_queue_oldest_queued_age_seconds", "Age of the oldest queued message."), &[]),
            ready_lag: registry.gauge(
                family("hookaido_queue_ready_lag_seconds", "Time the earliest ready message has been waiting."),
                &[],
            ),
        }
    }
}
