//! A table over a memory store, requests to it, and what came of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookaido_auth::FixedSecrets;
use hookaido_http::{Body, ByteBudget, Request, RequestBody, Response};
use hookaido_model::config::{
    AccessLog, AdaptiveBackpressure, AdminApi, Channel, Config, DropPolicy, Egress, Front, Ingress, IngressAuth,
    LogOutput, Match, Observability, PublishPolicy, PullApi, PullLimits, PullRoute, QueueBackend, QueueLimits,
    Retention, Retentions, Route, RoutePublish, RouteWork, RuntimeLog, TrendSignals,
};
use hookaido_model::{Content, JsonMap, Lane, ManualClock, Redelivery, SecretRef, State, UnixMillis};
use hookaido_pull::{Parts, Table, handle};
use hookaido_queue::store::{ListQuery, NewMessage, Store};
use hookaido_queue::{MemoryStore, Queue, QueueSettings};
use hookaido_telemetry::{Metrics, PullRouteCounts};
use http_body::Body as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// The world around a table.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) queue: Queue,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop: CancellationToken,
    pub(crate) limits: PullLimits,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new()))
    }

    pub(crate) fn over(store: Arc<dyn Store>) -> Self {
        let clock = ManualClock::at(NOW);
        let settings = QueueSettings { limits: no_limit(), retentions: keep_all() };
        let (metrics, _exporter) = Metrics::new();
        let limits = PullLimits {
            max_batch: 100,
            max_lease_batch: 3,
            default_lease_ttl: Duration::from_secs(30),
            max_lease_ttl: None,
            default_max_wait: Duration::ZERO,
            max_wait: None,
            sse_keepalive: None,
            sse_max_connection: None,
        };
        let queue = Queue::new(store, Arc::new(clock.clone()), settings);
        Self { clock, queue, metrics, stop: CancellationToken::new(), limits }
    }

    /// A table of routes `/a`, `/b`, ... with these tokens of their own; the API has the token `tok`.
    pub(crate) async fn table(&self, tokens: &[&str]) -> Arc<Table> {
        self.table_for("", "tok", tokens).await
    }

    pub(crate) async fn table_for(&self, prefix: &str, token: &str, tokens: &[&str]) -> Arc<Table> {
        let routes: Vec<Route> = ["/a", "/b", "/c"].iter().zip(tokens).map(|(path, own)| route(path, own)).collect();
        let pairs = routes.iter().map(|route| (Arc::clone(&route.path), Arc::from("pull"))).collect();
        let lanes = self.queue.lanes(pairs).await.unwrap();
        let api = PullApi {
            listen: ":9443".to_owned(),
            tls: None,
            prefix: prefix.to_owned(),
            grpc_listen: None,
            auth_tokens: refs(token),
            limits: self.limits.clone(),
            front: Front::default(),
        };
        let parts = Parts {
            config: &config(Some(api), routes),
            lane: &|route, _| -> Option<Arc<Lane>> { lanes.iter().find(|lane| *lane.route == *route).cloned() },
            secrets: &FixedSecrets::default(),
            queue: &self.queue,
            metrics: &self.metrics,
            bodies: &ByteBudget::new(1 << 20),
            stop: self.stop.clone(),
        };
        Arc::new(Table::build(&parts).unwrap())
    }

    /// Puts messages into a route.
    pub(crate) async fn put(&self, route: &str, bodies: &[&str]) {
        let lane = self.queue.lanes(vec![(route.into(), "pull".into())]).await.unwrap()[0].id;
        let now = self.queue.clock().now();
        let message = |body: &&str| NewMessage {
            lanes: std::iter::once(lane).collect(),
            id: None,
            content: Content {
                payload: Bytes::copy_from_slice(body.as_bytes()),
                headers: JsonMap::from_pairs([("Content-Type", "text/plain")]),
                trace: JsonMap::default(),
            },
            received_at: now,
            next_run_at: now,
        };
        self.queue.enqueue(bodies.iter().map(message).collect()).await.unwrap();
    }

    /// How many messages are in this state.
    pub(crate) async fn count(&self, state: State) -> usize {
        let query = ListQuery { states: vec![state], limit: 1000, ..ListQuery::default() };
        self.queue.list(query).await.unwrap().len()
    }

    pub(crate) fn counts(&self, route: &str) -> PullRouteCounts {
        self.metrics.pull.route(route).snapshot()
    }
}

/// A POST with the token `tok`.
pub(crate) async fn post(table: &Arc<Table>, path: &str, body: &str) -> (u16, Value) {
    call(table, request("POST", path, Some("tok"), body)).await
}

