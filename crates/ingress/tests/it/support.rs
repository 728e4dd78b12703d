//! A table over a memory store, requests to it, and what came of them.

pub(crate) mod asked;
pub(crate) mod gated;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hookaido_auth::{FixedSecrets, SecretPools};
use hookaido_http::{ByteBudget, Peer, Request, RequestBody, Response};
use hookaido_ingress::{BuildError, Parts, State, Table, handle};
use hookaido_model::config::{
    AdaptiveBackpressure, Channel, Delivery, DropPolicy, Front, HttpDelivery, Ingress, IngressAuth, Match, PullRoute,
    QueueBackend, QueueLimits, RateLimit, Retention, Retentions, Route, RoutePublish, RouteWork, Transport,
};
use hookaido_model::{Clock, Lane, ManualClock, Redelivery, RetryPolicy, UnixMillis};
use hookaido_queue::store::Store;
use hookaido_queue::{LeaseWish, MemoryStore, Queue, QueueSettings};
use hookaido_telemetry::Metrics;
use tokio_util::task::TaskTracker;

pub(crate) const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// The world around a table.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) queue: Queue,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) state: Arc<State>,
    pub(crate) tasks: TaskTracker,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) client_limit: Option<RateLimit>,
    pub(crate) front: Front,
    pub(crate) pools: SecretPools,
    pub(crate) adaptive_backpressure: AdaptiveBackpressure,
    /// Who is asked by routes with `auth forward`.
    pub(crate) asked: asked::Asked,
}

/// A message as a worker gets it.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) body: Vec<u8>,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) trace: HashMap<String, String>,
    pub(crate) received_at: UnixMillis,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_limits(QueueLimits { max_depth: None, drop_policy: DropPolicy::Reject })
    }

    pub(crate) fn with_limits(limits: QueueLimits) -> Self {
        let clock = ManualClock::at(NOW);
        Self::with_store(Arc::new(MemoryStore::new()), clock, limits)
    }

    pub(crate) fn with_store(store: Arc<dyn Store>, clock: ManualClock, limits: QueueLimits) -> Self {
        let off = Retention::default();
        let retentions = Retentions {
            queued: off,
            delivered: off,
            dead: off,
            attempts: off,
            prune_interval: Duration::from_secs(60),
        };
        let (metrics, _exporter) = Metrics::new();
        let tasks = TaskTracker::new();
        Self {
            queue: Queue::new(store, Arc::new(clock.clone()), QueueSettings { limits, retentions }),
            clock,
            metrics,
            state: State::new(ByteBudget::new(1 << 20), tasks.clone()),
            tasks,
            rate_limit: None,
            client_limit: None,
            front: Front::default(),
            pools: SecretPools::default(),
            adaptive_backpressure: pressure_off(),
            asked: asked::Asked::default(),
        }
    }

    pub(crate) async fn try_table(&self, routes: &[Route]) -> Result<Arc<Table>, BuildError> {
        let targets = |route: &Route| match &route.work {
            RouteWork::Pull(_) => vec![Arc::from("pull")],
            RouteWork::Deliver { targets, .. } => targets.iter().map(|delivery| Arc::clone(&delivery.target)).collect(),
        };
        let pairs: Vec<(Arc<str>, Arc<str>)> = routes
            .iter()
            .flat_map(|route| targets(route).into_iter().map(|target| (Arc::clone(&route.path), target)))
            .collect();
        let lanes = self.queue.lanes(pairs).await.unwrap();
        let lane = |route: &str, target: &str| -> Option<Arc<Lane>> {
            lanes.iter().find(|lane| *lane.route == *route && *lane.target == *target).cloned()
        };
        let ingress = self.ingress();
        let parts = Parts {
            ingress: &ingress,
            adaptive_backpressure: &self.adaptive_backpressure,
            routes,
            lane: &lane,
            secrets: &FixedSecrets::default(),
            pools: &self.pools,
            forward: &|url| self.asked.caller(url),
            queue: &self.queue,
            metrics: &self.metrics,
            state: &self.state,
        };
        Table::build(&parts).map(Arc::new)
    }

    pub(crate) fn ingress(&self) -> Ingress {
        Ingress {
            listen: ":8080".to_owned(),
            tls: None,
            rate_limit: self.rate_limit,
            client_limit: self.client_limit,
            front: self.front.clone(),
        }
    }

    pub(crate) async fn table(&self, routes: &[Route]) -> Arc<Table> {
        self.try_table(routes).await.unwrap()
    }

    /// Takes all ready messages of a pull route.
    pub(crate) async fn stored(&self, route: &str) -> Vec<Stored> {
        self.stored_for(route, "pull").await
    }

    pub(crate) async fn stored_for(&self, route: &str, target: &str) -> Vec<Stored> {
        let lane = self.queue.lanes(vec![(route.into(), target.into())]).await.unwrap()[0].id;
        let wish = LeaseWish { lane, max: 100, ttl: Duration::from_secs(30), max_wait: Duration::ZERO };
        let batch = self.queue.lease(wish).await.unwrap();
        let stored = |envelope: &hookaido_model::Envelope| {
            let content = envelope.content.as_ref().unwrap();
            Stored {
                body: content.payload.to_vec(),
                headers: content.headers.pairs().unwrap().into_iter().collect(),
                trace: content.trace.pairs().unwrap().into_iter().collect(),
                received_at: envelope.received_at,
            }
        };
        batch.keep().iter().map(stored).collect()
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }
}

