//! The operations, free of any transport: what a worker asks for, within the limits of the configuration.

use std::collections::HashSet;
use std::time::Duration;

use hookaido_model::config::PullLimits;
use hookaido_model::{DeadReason, LeaseId};
use hookaido_queue::store::{LeaseLost, Settle, Settlement};
use hookaido_queue::{LeaseWish, LeasedBatch};

use crate::PullError;
use crate::table::{Endpoint, Table};

/// Length of a lease that was asked for as zero or less.
const ODD_LEASE: Duration = Duration::from_secs(30);

/// A wish for messages, as it was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// At most this many; less than one counts as one.
    pub batch: Option<i64>,
    /// Length of the leases.
    pub lease_ttl: Option<Duration>,
    /// Longest wait for the first message.
    pub max_wait: Option<Duration>,
}

/// What became of leases that were to be ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// Ended now, or in the same way moments ago.
    pub done: u64,
    /// As they were named, and why not.
    pub conflicts: Vec<(String, LeaseLost)>,
}

impl Wish {
    /// The wish within the limits.
    pub(crate) fn within(self, limits: &PullLimits, lane: hookaido_model::LaneId) -> LeaseWish {
        let batch = u32::try_from(self.batch.unwrap_or(1).max(1)).unwrap_or(u32::MAX);
        let ttl = match self.lease_ttl {
            None => limits.default_lease_ttl,
            Some(Duration::ZERO) => ODD_LEASE,
            Some(ttl) => ttl,
        };
        let wait = self.max_wait.unwrap_or(limits.default_max_wait);
        LeaseWish {
            lane,
            max: batch.min(limits.max_batch),
            ttl: limits.max_lease_ttl.map_or(ttl, |most| ttl.min(most)),
            max_wait: limits.max_wait.map_or(wait, |most| wait.min(most)),
        }
    }
}

impl Table {
    /// Leases messages, or waits for some. A stop of the process ends the wait.
    ///
    /// # Errors
    /// The queue cannot answer.
    pub async fn dequeue(&self, endpoint: &Endpoint, wish: Wish) -> Result<Option<LeasedBatch>, PullError> {
        let wish = wish.within(&self.limits, endpoint.lane.id);
        tokio::select! {
            biased;
            batch = self.queue.lease(wish) => Ok(Some(batch?)),
            () = self.stop.cancelled(), if !wish.max_wait.is_zero() => Ok(None),
        }
    }

    /// Ends leases of the endpoint's route.
    ///
    /// # Errors
    /// The queue cannot answer; nothing was ended.
    pub async fn settle(
        &self,
        endpoint: &Endpoint,
        leases: &[String],
        settlement: &Settlement,
    ) -> Result<Ended, PullError> {
        let mut ended = Ended::default();
        let mut seen = HashSet::new();
        let mut asked = Vec::with_capacity(leases.len());
        for text in leases.iter().filter(|text| seen.insert(text.as_str())) {
            match text.parse::<LeaseId>() {
                Ok(lease) => asked.push((text, lease)),
                Err(_) => ended.conflicts.push((text.clone(), LeaseLost::NotFound)),
            }
        }
        let scope = Some(endpoint.lane.id);
        let settles = asked.iter().map(|(_, lease)| Settle { lease: *lease, scope, settlement: settlement.clone() });
        let outcomes = self.queue.settle_all(settles.collect(), Vec::new()).await?;
        for ((text, _), outcome) in asked.iter().zip(outcomes) {
            match outcome {
                Ok(_) => ended.done += 1,
                Err(lost) => ended.conflicts.push(((*text).clone(), lost)),
            }
        }
        count(endpoint, settlement, &ended);
        Ok(ended)
    }

    /// Moves the end of a lease of the endpoint's route, never beyond `max_lease_ttl` from now.
    ///
    /// # Errors
    /// The lease is not held, or the queue cannot answer.
    pub async fn extend(&self, endpoint: &Endpoint, lease: &str, by: Duration) -> Result<(), PullError> {
        let lease: LeaseId = lease.parse().map_err(|_not_ours| PullError::Lost(LeaseLost::NotFound))?;
        let latest = self.limits.max_lease_ttl.map(|most| self.queue.clock().now().plus(most));
        let outcomes = self.queue.extend(vec![lease], Some(endpoint.lane.id), by, latest).await?;
        match outcomes.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            Some(Err(lost)) => {
                if lost == LeaseLost::Expired {
                    endpoint.metrics.lease_expired(1);
                }
                Err(PullError::Lost(lost))
            }
            None => Err(PullError::Lost(LeaseLost::NotFound)),
        }
    }
}

fn count(endpoint: &Endpoint, settlement: &Settlement, ended: &Ended) {
    let conflicts = u64::try_from(ended.conflicts.len()).unwrap_or(u64::MAX);
    let expired = ended.conflicts.iter().filter(|(_, lost)| *lost == LeaseLost::Expired).count();
    let metrics = &endpoint.metrics;
    if *settlement == Settlement::Ack {
        if ended.done > 0 {
            metrics.acked(ended.done);
        }
        if conflicts > 0 {
            metrics.ack_conflict(conflicts);
        }
    } else {
        if ended.done > 0 {
            metrics.nacked(ended.done);
        }
        if conflicts > 0 {
            metrics.nack_conflict(conflicts);
        }
    }
    if expired > 0 {
        metrics.lease_expired(u64::try_from(expired).unwrap_or(u64::MAX));
    }
}

/// How a `nack` ends its leases.
#[must_use]
pub fn nack(now: hookaido_model::UnixMillis, delay: Duration, dead: bool, reason: Option<String>) -> Settlement {
    if dead {
        let reason = reason.filter(|reason| !reason.is_empty()).map(|reason| DeadReason(reason.into()));
        return Settlement::Bury { reason };
    }
    Settlement::Nack { ready_at: now.plus(delay) }
}
