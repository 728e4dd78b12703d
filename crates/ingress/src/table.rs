//! The routes that ingress serves, compiled: one immutable table for each configuration.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hookaido_auth::{AuthError, BasicAuth, HmacVerifier, SecretPools, SecretSource};
use hookaido_http::{Peer, Request, clean_path};
use hookaido_model::config::{AdaptiveBackpressure, Ingress, IngressAuth, Route, RouteWork};
use hookaido_model::{Lane, LaneId, PULL_TARGET};
use hookaido_queue::Queue;
use hookaido_telemetry::Metrics;
use http::HeaderValue;
use smallvec::SmallVec;

use crate::State;
use crate::error::{Challenge, Reject};
use crate::forward::{AuthCallers, CallError, ForwardGate};
use crate::limit::{ClientLimiter, Limiter};
use crate::matcher::Seen;
use crate::router::Router;

/// Longest time for the body of a request.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// What a table is made of.
pub struct Parts<'a> {
    /// The `ingress` block.
    pub ingress: &'a Ingress,
    /// `defaults { adaptive_backpressure { ... } }`.
    pub adaptive_backpressure: &'a AdaptiveBackpressure,
    /// All routes of the configuration, in the order of the file.
    pub routes: &'a [Route],
    /// The lane of a pair of route and target. The server asks the queue for all of them before.
    pub lane: &'a dyn Fn(&str, &str) -> Option<Arc<Lane>>,
    /// Reads inline secrets.
    pub secrets: &'a dyn SecretSource,
    /// The named secrets of the configuration.
    pub pools: &'a SecretPools,
    /// Who asks the authentication server of a URL (`auth forward`).
    pub forward: &'a AuthCallers<'a>,
    /// Where messages go.
    pub queue: &'a Queue,
    /// Where requests are counted.
    pub metrics: &'a Arc<Metrics>,
    /// What outlives the table.
    pub state: &'a Arc<State>,
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parts({} routes)", self.routes.len())
    }
}

/// Why a table cannot be built. Nothing of the configuration is served then.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The authentication of a route.
    #[error("route {route}: {source}")]
    Auth {
        /// Path of the route.
        route: Arc<str>,
        /// What is wrong with it.
        source: AuthError,
    },
    /// The authentication server of a route cannot be asked.
    #[error("route {route}: auth forward: {source}")]
    Forward {
        /// Path of the route.
        route: Arc<str>,
        /// Why.
        source: CallError,
    },
    /// The queue has no lane of this pair.
    #[error("route {route}: no lane for the target {target}")]
    Lane {
        /// Path of the route.
        route: Arc<str>,
        /// Name of the target.
        target: Arc<str>,
    },
    /// Text that is no method.
    #[error("`{0}` is not an HTTP method")]
    Method(String),
    /// Text that is no header name.
    #[error("`{0}` is not a header name")]
    Header(String),
}

/// The routes of one configuration.
#[derive(Debug)]
pub struct Table {
    router: Router,
    /// Those that ingress serves, in the order of the file.
    routes: Vec<Compiled>,
    adaptive_backpressure: AdaptiveBackpressure,
    pub(crate) queue: Queue,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) state: Arc<State>,
    pub(crate) body_deadline: Duration,
    /// Whether proxies are believed, so that the address of a peer is that of the client.
    pub(crate) trusts_proxies: bool,
}

/// Limits over all routes, for those that have none of their own.
struct Overall {
    limiter: Option<Arc<Limiter>>,
    client_limiter: Option<Arc<ClientLimiter>>,
}

/// One route.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) path: Arc<str>,
    pub(crate) gate: Gate,
    pub(crate) lanes: SmallVec<[LaneId; 1]>,
    pub(crate) max_body: u64,
    pub(crate) max_headers: u64,
    limiter: Option<Arc<Limiter>>,
    client_limiter: Option<Arc<ClientLimiter>>,
    /// Whether the log says that no secret of this route counts.
    pub(crate) lacks_secret: AtomicBool,
}

/// How a request proves itself. No variant stands for "unknown".
#[derive(Debug)]
pub(crate) enum Gate {
    /// The configuration asks for nothing.
    Open,
    /// Checked before the body is read.
    Basic(BasicAuth),
    /// Checked over the body.
    Hmac(HmacVerifier),
    /// Another server is asked once the body is there.
    Forward(ForwardGate),
}

