//! One line a request.

use std::net::SocketAddr;
use std::time::Duration;

/// What is said about a request.
#[derive(Clone, Copy, Debug)]
pub struct AccessLine<'a> {
    /// `ingress`, `pull_api`, `admin_api` or `metrics`.
    pub component: &'a str,
    /// As sent.
    pub method: &'a str,
    /// As sent, with its prefix, without the query.
    pub path: &'a str,
    /// Of the answer.
    pub status: u16,
    /// Of the answer's body.
    pub bytes: u64,
    /// From the end of the request head to the answer.
    pub duration: Duration,
    /// The peer.
    pub remote: SocketAddr,
}

/// The access log. Shared by all listeners.
#[derive(Debug)]
pub struct AccessLog {}

impl AccessLog {
    /// A log that writes nothing.
    #[must_use]
    pub fn disabled() -> Self {
        Self {}
    }

    /// Whether lines are wanted; asked before any work is done for one.
    #[must_use]
    pub fn enabled(&self) -> bool {
        false
    }

    /// Writes one line.
    pub fn write(&self, _: &AccessLine<'_>) {}
}
