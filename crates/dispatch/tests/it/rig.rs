//! A running dispatcher with everything around it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hookaido_auth::{FixedSecrets, SecretPools};
use hookaido_dispatch::{
    DispatchParts, DispatchPlan, Dispatcher, Resolve, Resolving, RoutePlan, SystemResolver, TargetPlan,
};
use hookaido_model::config::{
    Delivery, DropPolicy, Egress, ExecDelivery, HttpDelivery, QueueLimits, Retention, Retentions, Transport,
};
use hookaido_model::{Attempt, Clock, Content, Envelope, JsonMap, RetryPolicy, State, SystemClock};
use hookaido_queue::store::{AttemptQuery, ListQuery, NewMessage, Store};
use hookaido_queue::{MemoryStore, Queue, QueueSettings};
use hookaido_telemetry::{DeliveryCounts, Metrics};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct Rig {
    pub(crate) queue: Queue,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) dispatcher: Dispatcher,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

/// What a test changes about a rig.
pub(crate) struct Options {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) drain: Duration,
    pub(crate) jitter: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            clock: Arc::new(SystemClock),
            resolver: Arc::new(SystemResolver::default()),
            drain: Duration::from_secs(20),
            jitter: 0.0,
        }
    }
}

/// Resolves every name to the same addresses.
#[derive(Debug)]
pub(crate) struct Names(pub(crate) Vec<IpAddr>);

impl Resolve for Names {
    fn resolve(&self, host: &str, port: u16) -> Resolving {
        let answer = if host.ends_with(".invalid") {
            Err(io::Error::new(io::ErrorKind::NotFound, "no such host"))
        } else {
            Ok(self.0.iter().map(|ip| SocketAddr::new(*ip, port)).collect())
        };
        Box::pin(std::future::ready(answer))
    }
}

pub(crate) fn open() -> Egress {
    Egress { https_only: false, redirects: false, dns_rebind_protection: false, allow: vec![], deny: vec![] }
}

pub(crate) fn quick() -> RetryPolicy {
    RetryPolicy { max: 2, base: Duration::from_millis(20), cap: Duration::from_millis(50), jitter: 0.0 }
}

pub(crate) fn http(url: &str) -> Delivery {
    Delivery {
        target: url.into(),
        transport: Transport::Http(HttpDelivery { headers: vec![], signing: None }),
        retry: quick(),
        timeout: Duration::from_secs(10),
    }
}

pub(crate) fn exec(command: &str, env: &[(&str, &str)]) -> Delivery {
    let env = env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let transport = Transport::Exec(ExecDelivery { command: command.into(), env });
    Delivery { transport, ..http(command) }
}

/// One message to publish.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message<'a> {
    pub(crate) body: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) id: Option<&'a str>,
}