impl Table {
    /// Compiles the routes of a configuration.
    ///
    /// # Errors
    /// If any route cannot be served exactly as the configuration says.
    pub fn build(parts: &Parts<'_>) -> Result<Self, BuildError> {
        let wanted = parts.adaptive_backpressure.enabled;
        parts.state.pressure.wanted.store(wanted, std::sync::atomic::Ordering::Relaxed);
        let overall = Overall {
            limiter: parts.ingress.rate_limit.map(|limit| parts.state.limiter(None, limit)),
            client_limiter: parts.ingress.client_limit.map(|limit| parts.state.client_limiter(None, limit)),
        };
        let served = parts.routes.iter().filter(|route| route.channel.served_at_ingress());
        Ok(Self {
            router: Router::new(served.clone().map(|route| (&*route.path, &route.matches)))?,
            routes: served.map(|route| Compiled::new(route, &overall, parts)).collect::<Result<_, _>>()?,
            adaptive_backpressure: parts.adaptive_backpressure.clone(),
            queue: parts.queue.clone(),
            metrics: Arc::clone(parts.metrics),
            state: Arc::clone(parts.state),
            body_deadline: BODY_DEADLINE,
            trusts_proxies: !parts.ingress.front.trusted_proxies.is_empty(),
        })
    }

    /// Gives the body of a request another time than 30 seconds.
    #[must_use]
    pub fn with_body_deadline(self, body_deadline: Duration) -> Self {
        Self { body_deadline, ..self }
    }

    /// Everything that can be said before the body: which route takes the request, whether its rate and the state of the queue allow
    /// it, whether its basic credentials are good. Returns the number of the route.
    pub(crate) fn admit(&self, request: &Request, peer: &Peer) -> Result<usize, Reject> {
        let ip = peer.addr.ip().to_canonical();
        let seen = Seen { uri: request.uri(), headers: request.headers(), ip, identity: peer.identity() };
        let path = clean_path(request.uri().path());
        let index = self.router.find(&path, request.method(), seen)?;
        let route = self.routes.get(index).ok_or(Reject::NotFound)?;
        // First, so that what one client sends too much costs the others nothing.
        if let Some(limiter) = &route.client_limiter {
            limiter.take(ip).map_err(Reject::RateLimited)?;
        }
        if let Some(limiter) = &route.limiter {
            limiter.take().map_err(Reject::RateLimited)?;
        }
        if self.adaptive_backpressure.enabled {
            let pressure = self.state.pressure.judge(&self.adaptive_backpressure, self.queue.clock().now());
            pressure.map_or(Ok(()), |pressure| Err(Reject::Pressure(pressure)))?;
        }
        if let Gate::Basic(basic) = &route.gate {
            let authorization = request.headers().get(http::header::AUTHORIZATION);
            if !basic.check(authorization.map(HeaderValue::as_bytes)) {
                return Err(Reject::Unauthorized(Challenge::Basic));
            }
        }
        Ok(index)
    }

    pub(crate) fn route(&self, index: usize) -> Option<&Compiled> {
        self.routes.get(index)
    }
}

impl Compiled {
    fn new(route: &Route, overall: &Overall, parts: &Parts<'_>) -> Result<Self, BuildError> {
        let own_of_client = route.client_limit.map(|limit| parts.state.client_limiter(Some(&route.path), limit));
        let own = route.rate_limit.map(|limit| parts.state.limiter(Some(&route.path), limit));
        Ok(Self {
            path: Arc::clone(&route.path),
            gate: Gate::new(route, parts)?,
            lanes: lanes(route, parts)?,
            max_body: route.max_body,
            max_headers: route.max_headers,
            // The limit of a route replaces the overall one.
            limiter: own.or_else(|| overall.limiter.clone()),
            client_limiter: own_of_client.or_else(|| overall.client_limiter.clone()),
            lacks_secret: AtomicBool::new(false),
        })
    }
}

impl Gate {
    fn new(route: &Route, parts: &Parts<'_>) -> Result<Self, BuildError> {
        let failed = |source| BuildError::Auth { route: Arc::clone(&route.path), source };
        match &route.auth {
            IngressAuth::None => Ok(Self::Open),
            IngressAuth::Basic(pairs) => BasicAuth::new(pairs).map(Self::Basic).map_err(failed),
            IngressAuth::Hmac(hmac) => {
                HmacVerifier::build(hmac, parts.pools, parts.secrets).map(Self::Hmac).map_err(failed)
            }
            IngressAuth::Forward(forward) => {
                let gate =
                    (parts.forward)(&forward.url).and_then(|caller| ForwardGate::new(&route.path, forward, caller));
                let failed = |source| BuildError::Forward { route: Arc::clone(&route.path), source };
                gate.map(Self::Forward).map_err(failed)
            }
        }
    }
}

/// One lane for each target.
fn lanes(route: &Route, parts: &Parts<'_>) -> Result<SmallVec<[LaneId; 1]>, BuildError> {
    let lane = |target: &str| {
        let lane = (parts.lane)(&route.path, target).map(|lane| lane.id);
        lane.ok_or_else(|| BuildError::Lane { route: Arc::clone(&route.path), target: target.into() })
    };
    match &route.work {
        RouteWork::Pull(_) => std::iter::once(lane(PULL_TARGET)).collect(),
        RouteWork::Deliver { targets, .. } => targets.iter().map(|delivery| lane(&delivery.target)).collect(),
    }
}
