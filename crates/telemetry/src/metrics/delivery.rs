//! `hookaido_delivery_*`.

use std::sync::Arc;

use hookaido_model::DeadReason;

use super::cell::{Count, Family, Registry, family};

const ATTEMPTS: Family = family("hookaido_delivery_attempts_total", "Tries to deliver a message to its target.");
const ACKED: Family = family("hookaido_delivery_acked_total", "Messages that their target took.");
const RETRY: Family = family("hookaido_delivery_retry_total", "Failed tries after which another one is due.");
const DEAD: Family = family("hookaido_delivery_dead_total", "Messages given up and kept as dead letters.");
const BY_REASON: Family = family("hookaido_delivery_dead_by_reason_total", "Messages given up, by reason.");

const REASONS: [&str; 5] = ["max_retries", "no_retry", "policy_denied", "unspecified", "other"];

/// What push did.
#[derive(Debug)]
pub struct DeliveryMetrics {
    attempts: Count,
    acked: Count,
    retry: Count,
    dead: Count,
    by_reason: [Count; 5],
}

/// Values at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// Tries.
    pub attempts: u64,
    /// Delivered.
    pub acked: u64,
    /// To be tried again.
    pub retry: u64,
    /// Given up.
    pub dead: u64,
    /// Given up, by reason.
    pub dead_by_reason: Vec<(&'static str, u64)>,
}

impl DeliveryMetrics {
    pub(crate) fn new(registry: &Arc<Registry>) -> Self {
        Self {
            attempts: registry.count(ATTEMPTS, &[]),
            acked: registry.count(ACKED, &[]),
            retry: registry.count(RETRY, &[]),
            dead: registry.count(DEAD, &[]),
            by_reason: REASONS.map(|reason| registry.count(BY_REASON, &[("reason", reason)])),
        }
    }

    /// A try began.
    pub fn attempt(&self) {
        self.attempts.add(1);
    }

    /// The target took the message.
    pub fn acked(&self) {
        self.acked.add(1);
    }

    /// The try failed and another one is due.
    pub fn retry(&self) {
        self.retry.add(1);
    }

    /// The message was given up.
    pub fn dead(&self, reason: &DeadReason) {
        self.dead.add(1);
        let index = match reason.as_str() {
            "" => 3,
            known => REASONS.iter().position(|name| *name == known).unwrap_or(4),
        };
        if let Some(count) = self.by_reason.get(index) {
            count.add(1);
        }
    }

    /// The present values.
    #[must_use]
    pub fn snapshot(&self) -> DeliveryCounts {
        DeliveryCounts {
            attempts: self.attempts.get(),
            acked: self.acked.get(),
            retry: self.retry.get(),
            dead: self.dead.get(),
            dead_by_reason: REASONS.into_iter().zip(self.by_reason.iter().map(Count::get)).collect(),
        }
    }
}
