//! The pulled routes of one configuration.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use hookaido_auth::{AuthError, BearerTokens, SecretSource};
use hookaido_http::ByteBudget;
use hookaido_model::config::{Config, PullLimits, RouteWork};
use hookaido_model::{Lane, LaneId, PULL_TARGET, SecretRef};
use hookaido_queue::Queue;
use hookaido_telemetry::{Metrics, PullRouteMetrics};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// What a table is made of.
pub struct Parts<'a> {
    /// The configuration; without a `pull_api` nothing is served.
    pub config: &'a Config,
    /// The lane of a pair of route and target. The server asks the queue for all of them before.
    pub lane: &'a dyn Fn(&str, &str) -> Option<Arc<Lane>>,
    /// Reads tokens.
    pub secrets: &'a dyn SecretSource,
    /// Where messages come from.
    pub queue: &'a Queue,
    /// Where requests are counted.
    pub metrics: &'a Arc<Metrics>,
    /// Bodies that are being read, over all connections.
    pub bodies: &'a ByteBudget,
    /// Cancelled when the process stops: who waits is answered at once, streams end.
    pub stop: CancellationToken,
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parts({} routes)", self.config.routes.len())
    }
}

/// Why a table cannot be built. Nothing of the configuration is served then.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A token cannot be read.
    #[error("{place}: {source}")]
    Token {
        /// Block or route.
        place: String,
        /// What is wrong with it.
        source: AuthError,
    },
    /// The queue has no lane of this route.
    #[error("route {0}: no lane for workers")]
    Lane(Arc<str>),
}

/// The pulled routes of one configuration.
#[derive(Debug)]
pub struct Table {
    prefix: String,
    /// By path of the endpoint below the prefix.
    endpoints: HashMap<Arc<str>, Arc<Endpoint>>,
    /// Good where no endpoint says otherwise.
    tokens: BearerTokens,
    /// Whether a lease may be settled through its own endpoint only: as soon as one endpoint has tokens of its own. With the same
    /// tokens for all, everybody may settle everything anyway.
    scoped: bool,
    pub(crate) limits: PullLimits,
    pub(crate) queue: Queue,
    pub(crate) bodies: ByteBudget,
}

/// One pulled route.
#[derive(Debug)]
pub struct Endpoint {
    pub(crate) lane: Arc<Lane>,
    /// Replace the tokens of the API.
    tokens: Option<BearerTokens>,
    pub(crate) metrics: Arc<PullRouteMetrics>,
    /// Cancelled when the process stops, or when another configuration takes the endpoint or its tokens away.
    pub(crate) revoked: CancellationToken,
    /// The same endpoint in earlier configurations, as long as somebody reads its streams.
    earlier: Mutex<Vec<Weak<Endpoint>>>,
}

impl Table {
    /// Compiles the pulled routes.
    ///
    /// # Errors
    /// If a token cannot be read, or a route has no lane.
    pub fn build(parts: &Parts<'_>) -> Result<Self, BuildError> {
        let api = parts.config.pull_api.as_ref();
        let mut table = Self {
            prefix: api.map_or_else(String::new, |api| api.prefix.clone()),
            endpoints: HashMap::new(),
            tokens: resolve("pull_api", api.map_or(&[], |api| api.auth_tokens.as_slice()), parts)?,
            scoped: false,
            limits: api.map_or_else(no_limits, |api| api.limits.clone()),
            queue: parts.queue.clone(),
            bodies: parts.bodies.clone(),
        };
        for route in &parts.config.routes {
            let RouteWork::Pull(pull) = &route.work else { continue };
            let lane = (parts.lane)(&route.path, PULL_TARGET);
            let own = !pull.auth_tokens.is_empty();
            table.scoped |= own;
            let endpoint = Endpoint {
                lane: lane.ok_or_else(|| BuildError::Lane(Arc::clone(&route.path)))?,
                tokens: own.then(|| resolve(&format!("route {}", route.path), &pull.auth_tokens, parts)).transpose()?,
                metrics: parts.metrics.pull.route(&route.path),
                revoked: parts.stop.child_token(),
                earlier: Mutex::default(),
            };
            table.endpoints.insert(Arc::clone(&pull.path), Arc::new(endpoint));
        }
        Ok(table)
    }

