//! The operations, free of any transport: what a worker asks for, within the limits of the configuration.
//!
//! A front finds the [`Endpoint`] and checks the token ([`Table::endpoint`], [`Table::allows`]), then calls these. They count what they
//! did; a front counts only what it refused before.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hookaido_model::config::PullLimits;
use hookaido_model::{DeadReason, Envelope, LaneId, LeaseId};
use hookaido_queue::store::{LeaseLost, Settle, Settlement};
use hookaido_queue::{LeaseWish, LeasedBatch};
use hookaido_telemetry::PullDeath;

use crate::PullError;
use crate::table::{Endpoint, Table};

/// Length of a lease that was asked for as zero or less.
const ODD_LEASE: Duration = Duration::from_secs(30);

/// A wish for messages, as it was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// At most this many; less than one counts as one.
    pub batch: Option<i64>,
    /// Length of the leases; zero stands for half a minute.
    pub lease_ttl: Option<Duration>,
    /// Longest wait for the first message.
    pub max_wait: Option<Duration>,
    /// What the transport carries in one answer, about; a single message may be larger.
    pub max_bytes: Option<u64>,
}

/// Messages for a worker. Given back, as if they had never been leased, unless they are handed over.
#[derive(Debug)]
pub struct Dequeued {
    batch: Option<LeasedBatch>,
    endpoint: Arc<Endpoint>,
}

/// The leases that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leases {
    /// In the form for one.
    One(String),
    /// In the form for several; each once.
    Many(Vec<String>),
}

/// Why leases are not named as they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamingError {
    /// Both forms are used.
    #[error("use either `lease_id` or `lease_ids`, not both")]
    Both,
    /// Neither form is used.
    #[error("`lease_id` or `lease_ids` is required")]
    Neither,
    /// There are names, but none that says anything.
    #[error("`lease_ids` holds no lease")]
    Blank,
    /// Too many leases for one request.
    #[error("`lease_ids` may name {most} leases; send more in parts")]
    TooMany {
        /// The limit.
        most: u32,
    },
}

/// What is asked for leases that shall end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Ack,
    /// Given back.
    Nack {
        /// Until it may be leased again; `None` leaves that to the route.
        delay: Option<Duration>,
        /// Why; shown should the message die of it.
        reason: Option<String>,
    },
    /// To the dead letters, for a reason.
    Dead(Option<String>),
}

/// What became of leases that were to be ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Ended now, or in the same way moments ago.
    pub done: u64,
    /// Of these, messages that went to the dead letters now.
    pub died: u64,
    /// As they were named, in that order, and why not.
    pub conflicts: Vec<(String, LeaseLost)>,
}