/// Leases messages and gives their lease ids.
pub(crate) async fn lease(table: &Arc<Table>, path: &str, batch: u32) -> Vec<String> {
    let (status, body) = post(table, path, &format!("{{\"batch\":{batch}}}")).await;
    assert_eq!(status, 200, "{body}");
    let items = body["items"].as_array().unwrap();
    items.iter().map(|item| item["lease_id"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn request(method: &str, path: &str, token: Option<&str>, body: &str) -> Request {
    let mut request = http::Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    request.body(RequestBody::full(body.to_owned())).unwrap()
}

/// Status and JSON of an answer; `null` for an empty one.
pub(crate) async fn call(table: &Arc<Table>, request: Request) -> (u16, Value) {
    let response = handle(table, request).await;
    let status = response.status().as_u16();
    let body = response.body().as_bytes().unwrap();
    let json = if body.is_empty() { Value::Null } else { serde_json::from_slice(body).unwrap() };
    (status, json)
}

/// A stream that is read.
pub(crate) struct Stream(Body);

impl Stream {
    pub(crate) async fn open(table: &Arc<Table>, path: &str) -> Self {
        let response: Response = handle(table, request("GET", path, Some("tok"), "")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(response.into_body())
    }

    /// The next piece of text; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut self.0).poll_frame(cx)).await?;
        Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
    }

    /// Reads for as long as nothing comes.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(1), self.next()).await.is_err()
    }
}

/// The payload of an event.
pub(crate) fn data(event: &str) -> Value {
    let line = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    serde_json::from_str(line).unwrap()
}

fn refs(token: &str) -> Vec<SecretRef> {
    Some(token).filter(|token| !token.is_empty()).map(|token| SecretRef::Raw(token.into())).into_iter().collect()
}

fn route(path: &str, token: &str) -> Route {
    Route {
        path: format!("/hooks{path}").into(),
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
            auth_tokens: refs(token),
            redelivery: Redelivery::default(),
        }),
    }
}

fn no_limit() -> QueueLimits {
    QueueLimits { max_depth: None, drop_policy: DropPolicy::Reject }
}

fn keep_all() -> Retentions {
    let off = Retention::default();
    Retentions { queued: off, delivered: off, dead: off, attempts: off, prune_interval: Duration::from_secs(60) }
}

fn ingress() -> Ingress {
    Ingress { listen: ":8080".to_owned(), tls: None, rate_limit: None, client_limit: None, front: Front::default() }
}

/// All of a configuration that is not pulled from is empty or off.
fn config(pull_api: Option<PullApi>, routes: Vec<Route>) -> Config {
    Config {
        ingress: ingress(),
        pull_api,
        admin_api: AdminApi {
            listen: ":2019".to_owned(),
            tls: None,
            prefix: String::new(),
            auth_tokens: Vec::new(),
            front: Front::default(),
        },
        queue_limits: no_limit(),
        retentions: keep_all(),
        backend: QueueBackend::Memory,
        egress: Egress {
            https_only: true,
            redirects: false,
            dns_rebind_protection: true,
            allow: Vec::new(),
            deny: Vec::new(),
        },
        publish_policy: PublishPolicy {
            direct: true,
            managed: true,
            allow_pull_routes: true,
            allow_deliver_routes: true,
            require_actor: false,
            require_request_id: false,
            fail_closed: false,
            actor_allow: Vec::new(),
            actor_prefix: Vec::new(),
        },
        trend_signals: TrendSignals {
            window: Duration::from_secs(900),
            expected_capture_interval: Duration::from_secs(60),
            stale_grace_factor: 3,
            sustained_growth_consecutive: 3,
            sustained_growth_min_samples: 5,
            sustained_growth_min_delta: 10,
            recent_surge_min_total: 20,
            recent_surge_min_delta: 10,
            recent_surge_percent: 50,
            dead_share_high_min_total: 10,
            dead_share_high_percent: 20,
            queued_pressure_min_total: 20,
            queued_pressure_percent: 75,
            queued_pressure_leased_multiplier: 2,
        },
        adaptive_backpressure: AdaptiveBackpressure {
            enabled: false,
            min_total: 200,
            queued_percent: 80,
            ready_lag: Duration::from_secs(30),
            oldest_queued_age: Duration::from_secs(60),
            sustained_growth: false,
        },
        max_body: 1 << 20,
        max_headers: 1 << 16,
        observability: Observability {
            access_log: AccessLog { enabled: false, output: LogOutput::Stderr },
            runtime_log: RuntimeLog { level: None, output: LogOutput::Stderr },
            metrics: None,
            tracing: None,
        },
        secrets: std::collections::BTreeMap::new(),
        vars: std::collections::BTreeMap::new(),
        routes,
    }
}
