//! A table over a memory store, requests to it, and what came of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookaido_admin::{
    AdminApi, EndpointChange, EndpointChanged, EndpointChanges, EndpointWork, Generation, Parts, State, Table,
};
use hookaido_auth::{FixedSecrets, RuntimeSecrets};
use hookaido_http::{ByteBudget, Handler, Peer, RequestBody, Response};
use hookaido_model::config::{
    AccessLog, AdaptiveBackpressure, AdminApi as AdminConfig, Channel, Config, Delivery, DropPolicy, Egress, Front,
    HttpDelivery, Ingress, IngressAuth, LogOutput, Managed, Match, Observability, PublishPolicy, PullRoute,
    QueueBackend, QueueLimits, Retention, Retentions, Route, RoutePublish, RouteWork, RuntimeLog, Transport,
    TrendSignals,
};
use hookaido_model::{DeadReason, Envelope, ManualClock, Redelivery, RetryPolicy, SecretRef, UnixMillis};
use hookaido_queue::store::{Settle, Settlement, Store};
use hookaido_queue::{LeaseWish, MemoryStore, Queue, QueueSettings};
use hookaido_telemetry::Metrics;
use serde_json::Value;
use tokio_util::task::TaskTracker;

pub(crate) const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
/// The reason every change needs.
pub(crate) const WHY: (&str, &str) = ("X-Hookaido-Audit-Reason", "test");

/// The world around a table.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) queue: Queue,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) state: Arc<State>,
    pub(crate) secrets: Arc<RuntimeSecrets>,
    pub(crate) endpoints: Arc<Changes>,
    pub(crate) config: Config,
    pub(crate) table: Option<Arc<Table>>,
}

/// Stands for the owner of the file: judges by the rules, makes no change, remembers what it was asked for.
#[derive(Debug)]
pub(crate) struct Changes {
    config: Config,
    pub(crate) asked: Mutex<Vec<EndpointChange>>,
}

impl EndpointChanges for Changes {
    fn change(&self, change: EndpointChange) -> EndpointWork<'_> {
        Box::pin(async move {
            let step = change.step(&self.config)?;
            let changed =
                EndpointChanged { action: step.action, route: Arc::new(step.to.or(step.from).unwrap().clone()) };
            self.asked.lock().unwrap().push(change);
            Ok(changed)
        })
    }
}

impl World {
    /// A world with these routes.
    pub(crate) async fn new(routes: Vec<Route>) -> Self {
        Self::with(routes, |_config| ()).await
    }

    pub(crate) async fn with(routes: Vec<Route>, change: impl FnOnce(&mut Config)) -> Self {
        Self::on(Arc::new(MemoryStore::new()), routes, change).await
    }

    pub(crate) async fn on(store: Arc<dyn Store>, routes: Vec<Route>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config(routes);
        change(&mut config);
        let clock = ManualClock::at(NOW);
        let (metrics, _exporter) = Metrics::new();
        let settings = QueueSettings { limits: config.queue_limits, retentions: config.retentions };
        let queue = Queue::new(store, Arc::new(clock.clone()), settings);
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let secrets = Arc::new(RuntimeSecrets::new(Some(key), None, None));
        let prepared = secrets.prepare(&config.secrets, &FixedSecrets::default(), NOW).unwrap();
        secrets.commit(prepared, Duration::ZERO);
        let endpoints = Arc::new(Changes { config: config.clone(), asked: Mutex::default() });
        let state = State::new();
        let mut world = Self { queue, clock, metrics, state, secrets, endpoints, config, table: None };
        world.table = Some(world.build().await);
        world
    }

    async fn build(&self) -> Arc<Table> {
        let pairs: Vec<(Arc<str>, Arc<str>)> = self.config.routes.iter().flat_map(pairs).collect();
        let lanes = self.queue.lanes(pairs).await.unwrap();
        let parts = Parts {
            config: &self.config,
            secrets: &FixedSecrets::default(),
            lane: &|route, target| lanes.iter().find(|lane| *lane.route == *route && *lane.target == *target).cloned(),
            queue: &self.queue,
            metrics: &self.metrics,
            bodies: &ByteBudget::new(1 << 26),
            state: &self.state,
            runtime_secrets: &self.secrets,
            endpoints: &(Arc::clone(&self.endpoints) as Arc<dyn EndpointChanges>),
            tasks: &TaskTracker::new(),
            generation: Generation { fingerprint: "f00d".to_owned(), number: 3, loaded_at: NOW },
        };
        Arc::new(Table::build(&parts).unwrap())
    }

