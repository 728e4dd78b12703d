//! The page that Prometheus scrapes.

use std::sync::Arc;
use std::time::Duration;

use hookaido_http::{Body, Handler, Peer, Reply, Request, Response, clean_path};
use hookaido_model::{Clock, PULL_TARGET, State};
use hookaido_queue::Queue;
use hookaido_queue::store::Stats;
use hookaido_telemetry::{Metrics, MetricsExporter, QueueGauges};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

/// Answers every method at and below its prefix, as the reference does.
#[derive(Debug)]
pub(crate) struct MetricsEndpoint {
    pub(crate) prefix: String,
    pub(crate) queue: Queue,
    pub(crate) ingress: Arc<hookaido_ingress::State>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) exporter: Arc<MetricsExporter>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Handler for MetricsEndpoint {
    fn handle(&self, request: Request, _peer: &Arc<Peer>) -> Reply {
        let path = clean_path(request.uri().path()).into_owned();
        let below = path.strip_prefix(self.prefix.trim_end_matches('/'));
        if !below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Reply::ready(response);
        }
        let (queue, metrics) = (self.queue.clone(), Arc::clone(&self.metrics));
        let (exporter, clock) = (Arc::clone(&self.exporter), Arc::clone(&self.clock));
        metrics.ingress.set_rate_limit_clients(self.ingress.limited_clients());
        Reply::later(async move {
            if let Ok(stats) = queue.stats().await {
                metrics.set_queue(&gauges(&stats, clock.as_ref()));
                held(&metrics, &stats);
            }
            let mut response = Response::new(Body::full(exporter.render()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MetricsExporter::CONTENT_TYPE));
            response
        })
    }
}

/// Corrects the number of leases that workers hold: cancels end leases, and restarts forget them.
fn held(metrics: &Metrics, stats: &Stats) {
    for lane in stats.lanes.iter().filter(|lane| *lane.lane.target == *PULL_TARGET) {
        let leased = lane.counts.get(usize::from(State::Leased.code())).copied().unwrap_or(0);
        metrics.pull.route(&lane.lane.route).set_lease_active(leased);
    }
}

/// Depth and ages over all lanes.
fn gauges(stats: &Stats, clock: &dyn Clock) -> QueueGauges {
    let now = clock.now();
    let count = |state: State| stats.lanes.iter().filter_map(|l| l.counts.get(usize::from(state.code()))).sum::<u64>();
    let oldest = stats.lanes.iter().filter_map(|lane| lane.oldest_queued_received_at).min();
    let ready = stats.lanes.iter().filter_map(|lane| lane.earliest_queued_next_run_at).min();
    QueueGauges {
        queued: count(State::Queued),
        leased: count(State::Leased),
        dead: count(State::Dead),
        total: State::ALL.into_iter().map(count).sum(),
        oldest_queued_age: oldest.map_or(Duration::ZERO, |at| now.since(at)),
        ready_lag: ready.map_or(Duration::ZERO, |at| now.since(at)),
    }
}