/// Thresholds that nothing reaches.
pub(crate) fn pressure_off() -> AdaptiveBackpressure {
    AdaptiveBackpressure {
        enabled: false,
        min_total: 3,
        queued_percent: 50,
        ready_lag: Duration::ZERO,
        oldest_queued_age: Duration::ZERO,
        sustained_growth: false,
    }
}

/// A pull route with generous limits.
pub(crate) fn route(path: &str) -> Route {
    Route {
        path: path.into(),
        channel: Channel::Bare,
        matches: Match::default(),
        auth: IngressAuth::None,
        rate_limit: None,
        client_limit: None,
        max_body: 1 << 20,
        max_headers: 1 << 16,
        publish: RoutePublish { enabled: true, direct: true, managed: true },
        managed: None,
        backend: QueueBackend::Memory,
        work: RouteWork::Pull(PullRoute {
            path: path.into(),
            auth_tokens: Vec::new(),
            redelivery: Redelivery::default(),
        }),
    }
}

/// A route that fans out.
pub(crate) fn fan_out(path: &str, targets: &[&str]) -> Route {
    let target = |url: &&str| Delivery {
        target: (*url).into(),
        transport: Transport::Http(HttpDelivery { headers: Vec::new(), signing: None }),
        retry: RetryPolicy { max: 0, base: Duration::ZERO, cap: Duration::ZERO, jitter: 0.0 },
        timeout: Duration::from_secs(1),
    };
    let targets = targets.iter().map(target).collect();
    Route { work: RouteWork::Deliver { concurrency: 1, targets }, ..route(path) }
}

/// A POST.
pub(crate) fn post(path: &str, headers: &[(&str, &str)], body: &str) -> Request {
    request("POST", path, headers, body)
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request {
    let mut request = http::Request::builder().method(method).uri(path).header("Host", "hooks.example.com");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.header("Content-Length", body.len()).body(RequestBody::full(body.to_owned())).unwrap()
}

pub(crate) fn peer() -> Arc<Peer> {
    Arc::new(Peer { addr: "192.0.2.7:4711".parse().unwrap(), local: "192.0.2.1:8080".parse().unwrap(), tls: None })
}

/// The same from another address.
pub(crate) async fn send_from(table: &Arc<Table>, request: Request, address: &str) -> Response {
    let addr = std::net::SocketAddr::new(address.parse().unwrap(), 4711);
    handle(table, request, &Arc::new(Peer { addr, ..(*peer()).clone() })).await
}

pub(crate) async fn send(table: &Arc<Table>, request: Request) -> Response {
    handle(table, request, &peer()).await
}

/// The status of an answer.
pub(crate) async fn status(table: &Arc<Table>, request: Request) -> u16 {
    send(table, request).await.status().as_u16()
}

pub(crate) fn text(response: &Response) -> &str {
    std::str::from_utf8(response.body().as_bytes().unwrap()).unwrap()
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}
