//! `hookaido_ingress_*`.

use std::sync::Arc;

use super::cell::{Count, Family, Level64, Registry, family};

const ACCEPTED: Family = family("hookaido_ingress_accepted_total", "Requests that were stored and answered with 202.");
const REJECTED: Family = family("hookaido_ingress_rejected_total", "Requests that were refused, for whatever reason.");
const BY_REASON: Family =
    family("hookaido_ingress_rejected_by_reason_total", "Refused requests by reason and status code.");
const ENQUEUED: Family = family(
    "hookaido_ingress_enqueued_total",
    "Messages stored; more than accepted requests where a route has several targets.",
);
const PRESSURE: Family = family(
    "hookaido_ingress_adaptive_backpressure_total",
    "Requests refused by adaptive backpressure, by what triggered it.",
);
const PRESSURE_APPLIED: Family =
    family("hookaido_ingress_adaptive_backpressure_applied_total", "Requests refused by adaptive backpressure.");

const CLIENTS: Family = family(
    "hookaido_ingress_rate_limit_clients",
    "Clients whose rate is being limited each by itself, over all limits.",
);

/// Why ingress refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IngressReject {
    /// No route matches (404).
    NotFound,
    /// The route does not take the method (405).
    Method,
    /// Missing or wrong credentials (401, 403).
    Auth,
    /// Too many requests (429).
    RateLimit,
    /// Larger than `max_body` (413).
    BodyTooLarge,
    /// Larger than `max_headers` (413).
    HeadersTooLarge,
    /// `max_depth` is reached (503).
    QueueFull,
    /// Adaptive backpressure (503).
    AdaptiveBackpressure(Pressure),
    /// The memory store protects itself (503).
    MemoryPressure,
    /// Refused by another rule of the configuration.
    Policy,
    /// The store cannot be written (503).
    Store,
    /// Anything else.
    Other,
}

/// What triggered adaptive backpressure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pressure {
    /// Share of `max_depth` in use.
    QueuedPressure = 0,
    /// Lag of ready messages.
    ReadyLag = 1,
    /// Age of the oldest message.
    OldestQueuedAge = 2,
    /// Steady growth.
    SustainedGrowth = 3,
    /// Not said.
    Unspecified = 4,
    /// Anything else.
    Other = 5,
}

const PRESSURES: [&str; 6] =
    ["queued_pressure", "ready_lag", "oldest_queued_age", "sustained_growth", "unspecified", "other"];
const REASONS: [&str; 8] =
    ["memory_pressure", "queue_full", "adaptive_backpressure", "rate_limit", "auth", "not_found", "policy", "other"];
const STATUSES: [&str; 9] = ["400", "401", "403", "404", "405", "413", "429", "503", "other"];

impl IngressReject {
    fn reason(self) -> usize {
        match self {
            Self::MemoryPressure => 0,
            Self::QueueFull => 1,
            Self::AdaptiveBackpressure(_) => 2,
            Self::RateLimit => 3,
            Self::Auth => 4,
            Self::NotFound | Self::Method => 5,
            Self::BodyTooLarge | Self::HeadersTooLarge | Self::Policy => 6,
            Self::Store | Self::Other => 7,
        }
    }
}

fn status_index(status: u16) -> usize {
    match status {
        400 => 0,
        401 => 1,
        403 => 2,
        404 => 3,
        405 => 4,
        413 => 5,
        429 => 6,
        503 => 7,
        _ => 8,
    }
}

/// What ingress answered.
#[derive(Debug)]
pub struct IngressMetrics {
    accepted: Count,
    enqueued: Count,
    rejected: Count,
    pressure_applied: Count,
    by_reason: [[Count; 9]; 8],
    by_pressure: [Count; 6],
    clients: Level64,
}

/// Values at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngressCounts {
    /// Requests answered with 202.
    pub accepted: u64,
    /// Messages stored.
    pub enqueued: u64,
    /// Requests refused.
    pub rejected: u64,
    /// Refused requests by reason, over all status codes.
    pub rejected_by_reason: Vec<(&'static str, u64)>,
    /// Requests refused by adaptive backpressure.
    pub pressure_applied: u64,
    /// The same by trigger.
    pub pressure_by_reason: Vec<(&'static str, u64)>,
}

impl IngressMetrics {
    pub(crate) fn new(registry: &Arc<Registry>) -> Self {
        let clients = Level64::default();
        registry.export_level(CLIENTS, &[], &clients);
        Self {
            clients,
            accepted: registry.count(ACCEPTED, &[]),
            enqueued: registry.count(ENQUEUED, &[]),
            rejected: registry.count(REJECTED, &[]),
            pressure_applied: registry.count(PRESSURE_APPLIED, &[]),
            by_reason: REASONS.map(|reason| {
                STATUSES.map(|status| registry.count(BY_REASON, &[("reason", reason), ("status", status)]))
            }),
            by_pressure: PRESSURES.map(|reason| registry.count(PRESSURE, &[("reason", reason)])),
        }
    }

    /// A request was answered with 202 and became `enqueued` messages.
    pub fn accepted(&self, enqueued: u64) {
        self.accepted.add(1);
        self.enqueued.add(enqueued);
    }

    /// A request was refused with `status`.
    pub fn rejected(&self, reject: IngressReject, status: u16) {
        self.rejected.add(1);
        if let Some(count) = self.by_reason.get(reject.reason()).and_then(|row| row.get(status_index(status))) {
            count.add(1);
        }
        if let IngressReject::AdaptiveBackpressure(pressure) = reject {
            self.pressure_applied.add(1);
            if let Some(count) = self.by_pressure.get(pressure as usize) {
                count.add(1);
            }
        }
    }

    /// How many clients are remembered because their rate is limited.
    pub fn set_rate_limit_clients(&self, clients: u64) {
        self.clients.set(clients);
    }

    /// The present values.
    #[must_use]
    pub fn snapshot(&self) -> IngressCounts {
        let sum = |row: &[Count; 9]| row.iter().map(Count::get).sum();
        IngressCounts {
            accepted: self.accepted.get(),
            enqueued: self.enqueued.get(),
            rejected: self.rejected.get(),
            rejected_by_reason: REASONS.into_iter().zip(self.by_reason.iter().map(sum)).collect(),
            pressure_applied: self.pressure_applied.get(),
            pressure_by_reason: PRESSURES.into_iter().zip(self.by_pressure.iter().map(Count::get)).collect(),
        }
    }
}
