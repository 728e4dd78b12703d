//! Routes: what they match and what becomes of a message.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::{ClientCertRule, Delivery, IngressAuth, RateLimit};
use crate::{Redelivery, SecretRef};

/// One route.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Ingress path and name of the queue.
    pub path: Arc<str>,
    /// Direction.
    pub channel: Channel,
    /// What a request must look like besides its path.
    pub matches: Match,
    /// How a request proves itself.
    pub auth: IngressAuth,
    /// Limit of this route.
    pub rate_limit: Option<RateLimit>,
    /// Limit of each client on this route (`rate_limit { key client_ip }`).
    pub client_limit: Option<RateLimit>,
    /// Body limit in bytes.
    pub max_body: u64,
    /// Header limit in bytes.
    pub max_headers: u64,
    /// Whether and how the admin API may publish here.
    pub publish: RoutePublish,
    /// `application` and `endpoint_name`, both or neither.
    pub managed: Option<Managed>,
    /// `queue { backend ... }`.
    pub backend: QueueBackend,
    /// Pulled by workers or pushed to targets.
    pub work: RouteWork,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum RouteWork {
    /// Workers pull it.
    Pull(PullRoute),
    /// It is pushed to each target.
    Deliver {
        /// Most deliveries of this route in flight at a time.
        concurrency: u32,
        /// Targets; at least one.
        targets: Vec<Delivery>,
    },
}

/// `pull { ... }`.
#[derive(Clone, Debug, PartialEq)]
pub struct PullRoute {
    /// Path of the endpoint below the prefix of the pull API.
    pub path: Arc<str>,
    /// Replace the tokens of the pull API when not empty.
    pub auth_tokens: Vec<SecretRef>,
    /// What becomes of messages that workers do not finish.
    pub redelivery: Redelivery,
}

/// Direction of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channel {
    /// A bare route: served at ingress, pulled or pushed.
    #[default]
    Bare,
    /// `inbound`: as a bare route.
    Inbound,
    /// `outbound`: published by the admin API and pushed; not served at ingress.
    Outbound,
    /// `internal`: published by the admin API and pulled; not served at ingress.
    Internal,
}

impl Channel {
    /// Whether ingress serves the route.
    #[must_use]
    pub fn served_at_ingress(self) -> bool {
        matches!(self, Self::Bare | Self::Inbound)
    }
}

/// Conditions on a request; all given ones must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Match {
    /// Upper case. Empty means POST only.
    pub methods: Vec<String>,
    /// Any of these.
    pub hosts: Vec<HostPattern>,
    /// Names in canonical form with the value each must have.
    pub headers: Vec<(String, String)>,
    /// Names that must be there.
    pub header_exists: Vec<String>,
    /// Parameters with the value each must have.
    pub query: Vec<(String, String)>,
    /// Parameters that must be there.
    pub query_exists: Vec<String>,
    /// The client must be in one of these networks: address and prefix length.
    pub remote_ips: Vec<(IpAddr, u8)>,
    /// What its verified certificate must say.
    pub client_certs: Vec<ClientCertRule>,
}

/// A host name, or `*.` with a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(pub String);

/// Whether and how the admin API may publish to a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutePublish {
    /// At all.
    pub enabled: bool,
    /// By route path.
    pub direct: bool,
    /// By application and endpoint.
    pub managed: bool,
}

/// Labels under which the admin API manages a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Managed {
    /// `application`.
    pub application: String,
    /// `endpoint_name`.
    pub endpoint: String,
}

/// Which store keeps the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueBackend {
    /// A file; the default.
    #[default]
    Sqlite,
    /// Nothing survives the process.
    Memory,
    /// A shared PostgreSQL.
    Postgres,
}

impl QueueBackend {
    /// The word of the language.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Memory => "memory",
            Self::Postgres => "postgres",
        }
    }
}

/// Environment of an exec target, in order of the names.
pub type ExecEnv = BTreeMap<String, String>;
