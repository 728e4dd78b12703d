//! The pulled routes of one configuration.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use hookaido_auth::{AuthError, BearerTokens, SecretSource};
use hookaido_http::ByteBudget;
use hookaido_model::config::{Config, PullLimits, RouteWork};
use hookaido_model::{Lane, PULL_TARGET};
use hookaido_queue::Queue;
use hookaido_telemetry::{Metrics, PullRouteMetrics};
use tokio_util::sync::CancellationToken;

/// What a table is made of.
pub struct Parts<'a> {
    /// The configuration; must have a `pull_api`.
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
    pub(crate) tokens: BearerTokens,
    pub(crate) limits: PullLimits,
    pub(crate) queue: Queue,
    pub(crate) bodies: ByteBudget,
    pub(crate) stop: CancellationToken,
}

/// One pulled route.
#[derive(Debug)]
pub struct Endpoint {
    pub(crate) lane: Arc<Lane>,
    /// Replace the tokens of the API.
    pub(crate) tokens: Option<BearerTokens>,
    pub(crate) metrics: Arc<PullRouteMetrics>,
    /// Cancelled when the process stops, or when another configuration takes the endpoint or its tokens away.
    pub(crate) revoked: CancellationToken,
}

impl Table {
    /// Compiles the pulled routes.
    ///
    /// # Errors
    /// If a token cannot be read, or a route has no lane.
    pub fn build(parts: &Parts<'_>) -> Result<Self, BuildError> {
        let api = parts.config.pull_api.as_ref();
        let resolve = |place: &str, tokens: &[hookaido_model::SecretRef]| {
            BearerTokens::resolve(tokens, parts.secrets)
                .map_err(|source| BuildError::Token { place: place.to_owned(), source })
        };
        let tokens = resolve("pull_api", api.map_or(&[], |api| api.auth_tokens.as_slice()))?;
        let mut endpoints = HashMap::new();
        for route in &parts.config.routes {
            let RouteWork::Pull(pull) = &route.work else { continue };
            let lane = (parts.lane)(&route.path, PULL_TARGET);
            let lane = lane.ok_or_else(|| BuildError::Lane(Arc::clone(&route.path)))?;
            let own = !pull.auth_tokens.is_empty();
            let tokens = own.then(|| resolve(&format!("route {}", route.path), &pull.auth_tokens)).transpose()?;
            let metrics = parts.metrics.pull.route(&route.path);
            let revoked = parts.stop.child_token();
            endpoints.insert(Arc::clone(&pull.path), Arc::new(Endpoint { lane, tokens, metrics, revoked }));
        }
        Ok(Self {
            prefix: api.map_or_else(String::new, |api| api.prefix.clone()),
            endpoints,
            tokens,
            limits: api.map_or_else(no_limits, |api| api.limits.clone()),
            queue: parts.queue.clone(),
            bodies: parts.bodies.clone(),
            stop: parts.stop.clone(),
        })
    }

    /// Splits a cleaned path into endpoint and operation.
    pub(crate) fn find<'p>(&self, path: &'p str) -> (Option<&Arc<Endpoint>>, &'p str) {
        let Some(below) = path.strip_prefix(self.prefix.as_str()) else { return (None, "") };
        let Some((endpoint, operation)) = below.rsplit_once('/') else { return (None, "") };
        // A route may be pulled at `/`.
        let endpoint = if endpoint.is_empty() { "/" } else { endpoint };
        (self.endpoints.get(endpoint), operation)
    }

    /// Another configuration takes over: streams of endpoints that it does not have, or that ask for other tokens there, end. All others
    /// go on.
    pub fn retire(&self, successor: Option<&Self>) {
        for (path, endpoint) in &self.endpoints {
            let same = successor.is_some_and(|successor| {
                successor.endpoints.get(path).is_some_and(|next| {
                    let tokens = (self.tokens_of(endpoint), successor.tokens_of(next));
                    successor.prefix == self.prefix && next.lane == endpoint.lane && tokens.0 == tokens.1
                })
            });
            if !same {
                endpoint.revoked.cancel();
            }
        }
    }

    fn tokens_of<'t>(&'t self, endpoint: &'t Endpoint) -> &'t BearerTokens {
        endpoint.tokens.as_ref().unwrap_or(&self.tokens)
    }
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
