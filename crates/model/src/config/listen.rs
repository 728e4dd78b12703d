//! Listeners and the APIs behind them.

use std::sync::Arc;
use std::time::Duration;

use super::{Front, RateLimit};
use crate::SecretRef;

/// `ingress { ... }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Ingress {
    /// `host:port`, as written.
    pub listen: String,
    /// `None` serves cleartext.
    pub tls: Option<Tls>,
    /// Limit over all routes.
    pub rate_limit: Option<RateLimit>,
    /// Limit of each client over all routes (`rate_limit { key client_ip }`).
    pub client_limit: Option<RateLimit>,
    /// What stands in front.
    pub front: Front,
}

/// `pull_api { ... }`.
#[derive(Clone, Debug, PartialEq)]
pub struct PullApi {
    /// `host:port`, as written.
    pub listen: String,
    /// `None` serves cleartext.
    pub tls: Option<Tls>,
    /// Path in front of every endpoint, without trailing slash; empty for none.
    pub prefix: String,
    /// Address of the gRPC worker API.
    pub grpc_listen: Option<String>,
    /// Tokens of every route that has none of its own.
    pub auth_tokens: Vec<SecretRef>,
    /// Bounds of what one request may ask for.
    pub limits: PullLimits,
    /// What stands in front.
    pub front: Front,
}

/// Bounds and defaults of pull requests.
#[derive(Clone, Debug, PartialEq)]
pub struct PullLimits {
    /// Most messages of one dequeue.
    pub max_batch: u32,
    /// Most leases of one ack, nack or extend.
    pub max_lease_batch: u32,
    /// Used when a request names none.
    pub default_lease_ttl: Duration,
    /// `None` for no bound.
    pub max_lease_ttl: Option<Duration>,
    /// Used when a request names none.
    pub default_max_wait: Duration,
    /// `None` for no bound.
    pub max_wait: Option<Duration>,
    /// Interval of stream comments; `None` takes the built-in 15 s.
    pub sse_keepalive: Option<Duration>,
    /// Longest life of a stream; `None` for no bound.
    pub sse_max_connection: Option<Duration>,
}

/// `admin_api { ... }`.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminApi {
    /// `host:port`, as written.
    pub listen: String,
    /// `None` serves cleartext.
    pub tls: Option<Tls>,
    /// Path in front of every endpoint, without trailing slash; empty for none.
    pub prefix: String,
    /// Empty means no authentication, which the compiler allows on loopback only.
    pub auth_tokens: Vec<SecretRef>,
    /// What stands in front.
    pub front: Front,
}

/// `tls { ... }`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tls {
    /// PEM file with the certificate chain.
    pub cert_file: Arc<str>,
    /// PEM file with the private key.
    pub key_file: Arc<str>,
    /// PEM file with the CAs that client certificates are checked against.
    pub client_ca: Option<Arc<str>>,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
}

/// What a TLS listener asks of its clients. The numbers are those of the reference's compiled form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientAuth {
    /// No certificate is asked for.
    #[default]
    None = 0,
    /// Asked for; any or none is accepted, unverified.
    Request = 1,
    /// Any certificate, unverified.
    RequireAny = 2,
    /// Verified when given.
    VerifyIfGiven = 3,
    /// Required and verified.
    RequireAndVerify = 4,
}

impl ClientAuth {
    /// Whether a certificate that a client shows has been verified against the CAs.
    #[must_use]
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }
}
