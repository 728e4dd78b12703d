//! From the reply of a try to what is settled, recorded, counted and logged.

use std::sync::Arc;
use std::time::Duration;

use hookaido_model::{
    Attempt, AttemptId, AttemptOutcome, Envelope, EnvelopeId, Lane, LeaseId, RetryPolicy, UnixMillis, Verdict, decide,
};
use hookaido_queue::store::{LeaseLost, Settle, Settlement};
use hookaido_telemetry::DeliveryMetrics;

use crate::reply::Reply;

/// A lease to end, with what its end means.
#[derive(Clone, Debug)]
pub(crate) struct Conclusion {
    lane: Arc<Lane>,
    event_id: EnvelopeId,
    lease: LeaseId,
    /// End of the lease; after it there is nothing to settle.
    pub(crate) lease_until: UnixMillis,
    attempt: u32,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// The try ended.
    Tried { verdict: Verdict, reply: Reply, at: UnixMillis },
    /// It never began, or the end of the process cut it off. Then nobody knows what the target made of it, and as nothing is known
    /// against the target or the message, it costs no attempt.
    Untold,
}

impl Conclusion {
    /// A try ended at `at` with `reply`. `jitter` is a random number from -1 to 1.
    pub(crate) fn tried(
        envelope: &Envelope,
        reply: Reply,
        policy: &RetryPolicy,
        jitter: f64,
        at: UnixMillis,
    ) -> Option<Self> {
        let verdict = decide(&reply.outcome, envelope.attempt, policy, jitter);
        Self::of(envelope, What::Tried { verdict, reply, at })
    }

    /// A message was leased and not sent, or its try was cut off.
    pub(crate) fn untold(envelope: &Envelope) -> Option<Self> {
        Self::of(envelope, What::Untold)
    }

    /// `None` for an envelope that is not leased, which a lease never gives.
    fn of(envelope: &Envelope, what: What) -> Option<Self> {
        Some(Self {
            lane: Arc::clone(&envelope.lane),
            event_id: envelope.id.clone(),
            lease: envelope.lease?,
            lease_until: envelope.lease_until?,
            attempt: envelope.attempt,
            what,
        })
    }

    /// What becomes of the message.
    pub(crate) fn settle(&self) -> Settle {
        let settlement = match &self.what {
            What::Tried { verdict: Verdict::Ack, .. } => Settlement::Ack,
            What::Tried { verdict: Verdict::Retry(delay), at, .. } => {
                Settlement::Nack { ready_at: Some(at.plus(*delay)), reason: None }
            }
            What::Tried { verdict: Verdict::Bury(reason), .. } => Settlement::Bury { reason: Some(reason.clone()) },
            What::Untold => Settlement::Release,
        };
        Settle { lease: self.lease, scope: Some(self.lane.id), settlement }
    }

    /// The record of the try, if there was one.
    pub(crate) fn attempt(&self) -> Option<Attempt> {
        let What::Tried { verdict, reply, at } = &self.what else { return None };
        let (outcome, dead_reason) = match verdict {
            Verdict::Ack => (AttemptOutcome::Acked, None),
            Verdict::Retry(_) => (AttemptOutcome::Retry, None),
            Verdict::Bury(reason) => (AttemptOutcome::Dead, Some(reason.clone())),
        };
        Some(Attempt {
            id: AttemptId(0),
            event_id: self.event_id.clone(),
            lane: Arc::clone(&self.lane),
            attempt: self.attempt,
            status_code: reply.status(),
            error: reply.error.clone(),
            outcome,
            dead_reason,
            created_at: *at,
        })
    }

    /// Counts and logs what is stored now.
    pub(crate) fn report(&self, stored: Result<(), LeaseLost>, metrics: &DeliveryMetrics) {
        let Self { lane, event_id, attempt, .. } = self;
        let (route, to) = (&*lane.route, &*lane.target);
        if let Err(lost) = stored {
            tracing::warn!(target: "hookaido", route, target = to, attempt, event_id = %event_id, error = %lost, "delivery_lease_lost");
            return;
        }
        let What::Tried { verdict, reply, .. } = &self.what else { return };
        let (status, error) = (reply.status(), reply.error.as_deref());
        match verdict {
            Verdict::Ack => {
                metrics.acked();
                tracing::info!(target: "hookaido", route, target = to, status, attempt, event_id = %event_id, "delivery_ok");
            }
            Verdict::Retry(delay) => {
                metrics.retry();
                let (delay, retry_after) = (nanos(*delay), reply.retry_after().map(nanos));
                tracing::info!(
                    target: "hookaido", route, target = to, attempt, delay, event_id = %event_id, status, error, retry_after,
                    "delivery_retry"
                );
            }
            Verdict::Bury(reason) => {
                metrics.dead(reason);
                let reason = reason.as_str();
                tracing::warn!(
                    target: "hookaido", route, target = to, attempt, reason, event_id = %event_id, status, error, "delivery_dead"
                );
            }
        }
    }
}

fn nanos(delay: Duration) -> u64 {
    u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX)
}
