//! The push service: prepares a plan, swaps it in while deliveries go on, drains at the end.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hookaido_auth::{SecretPools, SecretSource};
use hookaido_model::config::{Egress, Transport};
use hookaido_queue::Queue;
use hookaido_telemetry::Metrics;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::egress::EgressPolicy;
use crate::http::resolve::Resolve;
use crate::http::{HttpClient, Tls};
use crate::plan::{DispatchPlan, PlanError, RoutePlan};
use crate::route::{Context, RouteSetup, RouteTask};
use crate::target::{Secrets, Target};

/// After the drain's budget: for cut-off tries to be noted down.
const LAST_MOMENT: Duration = Duration::from_secs(2);
/// Fewest and most connections to one host that are kept while nothing is sent.
const IDLE_CONNECTIONS: (usize, usize) = (8, 512);

/// What the dispatcher works with.
pub struct DispatchParts {
    /// Where messages come from and conclusions go to. Its clock is the dispatcher's.
    pub queue: Queue,
    /// Where deliveries are counted.
    pub metrics: Arc<Metrics>,
    /// Where signing secrets are read when a plan is prepared.
    pub secrets: Arc<dyn SecretSource>,
    /// Where names are resolved: [`crate::SystemResolver`] but in tests.
    pub resolver: Arc<dyn Resolve>,
    /// The search path of commands (`PATH`): the only thing of the server's environment that they get.
    pub path: OsString,
    /// A random number from -1 to 1, for the jitter of retries.
    pub jitter: Arc<dyn Fn() -> f64 + Send + Sync>,
    /// How long deliveries in flight may take at the end.
    pub drain: Duration,
}

impl fmt::Debug for DispatchParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatchParts").field("drain", &self.drain).finish_non_exhaustive()
    }
}

/// The push service. Clones are handles of the same one.
#[derive(Clone)]
pub struct Dispatcher(Arc<Shared>);

struct Shared {
    context: Arc<Context>,
    secrets: Arc<dyn SecretSource>,
    resolver: Arc<dyn Resolve>,
    path: OsString,
    drain: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Set once the drain has begun; nothing starts any more.
    stopped: bool,
    tls: Option<Tls>,
    client: Option<Client>,
    running: HashMap<Arc<str>, Running>,
}

/// The present client and what it was made for.
#[derive(Clone)]
struct Client {
    egress: Egress,
    idle: usize,
    secure: bool,
    http: HttpClient,
}

/// A route's task. Dropping the sender stops it.
struct Running {
    plan: RoutePlan,
    setup: watch::Sender<Arc<RouteSetup>>,
}

/// A plan with everything made that can fail.
pub struct PreparedPlan {
    client: Client,
    /// Whether the client is a new one: then every route changes.
    renewed: bool,
    routes: Vec<(RoutePlan, Arc<RouteSetup>)>,
}

impl fmt::Debug for PreparedPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.iter().map(|(plan, _)| &plan.route)).finish()
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.state.lock().running.keys()).finish()
    }
}

impl Dispatcher {
    /// A service that does nothing until a plan is applied.
    #[must_use]
    pub fn new(parts: DispatchParts) -> Self {
        let DispatchParts { queue, metrics, secrets, resolver, path, jitter, drain } = parts;
        let (tracker, cut_off) = (TaskTracker::new(), CancellationToken::new());
        let context = Arc::new(Context { queue, metrics, jitter, tracker, cut_off });
        Self(Arc::new(Shared { context, secrets, resolver, path, drain, state: Mutex::default() }))
    }

    /// Makes everything that a plan needs and that can fail: secrets, TLS. `pools` are the named secrets of the same configuration. Changes nothing that runs. May read files: not for a thread
    /// that must not wait.
    ///
    /// # Errors
    /// Why the plan cannot run.
    pub fn prepare(&self, plan: DispatchPlan, pools: &SecretPools) -> Result<PreparedPlan, PlanError> {
        let secrets = Secrets { source: Arc::clone(&self.0.secrets), pools: pools.clone() };
        let (client, renewed) = self.client(&plan)?;
        let mut routes = Vec::with_capacity(plan.routes.len());
        for route in plan.routes {
            let lanes = route.targets.iter().map(|target| {
                let made = Target::new(target, &client.http, &secrets, &self.0.path)?;
                Ok((Arc::clone(&target.lane), made))
            });
            let lanes = lanes.collect::<Result<Vec<_>, PlanError>>()?;
            let setup = Arc::new(RouteSetup { concurrency: route.concurrency, lanes });
            routes.push((route, setup));
        }
        Ok(PreparedPlan { client, renewed, routes })
    }

