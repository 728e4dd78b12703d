//! What a configuration file means, with every default filled in.
//!
//! Plain data: made by `hookaido-config`, read by everything that runs. Secrets stay references here; nothing is resolved.
//! A reload plan destructures these types exhaustively, so a new field must be classified before it compiles.

pub mod auth;
pub mod client_cert;
pub mod deliver;
pub mod front;
pub mod limits;
pub mod listen;
pub mod observe;
pub mod policy;
pub mod route;
pub mod secrets;

pub use auth::{ForwardAuth, HmacAuth, HmacHeaders, HmacScheme, IngressAuth};
pub use client_cert::{ClientCertKind, ClientCertRule};
pub use deliver::{Delivery, ExecDelivery, HttpDelivery, SecretSelection, Signing, SigningSecret, Transport};
pub use front::{AddressCap, ClientIpHeader, Front, ProxyProtocol};
pub use limits::{DropPolicy, QueueLimits, RateLimit, Retention, Retentions};
pub use listen::{AdminApi, ClientAuth, Ingress, PullApi, PullLimits, Tls};
pub use observe::{
    AccessLog, LogLevel, LogOutput, Metrics, Observability, RuntimeLog, Tracing, TracingRetry, TracingTls,
};
pub use policy::{AdaptiveBackpressure, Egress, EgressRule, PublishPolicy, TrendSignals};
pub use route::{Channel, HostPattern, Managed, Match, PullRoute, QueueBackend, Route, RoutePublish, RouteWork};
pub use secrets::{SecretPool, SecretVersion};

use std::collections::BTreeMap;

/// A compiled configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where webhooks come in.
    pub ingress: Ingress,
    /// Where workers pull; `None` when no route is pulled.
    pub pull_api: Option<PullApi>,
    /// Where operators look and publish.
    pub admin_api: AdminApi,
    /// How much may wait.
    pub queue_limits: QueueLimits,
    /// How long messages and attempts are kept.
    pub retentions: Retentions,
    /// The one queue backend of the process.
    pub backend: QueueBackend,
    /// Where push may connect to.
    pub egress: Egress,
    /// Who may publish, and how.
    pub publish_policy: PublishPolicy,
    /// Thresholds of the backlog trend signals.
    pub trend_signals: TrendSignals,
    /// When ingress refuses to protect the queue.
    pub adaptive_backpressure: AdaptiveBackpressure,
    /// Default body limit in bytes; also bounds publish bodies.
    pub max_body: u64,
    /// Default header limit in bytes.
    pub max_headers: u64,
    /// Logs, metrics, traces.
    pub observability: Observability,
    /// Named secret versions, by id.
    pub secrets: BTreeMap<String, SecretPool>,
    /// The `vars` block with nested placeholders resolved.
    pub vars: BTreeMap<String, String>,
    /// In the order of the file: the first that matches wins.
    pub routes: Vec<Route>,
}

impl Config {
    /// What stands in front of the listener of an address. The compiler sees to it that the APIs there agree, or only one of them says it.
    #[must_use]
    pub fn front_of(&self, listen: &str) -> Front {
        let apis = [(&self.ingress.listen, &self.ingress.front), (&self.admin_api.listen, &self.admin_api.front)];
        let pull = self.pull_api.iter().flat_map(|api| {
            [Some(&api.listen), api.grpc_listen.as_ref()].into_iter().flatten().map(|listen| (listen, &api.front))
        });
        let mut there = apis.into_iter().chain(pull).filter(|(address, _)| *address == listen).map(|(_, front)| front);
        there.find(|front| **front != Front::default()).cloned().unwrap_or_default()
    }
}