impl Wish {
    /// The wish within the limits.
    pub(crate) fn within(self, limits: &PullLimits, lane: LaneId) -> LeaseWish {
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

impl Dequeued {
    /// The messages; none when the time was over.
    #[must_use]
    pub fn envelopes(&self) -> &[Envelope] {
        self.batch.as_ref().map_or(&[], LeasedBatch::envelopes)
    }

    /// The worker gets them: from now on their leases are its own.
    #[must_use]
    pub fn hand_over(self) -> Vec<Envelope> {
        let envelopes = self.batch.map(LeasedBatch::keep).unwrap_or_default();
        self.endpoint.metrics.dequeue(200, count(envelopes.len()));
        envelopes
    }

    /// The same, when it gets them over a stream.
    pub(crate) fn hand_over_streamed(self) {
        let envelopes = self.batch.map(LeasedBatch::keep).unwrap_or_default();
        self.endpoint.metrics.dequeue(200, 0);
        self.endpoint.metrics.sse_sent(count(envelopes.len()));
    }
}

impl Leases {
    /// Reads both forms: names without blanks around them, empty ones left out, each once, no more than the limit.
    ///
    /// # Errors
    /// See [`NamingError`].
    pub fn named(one: Option<String>, many: Option<Vec<String>>, most: u32) -> Result<Self, NamingError> {
        let one = one.as_deref().map(str::trim).filter(|name| !name.is_empty());
        let many = many.unwrap_or_default();
        match one {
            Some(_) if !many.is_empty() => return Err(NamingError::Both),
            Some(one) => return Ok(Self::One(one.to_owned())),
            None if many.is_empty() => return Err(NamingError::Neither),
            None => {}
        }
        let mut seen = HashSet::with_capacity(many.len());
        let names = many.iter().map(|name| name.trim()).filter(|name| !name.is_empty() && seen.insert(*name));
        let names: Vec<String> = names.map(str::to_owned).collect();
        if names.is_empty() {
            return Err(NamingError::Blank);
        }
        if names.len() > usize::try_from(most).unwrap_or(usize::MAX) {
            return Err(NamingError::TooMany { most });
        }
        Ok(Self::Many(names))
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

impl Table {
    /// Leases messages, or waits for some. The wait ends early when the process stops or the endpoint goes away.
    ///
    /// # Errors
    /// The queue cannot answer.
    pub async fn dequeue(&self, endpoint: &Arc<Endpoint>, wish: Wish) -> Result<Dequeued, PullError> {
        let max_bytes = wish.max_bytes.unwrap_or(u64::MAX);
        self.lease(endpoint, wish.within(&self.limits, endpoint.lane.id), max_bytes).await
    }

    pub(crate) async fn lease(
        &self,
        endpoint: &Arc<Endpoint>,
        wish: LeaseWish,
        max_bytes: u64,
    ) -> Result<Dequeued, PullError> {
        let leased = if wish.max_wait.is_zero() {
            self.queue.lease_within(wish, max_bytes).await.map(Some)
        } else {
            tokio::select! {
                biased;
                () = endpoint.revoked.cancelled() => Ok(None),
                leased = self.queue.lease_within(wish, max_bytes) => leased.map(Some),
            }
        };
        match leased {
            Ok(batch) => Ok(Dequeued { batch, endpoint: Arc::clone(endpoint) }),
            Err(error) => {
                endpoint.metrics.dequeue(503, 0);
                Err(error.into())
            }
        }
    }

    /// The leases that a request names, in the form for one or in that for several; see [`Leases::named`].
    ///
    /// # Errors
    /// They are not named as they should be.
    pub fn leases(&self, one: Option<String>, many: Option<Vec<String>>) -> Result<Leases, NamingError> {
        Leases::named(one, many, self.limits.max_lease_batch)
    }

    /// Ends leases.
    ///
    /// # Errors
    /// The queue cannot answer; nothing was ended.
    pub async fn settle(&self, endpoint: &Endpoint, leases: &Leases, verdict: &Verdict) -> Result<Ended, PullError> {
        let settlement = self.settlement(verdict);
        let scope = self.scope(endpoint);
        let asked: Vec<Option<LeaseId>> = leases.names().iter().map(|name| name.parse().ok()).collect();
        let settles = asked.iter().flatten();
        let settles = settles.map(|lease| Settle { lease: *lease, scope, settlement: settlement.clone() }).collect();
        let mut outcomes = self.queue.settle_all(settles, Vec::new()).await?.into_iter();
        let mut ended = Ended::default();
        for (name, lease) in leases.names().iter().zip(asked) {
            // What is no lease of this server was not asked for.
            match lease.and_then(|_| outcomes.next()).unwrap_or(Err(LeaseLost::NotFound)) {
                Ok(settled) => {
                    ended.done += 1;
                    ended.died += u64::from(settled.died);
                }
                Err(lost) => ended.conflicts.push((name.clone(), lost)),
            }
        }
        record(endpoint, verdict, &ended);
        Ok(ended)
    }

    fn settlement(&self, verdict: &Verdict) -> Settlement {
        match verdict {
            Verdict::Ack => Settlement::Ack,
            Verdict::Nack { delay, reason } => {
                let ready_at = delay.map(|delay| self.queue.clock().now().plus(delay));
                Settlement::Nack { ready_at, reason: said(reason) }
            }
            Verdict::Dead(reason) => Settlement::Bury { reason: said(reason) },
        }
    }

    /// Moves the end of a lease, never beyond `max_lease_ttl` from now.
    ///
    /// # Errors
    /// The lease is not held, or the queue cannot answer.
    pub async fn extend(&self, endpoint: &Endpoint, lease: &str, by: Duration) -> Result<(), PullError> {
        let lease: LeaseId = lease.parse().map_err(|_not_ours| PullError::Lost(LeaseLost::NotFound))?;
        let latest = self.limits.max_lease_ttl.map(|most| self.queue.clock().now().plus(most));
        let outcomes = self.queue.extend(vec![lease], self.scope(endpoint), by, latest).await?;
        match outcomes.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            Some(Err(lost)) => Err(PullError::Lost(lost)),
            None => Err(PullError::Lost(LeaseLost::NotFound)),
        }
    }
}

/// What a worker said, if it did.
fn said(reason: &Option<String>) -> Option<DeadReason> {
    reason.clone().filter(|reason| !reason.is_empty()).map(|reason| DeadReason(reason.into()))
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// Counts what became of leases. A route shows up with its first use only.
fn record(endpoint: &Endpoint, verdict: &Verdict, ended: &Ended) {
    let (done, conflicts) = (ended.done, count(ended.conflicts.len()));
    let metrics = &endpoint.metrics;
    match verdict {
        Verdict::Ack => {
            metrics.acked(done);
            metrics.ack_conflict(conflicts);
        }
        Verdict::Nack { .. } | Verdict::Dead(_) => {
            metrics.nacked(done);
            metrics.nack_conflict(conflicts);
            let cause = if matches!(verdict, Verdict::Dead(_)) { PullDeath::Worker } else { PullDeath::MaxReceives };
            metrics.died(cause, ended.died);
            if cause == PullDeath::MaxReceives && ended.died > 0 {
                let (route, messages) = (&*endpoint.lane.route, ended.died);
                tracing::warn!(target: "hookaido", route, messages, reason = "max_receives", "pull_dead");
            }
        }
    }
}

#[cfg(test)]
mod tests;
