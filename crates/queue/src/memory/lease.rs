//! Leases: given, ended, moved, run out.

use hookaido_model::{
    Attempt, AttemptId, Comeback, DeadReason, LaneId, LeaseEnd, LeaseId, Move, Redelivery, Seq, State, UnixMillis,
    after_lease,
};

use super::Effects;
use super::table::{Table, content_bytes};
use crate::store::{ExtendBatch, Lease, LeaseLost, Leased, Reclaim, Reclaimed, SettleBatch, Settled, Settlement};

/// After every other place.
const LAST: Seq = Seq(i64::MAX);

impl Table {
    pub(super) fn lease(&mut self, op: Lease, effects: &mut Effects) -> Leased {
        let mut envelopes = Vec::new();
        for seq in self.next_in_line(op) {
            let token = self.random.next();
            self.change(seq, |row| {
                if let Some(to) = row.state.after(Move::Lease) {
                    row.state = to;
                    row.attempt = row.attempt.saturating_add(1);
                    row.token = token;
                    row.until = op.until;
                }
            });
            envelopes.extend(self.rows.get(&seq).and_then(|row| self.envelope(seq, row, true)));
        }
        if !envelopes.is_empty() {
            effects.lease_ends(op.until);
        }
        let next = self.lane(op.lane).and_then(|lane| lane.ready.first()).map(|(at, _)| *at);
        let more_now = next.is_some_and(|at| at <= op.now);
        if more_now {
            effects.ready(op.lane, op.now);
        }
        Leased { envelopes, next_ready_at: next.filter(|_| !more_now) }
    }

    fn next_in_line(&self, op: Lease) -> Vec<Seq> {
        let Some(lane) = self.lane(op.lane) else { return Vec::new() };
        let most = usize::try_from(op.max.max(1)).unwrap_or(usize::MAX);
        let mut bytes = 0u64;
        let mut seqs = Vec::new();
        for (_, seq) in lane.ready.range(..=(op.now, LAST)).take(most) {
            let size = self.rows.get(seq).map_or(0, |row| content_bytes(&row.content));
            bytes = bytes.saturating_add(size);
            if bytes > op.max_bytes && !seqs.is_empty() {
                break;
            }
            seqs.push(*seq);
        }
        seqs
    }

    pub(super) fn settle(&mut self, op: SettleBatch, effects: &mut Effects) -> Vec<Result<Settled, LeaseLost>> {
        let SettleBatch { settles, attempts, keep_delivered, rules, now } = op;
        let outcomes = settles
            .into_iter()
            .map(|settle| {
                let (lane, _) = self.held(settle.lease, settle.scope, now)?;
                let died = match settle.settlement {
                    Settlement::Nack { ready_at, reason } => {
                        let seq = settle.lease.seq;
                        if reason.is_some() {
                            self.change(seq, |row| row.said = reason);
                        }
                        self.come_back(seq, ready_at, rules.of(lane), (now, effects))
                    }
                    settlement => {
                        let died = matches!(settlement, Settlement::Bury { .. });
                        self.settle_one(settle.lease.seq, settlement, (keep_delivered, now), effects);
                        died
                    }
                };
                Ok(Settled { lane, died })
            })
            .collect();
        for attempt in attempts {
            self.record(attempt);
        }
        outcomes
    }

    fn settle_one(
        &mut self,
        seq: Seq,
        settlement: Settlement,
        (keep_delivered, now): (bool, UnixMillis),
        effects: &mut Effects,
    ) {
        match settlement {
            Settlement::Ack if !keep_delivered => self.remove(seq),
            Settlement::Ack => self.end(seq, Move::Ack, None, now),
            Settlement::Bury { reason } => self.end(seq, Move::Bury, reason, now),
            Settlement::Nack { ready_at, .. } => self.give_back(seq, ready_at, false, effects),
            // who was never really taken keeps the place in line
            Settlement::Release => self.give_back(seq, None, true, effects),
        }
    }

