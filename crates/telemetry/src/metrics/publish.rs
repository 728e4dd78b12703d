//! `hookaido_publish_*`.

use std::sync::Arc;

use super::cell::{Count, Family, Registry, family};

const ACCEPTED: Family = family("hookaido_publish_accepted_total", "Messages that operators published.");
const SCOPED_ACCEPTED: Family =
    family("hookaido_publish_scoped_accepted_total", "Messages published through an endpoint of an application.");
const REJECTED: Family = family("hookaido_publish_rejected_total", "Publish requests that were refused.");
const SCOPED_REJECTED: Family = family(
    "hookaido_publish_scoped_rejected_total",
    "Publish requests through an endpoint of an application that were refused.",
);
const VALIDATION: Family =
    family("hookaido_publish_rejected_validation_total", "Publish requests refused because of what they say.");
const POLICY: Family =
    family("hookaido_publish_rejected_policy_total", "Publish requests refused by a rule or a selector.");
const MISMATCH: Family = family(
    "hookaido_publish_rejected_managed_target_mismatch_total",
    "Publish requests refused with code managed_target_mismatch.",
);
const RESOLVER: Family = family(
    "hookaido_publish_rejected_managed_resolver_missing_total",
    "Publish requests refused with code managed_resolver_missing.",
);
const CONFLICT: Family =
    family("hookaido_publish_rejected_conflict_total", "Publish requests refused because an id exists already.");
const QUEUE_FULL: Family =
    family("hookaido_publish_rejected_queue_full_total", "Publish requests refused because the queue is full.");
const STORE: Family =
    family("hookaido_publish_rejected_store_total", "Publish requests refused because the store could not be written.");

/// Why a publish request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublishReject {
    /// Malformed, or something required is missing.
    Validation,
    /// A rule or a selector forbids it.
    Policy,
    /// Code `managed_target_mismatch`; counts as policy too.
    ManagedTargetMismatch,
    /// Code `managed_resolver_missing`; counts as policy too.
    ManagedResolverMissing,
    /// An id exists already.
    Conflict,
    /// The queue is full.
    QueueFull,
    /// The store cannot be written.
    Store,
}

/// What operators published.
#[derive(Debug)]
pub struct PublishMetrics {
    accepted: Count,
    scoped_accepted: Count,
    rejected: Count,
    scoped_rejected: Count,
    validation: Count,
    policy: Count,
    mismatch: Count,
    resolver: Count,
    conflict: Count,
    queue_full: Count,
    store: Count,
}

/// Values at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishCounts {
    /// Messages published.
    pub accepted: u64,
    /// Of these, through an endpoint.
    pub scoped_accepted: u64,
    /// Requests refused.
    pub rejected: u64,
    /// Of these, through an endpoint.
    pub scoped_rejected: u64,
    /// Refused as malformed.
    pub rejected_validation: u64,
    /// Refused by policy.
    pub rejected_policy: u64,
    /// Refused with code `managed_target_mismatch`.
    pub rejected_managed_target_mismatch: u64,
    /// Refused with code `managed_resolver_missing`.
    pub rejected_managed_resolver_missing: u64,
    /// Refused for an id that exists.
    pub rejected_conflict: u64,
    /// Refused for a full queue.
    pub rejected_queue_full: u64,
    /// Refused for the store.
    pub rejected_store: u64,
}

impl PublishMetrics {
    pub(crate) fn new(registry: &Arc<Registry>) -> Self {
        Self {
            accepted: registry.count(ACCEPTED, &[]),
            scoped_accepted: registry.count(SCOPED_ACCEPTED, &[]),
            rejected: registry.count(REJECTED, &[]),
            scoped_rejected: registry.count(SCOPED_REJECTED, &[]),
            validation: registry.count(VALIDATION, &[]),
            policy: registry.count(POLICY, &[]),
            mismatch: registry.count(MISMATCH, &[]),
            resolver: registry.count(RESOLVER, &[]),
            conflict: registry.count(CONFLICT, &[]),
            queue_full: registry.count(QUEUE_FULL, &[]),
            store: registry.count(STORE, &[]),
        }
    }

    /// A request published `messages`; `scoped` when it named an endpoint of an application.
    pub fn accepted(&self, messages: u64, scoped: bool) {
        self.accepted.add(messages);
        if scoped {
            self.scoped_accepted.add(messages);
        }
    }

    /// A request was refused; `scoped` when it named an endpoint of an application.
    pub fn rejected(&self, reject: PublishReject, scoped: bool) {
        self.rejected.add(1);
        if scoped {
            self.scoped_rejected.add(1);
        }
        match reject {
            PublishReject::Validation => self.validation.add(1),
            PublishReject::Policy => self.policy.add(1),
            PublishReject::ManagedTargetMismatch => {
                self.policy.add(1);
                self.mismatch.add(1);
            }
            PublishReject::ManagedResolverMissing => {
                self.policy.add(1);
                self.resolver.add(1);
            }
            PublishReject::Conflict => self.conflict.add(1),
            PublishReject::QueueFull => self.queue_full.add(1),
            PublishReject::Store => self.store.add(1),
        }
    }

    /// The present values.
    #[must_use]
    pub fn snapshot(&self) -> PublishCounts {
        PublishCounts {
            accepted: self.accepted.get(),
            scoped_accepted: self.scoped_accepted.get(),
            rejected: self.rejected.get(),
            scoped_rejected: self.scoped_rejected.get(),
            rejected_validation: self.validation.get(),
            rejected_policy: self.policy.get(),
            rejected_managed_target_mismatch: self.mismatch.get(),
            rejected_managed_resolver_missing: self.resolver.get(),
            rejected_conflict: self.conflict.get(),
            rejected_queue_full: self.queue_full.get(),
            rejected_store: self.store.get(),
        }
    }
}