impl Rig {
    pub(crate) fn start() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let off = Retention { enabled: false, max_age: None, max_rows: None };
        let kept = Retention { enabled: true, max_age: Some(Duration::from_secs(3600)), max_rows: None };
        let settings = QueueSettings {
            limits: QueueLimits { max_depth: None, drop_policy: DropPolicy::Reject },
            retentions: Retentions {
                queued: off,
                delivered: kept,
                dead: kept,
                attempts: kept,
                prune_interval: Duration::from_secs(3600),
            },
        };
        let queue = Queue::new(options.store, options.clock, settings);
        let (metrics, _exporter) = Metrics::new();
        let jitter = options.jitter;
        let dispatcher = Dispatcher::new(DispatchParts {
            queue: queue.clone(),
            metrics: Arc::clone(&metrics),
            secrets: Arc::new(FixedSecrets::default()),
            resolver: options.resolver,
            path: std::env::var_os("PATH").unwrap_or_default(),
            jitter: Arc::new(move || jitter),
            drain: options.drain,
        });
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(dispatcher.clone().run(shutdown.clone()));
        Self { queue, metrics, dispatcher, shutdown, running }
    }

    /// The plan of one route.
    pub(crate) async fn plan(&self, egress: Egress, concurrency: u32, targets: Vec<Delivery>) -> DispatchPlan {
        self.plan_of(egress, vec![("/hooks/a", concurrency, targets)]).await
    }

    pub(crate) async fn plan_of(&self, egress: Egress, routes: Vec<(&str, u32, Vec<Delivery>)>) -> DispatchPlan {
        let mut planned = Vec::new();
        for (route, concurrency, targets) in routes {
            let pairs = targets.iter().map(|t| (Arc::from(route), Arc::clone(&t.target))).collect();
            let lanes = self.queue.lanes(pairs).await.unwrap();
            let targets =
                targets.into_iter().zip(lanes).map(|(delivery, lane)| TargetPlan { lane, delivery }).collect();
            planned.push(RoutePlan { route: route.into(), concurrency, targets });
        }
        DispatchPlan { egress, routes: planned }
    }

    pub(crate) fn apply(&self, plan: DispatchPlan) {
        self.dispatcher.apply(self.dispatcher.prepare(plan, &SecretPools::default()).unwrap());
    }

    /// One route, applied.
    pub(crate) async fn push(&self, egress: Egress, concurrency: u32, targets: Vec<Delivery>) {
        let plan = self.plan(egress, concurrency, targets).await;
        self.apply(plan);
    }

    pub(crate) async fn publish(&self, target: &str, message: Message<'_>) {
        self.publish_to("/hooks/a", &[target], message).await;
    }

    pub(crate) async fn publish_to(&self, route: &str, targets: &[&str], message: Message<'_>) {
        let pairs = targets.iter().map(|t| (Arc::from(route), Arc::from(*t))).collect();
        let lanes = self.queue.lanes(pairs).await.unwrap();
        let now = self.queue.clock().now();
        let new = NewMessage {
            lanes: lanes.iter().map(|lane| lane.id).collect(),
            id: message.id.map(Into::into),
            content: Content {
                payload: message.body.to_owned().into(),
                headers: JsonMap::from_pairs(message.headers.iter().copied()),
                trace: JsonMap::default(),
            },
            received_at: now,
            next_run_at: now,
        };
        self.queue.enqueue(vec![new]).await.unwrap();
    }

    /// Waits until so many tries have begun.
    pub(crate) async fn tried(&self, count: u64) {
        self.until("tries", |counts| counts.attempts >= count).await;
    }

    /// Waits until so many messages have come to an end.
    pub(crate) async fn settled(&self, count: u64) {
        self.until("messages settled", |counts| counts.acked + counts.dead >= count).await;
    }

    /// Waits until a message of this target is leased.
    pub(crate) async fn leased(&self, target: &str) {
        let looking = async {
            let mut tick = tokio::time::interval(Duration::from_millis(2));
            while !self.messages().await.iter().any(|m| &*m.lane.target == target && m.state == State::Leased) {
                tick.tick().await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(20), looking).await.is_ok(), "nothing leased");
    }

    /// The counters tell nobody when they move, so this one looks again and again, and lets everybody else run in between.
    async fn until(&self, what: &str, enough: impl Fn(&DeliveryCounts) -> bool) {
        let looking = async {
            let mut tick = tokio::time::interval(Duration::from_millis(2));
            while !enough(&self.metrics.delivery.snapshot()) {
                tick.tick().await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(20), looking).await.is_ok(), "not enough {what}");
    }

    /// Drains. Afterwards everything that was sent is settled.
    pub(crate) async fn stop(&mut self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(25), &mut self.running).await;
        ended.expect("the drain ends within its budget").unwrap();
    }

    /// All attempts, the oldest first.
    pub(crate) async fn attempts(&self) -> Vec<Attempt> {
        let query = AttemptQuery { limit: 10_000, ..AttemptQuery::default() };
        let mut attempts = self.queue.attempts(query).await.unwrap();
        attempts.reverse();
        attempts
    }

    /// All messages, in order of arrival.
    pub(crate) async fn messages(&self) -> Vec<Envelope> {
        let query = ListQuery { oldest_first: true, limit: 10_000, ..ListQuery::default() };
        self.queue.list(query).await.unwrap()
    }
}
