//! Taking messages, prolonging what is taken, taking back what ran out.

use hookaido_model::{LaneId, LeaseId, Move, Seq, State, UnixMillis};

use super::core::{Core, Effects, Stand};
use crate::store::{ExtendBatch, Lease, LeaseLost, Leased, Reclaimed};
use crate::wait::content_bytes;

impl Core {
    pub(super) fn lease(&mut self, op: &Lease, effects: &mut Effects) -> Leased {
        let mut leased = Leased::default();
        let mut bytes = 0u64;
        let max = usize::try_from(op.max.max(1)).unwrap_or(usize::MAX);
        while leased.envelopes.len() < max {
            let Some((at, seq)) = self.next_ready(op.lane).filter(|(at, _)| *at <= op.now) else { break };
            let Some(message) = self.messages.get(&seq) else { break };
            bytes = bytes.saturating_add(content_bytes(&message.content));
            if bytes > op.max_bytes && !leased.envelopes.is_empty() {
                break;
            }
            debug_assert!(at <= op.now && message.stand.state().after(Move::Lease) == Some(State::Leased));
            let token = self.random.next();
            let Some(mut message) = self.take(seq) else { break };
            message.attempt = message.attempt.saturating_add(1);
            message.stand = Stand::Leased { token, until: op.until };
            leased.envelopes.extend(self.envelope(seq, &message, true));
            self.put(seq, message);
            effects.lease_ends(op.until);
        }
        match self.next_ready(op.lane) {
            Some((at, _)) if at <= op.now => effects.ready(op.lane, op.now),
            next => leased.next_ready_at = next.map(|(at, _)| at),
        }
        leased
    }

    /// The message of a lane that is leased next, and when.
    fn next_ready(&self, lane: LaneId) -> Option<(UnixMillis, Seq)> {
        self.lane_core(lane)?.ready.first().copied()
    }

    /// Checks a lease: whose it is, and until when.
    pub(super) fn lease_of(
        &self,
        lease: LeaseId,
        scope: Option<LaneId>,
        now: UnixMillis,
    ) -> Result<(LaneId, UnixMillis), LeaseLost> {
        let message = self.messages.get(&lease.seq).ok_or(LeaseLost::NotFound)?;
        match message.stand {
            Stand::Leased { token, until } if token == lease.token => match scope {
                Some(scope) if scope != message.lane => Err(LeaseLost::Foreign),
                _ if until <= now => Err(LeaseLost::Expired),
                _ => Ok((message.lane, until)),
            },
            _ => Err(LeaseLost::NotFound),
        }
    }

    pub(super) fn extend(&mut self, op: &ExtendBatch, effects: &mut Effects) -> Vec<Result<UnixMillis, LeaseLost>> {
        let mut outcomes = Vec::with_capacity(op.leases.len());
        for lease in &op.leases {
            let outcome = self.lease_of(*lease, op.scope, op.now).map(|(_, until)| {
                let wanted = until.plus(op.by);
                // Never shorter than it was: a limit that was lowered meanwhile takes nothing away.
                let end = op.latest.map_or(wanted, |latest| wanted.min(latest)).max(until);
                if let Some(mut message) = self.take(lease.seq) {
                    message.stand = Stand::Leased { token: lease.token, until: end };
                    self.put(lease.seq, message);
                }
                effects.lease_ends(end);
                end
            });
            outcomes.push(outcome);
        }
        outcomes
    }

    pub(super) fn reclaim(&mut self, now: UnixMillis, max: u32, effects: &mut Effects) -> Reclaimed {
        let mut reclaimed = Reclaimed::default();
        for _ in 0..max {
            let Some((_, seq)) = self.leased.first().copied().filter(|(until, _)| *until <= now) else { break };
            let Some(mut message) = self.take(seq) else { break };
            debug_assert_eq!(message.stand.state().after(Move::Release), Some(State::Queued));
            message.stand = Stand::Queued;
            message.next_run_at = now;
            let lane = message.lane;
            self.put(seq, message);
            effects.ready(lane, now);
            match reclaimed.lanes.iter_mut().find(|(known, _)| *known == lane) {
                Some((_, count)) => *count += 1,
                None => reclaimed.lanes.push((lane, 1)),
            }
        }
        reclaimed.next_lease_end = self.leased.first().map(|(until, _)| *until);
        reclaimed
    }
}
