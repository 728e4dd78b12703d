//! Metrics, logs and their sinks.
//!
//! [`Metrics`] holds every family; services record into it with an atomic add, and [`MetricsExporter`] renders the Prometheus text.
//! [`init_logs`] sets up the runtime log (events of `tracing` as JSON lines) and the access log. Nothing here decides anything: no limit,
//! no policy. Labels come from the configuration or from closed enums only, never from a request.

pub mod log;
pub mod metrics;

pub use log::access::{AccessLine, AccessLog, ClientLine};
pub use log::{LogDrops, LogError, LogHandles, build_logs, init_logs};
pub use metrics::delivery::{DeliveryCounts, DeliveryMetrics};
pub use metrics::http::HttpMetrics;
pub use metrics::ingress::{IngressCounts, IngressMetrics, IngressReject, Pressure};
pub use metrics::publish::{PublishCounts, PublishMetrics, PublishReject};
pub use metrics::pull::{PullCounts, PullDeath, PullMetrics, PullRouteCounts, PullRouteMetrics};
pub use metrics::store::{Backend, ErrorKind, StoreCounts, StoreMetrics, StoreOp};
pub use metrics::{Metrics, MetricsExporter, QueueGauges, TracingCounts};