    /// Sends a request.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(RequestBody::full(body.to_owned())).unwrap();
        let (addr, local) = ("192.0.2.7:4711".parse().unwrap(), "192.0.2.1:2019".parse().unwrap());
        let peer = Arc::new(Peer { addr, local, tls: None });
        AdminApi(Arc::clone(self.table.as_ref().unwrap())).handle(request, &peer).await
    }

    /// Status and body of an answer; the body is null where it is no JSON.
    pub(crate) async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let response = self.send(method, path, headers, body).await;
        let json = serde_json::from_slice(response.body().as_bytes().unwrap()).unwrap_or_default();
        (response.status().as_u16(), json)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, &[], "").await
    }

    /// A change with a reason.
    pub(crate) async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        self.call("POST", path, &[WHY], body).await
    }

    /// Status and code of a refusal, and the item it names.
    pub(crate) async fn refused(&self, path: &str, body: &str) -> (u16, String, Option<u64>) {
        let (status, json) = self.post(path, body).await;
        (status, json["code"].as_str().unwrap_or_default().to_owned(), json["item_index"].as_u64())
    }

    /// Publishes messages with these ids to a route, one second apart.
    pub(crate) async fn publish(&self, route: &str, ids: &[&str]) {
        let received = |second: usize| NOW.minus(Duration::from_secs(3600)).plus(Duration::from_secs(second as u64));
        let items: Vec<_> = ids
            .iter()
            .enumerate()
            .map(|(i, id)| serde_json::json!({ "id": id, "route": route, "received_at": received(i).to_string() }))
            .collect();
        let (status, answer) = self.post("/messages/publish", &serde_json::json!({ "items": items }).to_string()).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Leases messages of a pull route.
    pub(crate) async fn lease(&self, route: &str, max: u32) -> Vec<Envelope> {
        let lane = self.queue.lanes(vec![(route.into(), "pull".into())]).await.unwrap()[0].id;
        let wish = LeaseWish { lane, max, ttl: Duration::from_secs(30), max_wait: Duration::ZERO };
        self.queue.lease(wish).await.unwrap().keep()
    }

    pub(crate) async fn settle(&self, envelope: &Envelope, settlement: Settlement) {
        let settle = Settle { lease: envelope.lease.unwrap(), scope: None, settlement };
        self.queue.settle(settle).await.unwrap();
    }

    /// Takes the next message of a route to the dead letters.
    pub(crate) async fn bury(&self, route: &str, reason: &'static str) {
        let leased = self.lease(route, 1).await;
        let reason = Some(DeadReason(reason.into()));
        self.settle(&leased[0], Settlement::Bury { reason }).await;
    }

    /// Ids and states of `GET /messages`, the oldest first.
    pub(crate) async fn states(&self) -> Vec<String> {
        let (status, json) = self.get("/messages").await;
        assert_eq!(status, 200);
        let items = json["items"].as_array().unwrap().iter().rev();
        items.map(|item| format!("{} {}", text(&item["id"]), text(&item["state"]))).collect()
    }
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Ids of a list, in its order.
pub(crate) fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| text(&item["id"])).collect()
}

fn pairs(route: &Route) -> Vec<(Arc<str>, Arc<str>)> {
    let targets = match &route.work {
        RouteWork::Pull(_) => vec!["pull".into()],
        RouteWork::Deliver { targets, .. } => targets.iter().map(|delivery| Arc::clone(&delivery.target)).collect(),
    };
    targets.into_iter().map(|target| (Arc::clone(&route.path), target)).collect()
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

/// A pull route with labels.
pub(crate) fn managed(path: &str, application: &str, endpoint: &str) -> Route {
    let labels = Managed { application: application.to_owned(), endpoint: endpoint.to_owned() };
    Route { managed: Some(labels), ..route(path) }
}

/// A pushed route.
pub(crate) fn pushed(path: &str, targets: &[&str]) -> Route {
    let target = |url: &&str| Delivery {
        target: (*url).into(),
        transport: Transport::Http(HttpDelivery { headers: Vec::new(), signing: None }),
        retry: RetryPolicy { max: 0, base: Duration::ZERO, cap: Duration::ZERO, jitter: 0.0 },
        timeout: Duration::from_secs(1),
    };
    let targets = targets.iter().map(target).collect();
    Route { work: RouteWork::Deliver { concurrency: 1, targets }, ..route(path) }
}

pub(crate) fn token(value: &str) -> SecretRef {
    SecretRef::parse(&format!("raw:{value}")).unwrap()
}

fn ingress() -> Ingress {
    Ingress { listen: ":8080".to_owned(), tls: None, rate_limit: None, client_limit: None, front: Front::default() }
}

fn config(routes: Vec<Route>) -> Config {
    let off = Retention::default();
    Config {
        ingress: ingress(),
        pull_api: None,
        admin_api: AdminConfig {
            listen: ":2019".to_owned(),
            tls: None,
            prefix: String::new(),
            auth_tokens: Vec::new(),
            front: Front::default(),
        },
        queue_limits: QueueLimits { max_depth: None, drop_policy: DropPolicy::Reject },
        retentions: Retentions {
            queued: off,
            delivered: off,
            dead: off,
            attempts: off,
            prune_interval: Duration::from_secs(60),
        },
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
        trend_signals: trend_signals(),
        adaptive_backpressure: AdaptiveBackpressure {
            enabled: false,
            min_total: 200,
            queued_percent: 80,
            ready_lag: Duration::from_secs(30),
            oldest_queued_age: Duration::from_secs(60),
            sustained_growth: true,
        },
        max_body: 2 << 20,
        max_headers: 1 << 16,
        observability: Observability {
            access_log: AccessLog { enabled: false, output: LogOutput::Stderr },
            runtime_log: RuntimeLog { level: None, output: LogOutput::Stderr },
            metrics: None,
            tracing: None,
        },
        secrets: BTreeMap::new(),
        vars: BTreeMap::new(),
        routes,
    }
}

fn trend_signals() -> TrendSignals {
    TrendSignals {
        window: Duration::from_secs(900),
        expected_capture_interval: Duration::from_secs(60),
        stale_grace_factor: 3,
        sustained_growth_consecutive: 3,
        sustained_growth_min_samples: 4,
        sustained_growth_min_delta: 3,
        recent_surge_min_total: 4,
        recent_surge_min_delta: 4,
        recent_surge_percent: 50,
        dead_share_high_min_total: 4,
        dead_share_high_percent: 50,
        queued_pressure_min_total: 4,
        queued_pressure_percent: 75,
        queued_pressure_leased_multiplier: 2,
    }
}