    /// The endpoint of a path below the prefix, such as `/github`.
    #[must_use]
    pub fn endpoint(&self, path: &str) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(path)
    }

    /// Whether the value of an `Authorization` header is good for an endpoint; for an unknown one the tokens of the API count.
    #[must_use]
    pub fn allows(&self, endpoint: Option<&Endpoint>, authorization: Option<&[u8]>) -> bool {
        endpoint.map_or(&self.tokens, |endpoint| self.tokens_of(endpoint)).check(authorization)
    }

    /// What bodies of requests that are being read may hold, over all connections.
    #[must_use]
    pub fn bodies(&self) -> &ByteBudget {
        &self.bodies
    }

    /// Splits a cleaned path into endpoint and operation.
    pub(crate) fn find<'p>(&self, path: &'p str) -> (Option<&Arc<Endpoint>>, &'p str) {
        let Some(below) = path.strip_prefix(self.prefix.as_str()) else { return (None, "") };
        let Some((endpoint, operation)) = below.rsplit_once('/').or_else(|| below.is_empty().then_some(("", "")))
        else {
            return (None, "");
        };
        // A route may be pulled at `/`.
        (self.endpoint(if endpoint.is_empty() { "/" } else { endpoint }), operation)
    }

    /// The only lane that a lease settled through this endpoint may belong to.
    pub(crate) fn scope(&self, endpoint: &Endpoint) -> Option<LaneId> {
        self.scoped.then_some(endpoint.lane.id)
    }

    /// Another configuration takes over: streams and waits at endpoints that it does not have, or that ask for other tokens there, end.
    /// All others go on, until a later configuration takes the endpoint away.
    pub fn retire(&self, successor: Option<&Self>) {
        for (path, endpoint) in &self.endpoints {
            match successor.and_then(|successor| self.same(path, endpoint, successor)) {
                Some(next) => next.follow(endpoint),
                None => endpoint.revoke(),
            }
        }
    }

    /// The endpoint of the successor that whoever may use `endpoint` may use as well.
    fn same<'s>(&self, path: &str, endpoint: &Endpoint, successor: &'s Self) -> Option<&'s Endpoint> {
        let next = successor.endpoints.get(path)?;
        let same = successor.prefix == self.prefix
            && next.lane == endpoint.lane
            && successor.tokens_of(next) == self.tokens_of(endpoint);
        same.then_some(&**next)
    }

    fn tokens_of<'t>(&'t self, endpoint: &'t Endpoint) -> &'t BearerTokens {
        endpoint.tokens.as_ref().unwrap_or(&self.tokens)
    }
}

impl Endpoint {
    /// Takes over from the same endpoint of the configuration before.
    fn follow(&self, before: &Arc<Self>) {
        let mut earlier = std::mem::take(&mut *before.earlier.lock());
        earlier.retain(|endpoint| endpoint.strong_count() > 0);
        earlier.push(Arc::downgrade(before));
        *self.earlier.lock() = earlier;
    }

    /// Ends streams and waits, those of earlier configurations too.
    fn revoke(&self) {
        self.revoked.cancel();
        for endpoint in self.earlier.lock().drain(..).filter_map(|endpoint| endpoint.upgrade()) {
            endpoint.revoked.cancel();
        }
    }
}

fn resolve(place: &str, tokens: &[SecretRef], parts: &Parts<'_>) -> Result<BearerTokens, BuildError> {
    let resolved = BearerTokens::resolve(tokens, parts.secrets);
    resolved.map_err(|source| BuildError::Token { place: place.to_owned(), source })
}

fn no_limits() -> PullLimits {
    PullLimits {
        max_batch: 100,
        max_lease_batch: 100,
        default_lease_ttl: std::time::Duration::from_secs(30),
        max_lease_ttl: None,
        default_max_wait: std::time::Duration::ZERO,
        max_wait: None,
        sse_keepalive: None,
        sse_max_connection: None,
    }
}