    /// Lets a prepared plan run in place of the present one: new routes start, changed ones go on with their new targets, those that are
    /// gone stop and leave their messages alone, all others notice nothing. Call it within the runtime, and with plans in the order in
    /// which they were prepared.
    pub fn apply(&self, prepared: PreparedPlan) {
        let PreparedPlan { client, renewed, routes } = prepared;
        let mut state = self.0.state.lock();
        if state.stopped {
            return;
        }
        if state.client.replace(client).is_none() {
            tracing::info!(target: "hookaido", routes = routes.len(), "dispatcher_started");
        }
        let mut before = std::mem::take(&mut state.running);
        for (plan, setup) in routes {
            let running = match before.remove(&plan.route) {
                Some(running) if running.plan == plan && !renewed && !signs(&plan) => running,
                Some(running) => {
                    running.setup.send_replace(setup);
                    Running { plan, ..running }
                }
                None => self.start(plan, setup),
            };
            state.running.insert(Arc::clone(&running.plan.route), running);
        }
    }

    /// Waits for `shutdown`, then drains: no more leases, what was leased and not sent goes back, tries in flight may end within the
    /// budget, the rest is cut off and will be tried again.
    pub async fn run(self, shutdown: CancellationToken) {
        shutdown.cancelled().await;
        {
            let mut state = self.0.state.lock();
            state.stopped = true;
            state.running.clear();
            state.client = None;
        }
        let Context { tracker, cut_off, .. } = &*self.0.context;
        tracker.close();
        if tokio::time::timeout(self.0.drain, tracker.wait()).await.is_err() {
            cut_off.cancel();
            if tokio::time::timeout(LAST_MOMENT, tracker.wait()).await.is_err() {
                tracing::warn!(target: "hookaido", "dispatcher_drain_incomplete");
            }
        }
    }

    /// The present client if it fits, else a new one.
    fn client(&self, plan: &DispatchPlan) -> Result<(Client, bool), PlanError> {
        let concurrency = plan.routes.iter().map(|route| usize::try_from(route.concurrency).unwrap_or(usize::MAX));
        let (fewest, most) = IDLE_CONNECTIONS;
        let idle = concurrency.fold(0usize, usize::saturating_add).clamp(fewest, most).next_power_of_two();
        let mut targets = plan.routes.iter().flat_map(|route| &route.targets);
        let secure = plan.egress.redirects
            || targets.any(|target| {
                target.lane.target.trim_start().get(..6).is_some_and(|s| s.eq_ignore_ascii_case("https:"))
            });
        let mut state = self.0.state.lock();
        if let Some(client) = &state.client
            && (&client.egress, client.idle) == (&plan.egress, idle)
            && (client.secure || !secure)
        {
            return Ok((client.clone(), false));
        }
        if secure && state.tls.is_none() {
            state.tls = Some(Tls::with_system_roots()?);
        }
        let tls = state.tls.clone();
        drop(state);
        let secure = tls.is_some();
        let policy = EgressPolicy::new(&plan.egress);
        let clock = Arc::clone(self.0.context.queue.clock());
        let http = HttpClient::new(policy, Arc::clone(&self.0.resolver), tls, idle, clock);
        Ok((Client { egress: plan.egress.clone(), idle, secure, http }, true))
    }

    fn start(&self, plan: RoutePlan, setup: Arc<RouteSetup>) -> Running {
        let (setup, receiver) = watch::channel(setup);
        let context = &self.0.context;
        context.tracker.spawn(RouteTask::new(Arc::clone(context), receiver).run());
        Running { plan, setup }
    }
}

/// Whether a target's requests are signed: then its secrets may have changed, although its plan has not.
fn signs(plan: &RoutePlan) -> bool {
    plan.targets
        .iter()
        .any(|target| matches!(&target.delivery.transport, Transport::Http(http) if http.signing.is_some()))
}
