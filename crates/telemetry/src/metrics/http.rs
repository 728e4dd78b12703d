//! `hookaido_http_*`: connections of the listeners. Not among the families of the reference.

use std::sync::Arc;

use super::cell::{Count, Family, Level64, Registry, family};

const ACTIVE: Family = family("hookaido_http_connections_active", "Connections that are open.");
const ACCEPTED: Family = family("hookaido_http_connections_total", "Connections that were accepted.");
const REFUSED: Family =
    family("hookaido_http_refused_total", "Connections or requests refused below the services, by reason.");

const REASONS: [&str; 7] = ["accept", "per_ip", "tls", "malformed", "panic", "proxy_header", "client_cert"];

/// Connections of the listeners.
#[derive(Debug)]
pub struct HttpMetrics {
    active: Level64,
    accepted: Count,
    refused: [Count; 7],
}

impl HttpMetrics {
    pub(crate) fn new(registry: &Arc<Registry>) -> Self {
        let active = Level64::default();
        registry.export_level(ACTIVE, &[], &active);
        Self {
            active,
            accepted: registry.count(ACCEPTED, &[]),
            refused: REASONS.map(|reason| registry.count(REFUSED, &[("reason", reason)])),
        }
    }

    /// A connection was accepted.
    pub fn opened(&self) {
        self.accepted.add(1);
        self.active.up(1);
    }

    /// A connection ended.
    pub fn closed(&self) {
        self.active.down(1);
    }

    /// Connections open at present.
    #[must_use]
    pub fn active(&self) -> u64 {
        self.active.get()
    }

    /// The system gave no connection, for want of file descriptors most likely.
    pub fn accept_failed(&self) {
        self.refuse(0);
    }

    /// One address holds too many connections.
    pub fn per_ip_refused(&self) {
        self.refuse(1);
    }

    /// A TLS handshake failed or took too long.
    pub fn tls_failed(&self) {
        self.refuse(2);
    }

    /// A request head that must not be served.
    pub fn malformed(&self) {
        self.refuse(3);
    }

    /// A handler panicked and the request was answered with 500.
    pub fn panicked(&self) {
        self.refuse(4);
    }

    /// A balancer sent no PROXY header, a malformed one, or not in time.
    pub fn proxy_header_failed(&self) {
        self.refuse(5);
    }

    /// A request on a connection whose client certificate is no longer accepted.
    pub fn client_cert_refused(&self) {
        self.refuse(6);
    }

    fn refuse(&self, reason: usize) {
        if let Some(count) = self.refused.get(reason) {
            count.add(1);
        }
    }
}
