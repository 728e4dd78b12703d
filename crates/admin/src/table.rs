//! What the admin API knows of one configuration, compiled.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use hookaido_auth::{AuthError, BearerTokens, RuntimeSecrets, SecretSource};
use hookaido_http::ByteBudget;
use hookaido_model::config::{Config, Managed, PublishPolicy, Route, RoutePublish, RouteWork, TrendSignals};
use hookaido_model::{Lane, LaneId, PULL_TARGET, UnixMillis};
use hookaido_queue::Queue;
use hookaido_telemetry::Metrics;
use tokio_util::task::TaskTracker;

use crate::{EndpointChanges, State};

/// What a table is made of.
pub struct Parts<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Reads the tokens.
    pub secrets: &'a dyn SecretSource,
    /// The lane of a pair of route and target. The server asks the queue for all of them before.
    pub lane: &'a dyn Fn(&str, &str) -> Option<Arc<Lane>>,
    /// Where messages are.
    pub queue: &'a Queue,
    /// What is counted, and shown by the details of `/healthz`.
    pub metrics: &'a Arc<Metrics>,
    /// Bodies that are being read, over all connections.
    pub bodies: &'a ByteBudget,
    /// What outlives the table.
    pub state: &'a Arc<State>,
    /// Pools that operators fill.
    pub runtime_secrets: &'a Arc<RuntimeSecrets>,
    /// Who changes endpoints.
    pub endpoints: &'a Arc<dyn EndpointChanges>,
    /// Runs what must finish although the caller is gone.
    pub tasks: &'a TaskTracker,
    /// Which configuration this is.
    pub generation: Generation,
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parts({:?}, {} routes)", self.generation, self.config.routes.len())
    }
}

/// Which configuration is served, as the details of `/healthz` tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// SHA-256 of the file as loaded, in hexadecimal digits.
    pub fingerprint: String,
    /// Counts successful loads, from 1.
    pub number: u64,
    /// When it took effect.
    pub loaded_at: UnixMillis,
}

/// Why a table cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The tokens.
    #[error("admin_api: {0}")]
    Auth(#[from] AuthError),
    /// The queue has no lane of this pair.
    #[error("route {route}: no lane for the target {target}")]
    Lane {
        /// Path of the route.
        route: Arc<str>,
        /// Name of the target.
        target: Arc<str>,
    },
}

/// The admin API of one configuration.
#[derive(Debug)]
pub struct Table {
    pub(crate) prefix: String,
    pub(crate) tokens: BearerTokens,
    pub(crate) policy: PublishPolicy,
    pub(crate) trends: TrendSignals,
    /// Longest body of a request.
    pub(crate) max_body: u64,
    /// In the order of the file.
    pub(crate) routes: Vec<RouteEntry>,
    by_path: HashMap<Arc<str>, usize>,
    pub(crate) managed: BTreeMap<Managed, usize>,
    pub(crate) queue: Queue,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) bodies: ByteBudget,
    pub(crate) state: Arc<State>,
    pub(crate) runtime_secrets: Arc<RuntimeSecrets>,
    pub(crate) endpoints: Arc<dyn EndpointChanges>,
    pub(crate) tasks: TaskTracker,
    pub(crate) generation: Generation,
}

/// One route.
#[derive(Debug)]
pub(crate) struct RouteEntry {
    pub(crate) path: Arc<str>,
    pub(crate) pulled: bool,
    /// Targets with their lanes, at least one.
    pub(crate) lanes: Vec<(Arc<str>, LaneId)>,
    pub(crate) publish: RoutePublish,
    pub(crate) managed: Option<Managed>,
    pub(crate) max_body: u64,
    pub(crate) max_headers: u64,
}

impl Table {
    /// Compiles what the admin API needs of a configuration.
    ///
    /// # Errors
    /// A token cannot be read, or a lane is missing.
    pub fn build(parts: &Parts<'_>) -> Result<Self, BuildError> {
        let config = parts.config;
        let routes: Vec<_> =
            config.routes.iter().map(|route| RouteEntry::new(route, parts)).collect::<Result<_, _>>()?;
        let by_path = routes.iter().enumerate().map(|(index, route)| (Arc::clone(&route.path), index)).collect();
        let labelled = routes.iter().enumerate().filter_map(|(index, route)| Some((route.managed.clone()?, index)));
        Ok(Self {
            prefix: config.admin_api.prefix.clone(),
            tokens: BearerTokens::resolve(&config.admin_api.auth_tokens, parts.secrets)?,
            policy: config.publish_policy.clone(),
            trends: config.trend_signals.clone(),
            max_body: config.max_body,
            managed: labelled.collect(),
            routes,
            by_path,
            queue: parts.queue.clone(),
            metrics: Arc::clone(parts.metrics),
            bodies: parts.bodies.clone(),
            state: Arc::clone(parts.state),
            runtime_secrets: Arc::clone(parts.runtime_secrets),
            endpoints: Arc::clone(parts.endpoints),
            tasks: parts.tasks.clone(),
            generation: parts.generation.clone(),
        })
    }

    pub(crate) fn route(&self, path: &str) -> Option<&RouteEntry> {
        self.routes.get(*self.by_path.get(path)?)
    }

    pub(crate) fn endpoint(&self, labels: &Managed) -> Option<&RouteEntry> {
        self.routes.get(*self.managed.get(labels)?)
    }
}

impl RouteEntry {
    fn new(route: &Route, parts: &Parts<'_>) -> Result<Self, BuildError> {
        let lane = |target: &str| {
            let lane = (parts.lane)(&route.path, target);
            let lane =
                lane.ok_or_else(|| BuildError::Lane { route: Arc::clone(&route.path), target: target.into() })?;
            Ok((Arc::clone(&lane.target), lane.id))
        };
        let (pulled, lanes) = match &route.work {
            RouteWork::Pull(_) => (true, vec![lane(PULL_TARGET)?]),
            RouteWork::Deliver { targets, .. } => {
                (false, targets.iter().map(|delivery| lane(&delivery.target)).collect::<Result<_, BuildError>>()?)
            }
        };
        Ok(Self {
            path: Arc::clone(&route.path),
            pulled,
            lanes,
            publish: route.publish,
            managed: route.managed.clone(),
            max_body: route.max_body,
            max_headers: route.max_headers,
        })
    }
}
