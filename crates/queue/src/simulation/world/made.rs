//! What steps are made of: bodies that say whose they are, and settings as the queue takes them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookaido_model::config::{DropPolicy, QueueLimits, Retention, Retentions};
use hookaido_model::{Backoff, Lane, Redelivery};

use super::millis;
use crate::queue::QueueSettings;
use crate::simulation::steps::Settings;
use crate::store::Rules;

/// A body that says whose it is.
pub(super) fn payload(number: usize, size: usize) -> Bytes {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(8 + size, u8::try_from(number % 251).unwrap_or(0));
    Bytes::from(bytes)
}

/// Whether it is the body of a message, which shares it with the others of its fan-out.
pub(super) fn is_payload(number: usize, bytes: &[u8]) -> bool {
    let Some((head, rest)) = bytes.split_first_chunk::<8>() else { return false };
    let first = usize::from_be_bytes(*head);
    (first == number || first + 1 == number) && rest.iter().all(|byte| usize::from(*byte) == first % 251)
}

/// As the queue takes them.
pub(super) fn settings(settings: &Settings) -> QueueSettings {
    let drop_policy = if settings.drop_oldest { DropPolicy::DropOldest } else { DropPolicy::Reject };
    let age = |age: Option<u64>| Retention { enabled: age.is_some(), max_age: age.map(millis), max_rows: None };
    let both = |keep: Option<(u64, u64)>| Retention {
        enabled: keep.is_some(),
        max_age: keep.map(|(age, _)| millis(age)),
        max_rows: keep.map(|(_, rows)| rows),
    };
    QueueSettings {
        limits: QueueLimits { max_depth: settings.max_depth, drop_policy },
        retentions: Retentions {
            queued: age(settings.queued),
            delivered: both(settings.delivered),
            dead: both(settings.dead),
            attempts: Retention::default(),
            prune_interval: Duration::from_secs(1),
        },
    }
}

/// What becomes of messages whose lease ran out, by lane.
pub(super) fn rules(lanes: &[Arc<Lane>], settings: &Settings) -> Rules {
    let rule = |lane: usize| settings.rules.get(lane).copied().unwrap_or_default();
    Rules::new(lanes.iter().enumerate().map(|(n, lane)| {
        let delays = rule(n).backoff;
        let backoff = delays.map(|(base, cap)| Backoff { base: millis(base), cap: millis(cap), jitter: 0.0 });
        (lane.id, Redelivery { max_receives: rule(n).max_receives, backoff })
    }))
}