    /// A lease ended without an ack. Whether the message is dead now.
    fn come_back(
        &mut self,
        seq: Seq,
        ready_at: Option<UnixMillis>,
        rule: Redelivery,
        (now, effects): (UnixMillis, &mut Effects),
    ) -> bool {
        let Some(row) = self.rows.get(&seq) else { return false };
        let end = LeaseEnd { receives: row.attempt, ready_at, reason: row.said.as_ref(), token: row.token, now };
        match after_lease(end, &rule) {
            Comeback::Queued { ready_at } => {
                self.give_back(seq, Some(ready_at), false, effects);
                false
            }
            Comeback::Dead { reason } => {
                self.end(seq, Move::Bury, Some(reason), now);
                true
            }
        }
    }

    fn end(&mut self, seq: Seq, step: Move, reason: Option<DeadReason>, now: UnixMillis) {
        self.change(seq, |row| {
            if let Some(to) = row.state.after(step) {
                row.state = to;
                row.token = 0;
                row.ended_at = now;
                row.dead_reason = reason;
                row.said = None;
            }
        });
    }

    fn give_back(&mut self, seq: Seq, ready_at: Option<UnixMillis>, uncounted: bool, effects: &mut Effects) {
        self.change(seq, |row| {
            if let Some(to) = row.state.after(Move::Release) {
                row.state = to;
                row.token = 0;
                row.next_run_at = ready_at.unwrap_or(row.next_run_at);
                row.attempt = row.attempt.saturating_sub(u32::from(uncounted));
                effects.ready(row.lane, row.next_run_at);
            }
        });
    }

    /// Lane and end of a lease that is held.
    fn held(&self, lease: LeaseId, scope: Option<LaneId>, now: UnixMillis) -> Result<(LaneId, UnixMillis), LeaseLost> {
        let row = self.rows.get(&lease.seq).filter(|row| row.state == State::Leased && row.token == lease.token);
        match row {
            None => Err(LeaseLost::NotFound),
            Some(row) if scope.is_some_and(|scope| scope != row.lane) => Err(LeaseLost::Foreign),
            Some(row) if row.until <= now => Err(LeaseLost::Expired),
            Some(row) => Ok((row.lane, row.until)),
        }
    }

    fn record(&mut self, mut attempt: Attempt) {
        self.last_attempt += 1;
        attempt.id = AttemptId(self.last_attempt);
        if self.attempts.len() >= self.bounds.attempts {
            self.attempts.pop_front();
        }
        self.attempts.push_back(attempt);
    }

    pub(super) fn extend(&mut self, op: &ExtendBatch, effects: &mut Effects) -> Vec<Result<UnixMillis, LeaseLost>> {
        let mut outcomes = Vec::with_capacity(op.leases.len());
        for lease in &op.leases {
            let outcome = self.held(*lease, op.scope, op.now).map(|(_, until)| {
                let wanted = until.plus(op.by);
                // never shorter than it was: a limit that was lowered meanwhile takes nothing away
                let end = op.latest.map_or(wanted, |latest| wanted.min(latest)).max(until);
                self.change(lease.seq, |row| row.until = end);
                effects.lease_ends(end);
                end
            });
            outcomes.push(outcome);
        }
        outcomes
    }

    pub(super) fn reclaim(&mut self, op: &Reclaim, effects: &mut Effects) -> Reclaimed {
        let most = usize::try_from(op.max).unwrap_or(usize::MAX);
        let ended: Vec<Seq> = self.leases.range(..=(op.now, LAST)).take(most).map(|(_, seq)| *seq).collect();
        let mut reclaimed = Reclaimed::default();
        for seq in ended {
            let Some(id) = self.rows.get(&seq).map(|row| row.lane) else { continue };
            let died = self.come_back(seq, None, op.rules.of(id), (op.now, effects));
            if let Some(lane) = self.lane(id) {
                reclaimed.add(&lane.lane, died);
            }
        }
        reclaimed.next_lease_end = self.leases.first().map(|(until, _)| *until);
        reclaimed
    }
}
