//! Operations that change rows.

use std::sync::Arc;

use hookaido_model::config::Retention;
use hookaido_model::{Attempt, EnvelopeId, Lane, LaneId, LeaseId, Move, Seq, State, UnixMillis};

use super::{Row, Rows};
use crate::store::{
    Admission, Enqueue, Enqueued, ExtendBatch, Lease, LeaseLost, Leased, Prune, Pruned, Reclaim, Reclaimed,
    SettleBatch, Settled, Settlement, Step, StoreError, Transition, Transitioned,
};

impl Rows {
    pub(super) fn lanes(&mut self, pairs: Vec<(Arc<str>, Arc<str>)>) -> Vec<Arc<Lane>> {
        let mut lanes = Vec::new();
        for (route, target) in pairs {
            let known = self.lanes.iter().find(|lane| lane.route == route && lane.target == target).cloned();
            lanes.push(known.unwrap_or_else(|| {
                let id = LaneId(u32::try_from(self.lanes.len()).unwrap() + 1);
                let lane = Arc::new(Lane { id, route, target });
                self.lanes.push(Arc::clone(&lane));
                lane
            }));
        }
        lanes
    }

    pub(super) fn enqueue(&mut self, op: Enqueue) -> Result<Enqueued, StoreError> {
        let given: Vec<EnvelopeId> =
            op.messages.iter().filter_map(|message| message.id.clone()).map(EnvelopeId::Given).collect();
        for (n, id) in given.iter().enumerate() {
            if self.by_id(id).is_some() || given[..n].contains(id) {
                return Err(StoreError::Conflict(id.clone()));
            }
        }
        let incoming = op.messages.iter().map(|message| message.lanes.len()).sum::<usize>() as u64;
        let depth = (self.count(State::Queued) + self.count(State::Leased)) as u64;
        let dropped = match Admission::decide(op.limits, depth, incoming) {
            Admission::Admit => 0,
            Admission::MakeRoom(n) if n <= self.count(State::Queued) as u64 => n,
            Admission::MakeRoom(_) | Admission::Refuse => return Err(StoreError::Full),
        };
        for row in self.ordered(State::Queued, |row| row.seq).iter().take(usize::try_from(dropped).unwrap()) {
            self.remove(row.seq);
        }
        let mut ids = Vec::new();
        for message in op.messages {
            let content = Arc::new(message.content);
            for (n, lane) in message.lanes.iter().enumerate() {
                let first = Seq::first_at(message.received_at);
                let used = self.rows.iter().map(|row| row.seq).filter(|seq| *seq <= first.last_of_millisecond()).max();
                let seq = used.filter(|seq| *seq >= first).map_or(first, |seq| Seq(seq.0 + 1));
                let id = message.id.clone().filter(|_| n == 0).map(EnvelopeId::Given);
                let id = id.unwrap_or_else(|| EnvelopeId::made(seq, self.number()));
                ids.push(id.clone());
                self.rows.push(Row {
                    seq,
                    id,
                    lane: *lane,
                    state: State::Queued,
                    next_run_at: message.next_run_at,
                    attempt: 0,
                    lease: None,
                    dead_reason: None,
                    nack_reason: None,
                    ended_at: UnixMillis(0),
                    content: Arc::clone(&content),
                });
            }
        }
        Ok(Enqueued { ids, dropped })
    }

    pub(super) fn lease(&mut self, op: Lease) -> Leased {
        let mut waiting = self.ordered(State::Queued, |row| row.next_run_at);
        waiting.retain(|row| row.lane == op.lane);
        let (mut envelopes, mut bytes) = (Vec::new(), 0);
        for row in waiting.iter().filter(|row| row.next_run_at <= op.now).take(op.max as usize) {
            bytes += row.bytes() as u64;
            if bytes > op.max_bytes && !envelopes.is_empty() {
                break;
            }
            let token = self.number();
            let row = self.row(row.seq);
            row.step(Move::Lease);
            row.attempt += 1;
            row.lease = Some((LeaseId { seq: row.seq, token }, op.until));
            let row = row.clone();
            envelopes.push(self.envelope(&row));
        }
        let next = waiting.get(envelopes.len()).map(|row| row.next_run_at).filter(|at| *at > op.now);
        Leased { envelopes, next_ready_at: next }
    }

    fn held(&self, lease: LeaseId, scope: Option<LaneId>, now: UnixMillis) -> Result<(Row, UnixMillis), LeaseLost> {
        let held = self.rows.iter().find_map(|row| row.lease.filter(|(id, _)| *id == lease).map(|(_, end)| (row, end)));
        let (row, until) = held.ok_or(LeaseLost::NotFound)?;
        if scope.is_some_and(|scope| scope != row.lane) {
            return Err(LeaseLost::Foreign);
        }
        if until <= now {
            return Err(LeaseLost::Expired);
        }
        Ok((row.clone(), until))
    }

    pub(super) fn settle(&mut self, op: SettleBatch) -> Vec<Result<Settled, LeaseLost>> {
        let mut outcomes = Vec::new();
        for settle in op.settles {
            let (Row { seq, lane, .. }, _) = match self.held(settle.lease, settle.scope, op.now) {
                Ok(held) => held,
                Err(lost) => {
                    outcomes.push(Err(lost));
                    continue;
                }
            };
            let row = self.row(seq);
            row.ended_at = op.now;
            let mut died = false;
            match settle.settlement {
                Settlement::Ack if op.keep_delivered => row.step(Move::Ack),
                Settlement::Ack => self.remove(seq),
                Settlement::Nack { ready_at, reason } => {
                    row.nack_reason = reason.or(row.nack_reason.take());
                    died = row.come_back(ready_at, op.rules.of(lane), op.now);
                }
                Settlement::Release => {
                    row.step(Move::Release);
                    row.attempt -= 1;
                }
                Settlement::Bury { reason } => {
                    row.step(Move::Bury);
                    row.dead_reason = reason;
                    died = true;
                    row.nack_reason = None;
                }
            }
            outcomes.push(Ok(Settled { lane, died }));
        }
        self.attempts.extend(op.attempts);
        outcomes
    }

    pub(super) fn extend(&mut self, op: &ExtendBatch) -> Vec<Result<UnixMillis, LeaseLost>> {
        let mut outcomes = Vec::new();
        for lease in &op.leases {
            outcomes.push(self.held(*lease, op.scope, op.now).map(|(row, until)| {
                let wanted = until.plus(op.by);
                let end = op.latest.map_or(wanted, |latest| latest.min(wanted)).max(until);
                self.row(row.seq).lease = Some((*lease, end));
                end
            }));
        }
        outcomes
    }

    pub(super) fn reclaim(&mut self, op: &Reclaim) -> Reclaimed {
        let end = |row: &Row| row.lease.map(|(_, until)| until);
        let ended = self.ordered(State::Leased, end);
        let mut reclaimed = Reclaimed::default();
        for row in ended.iter().filter(|row| end(row) <= Some(op.now)).take(op.max as usize) {
            let died = self.row(row.seq).come_back(None, op.rules.of(row.lane), op.now);
            reclaimed.add(self.lanes.iter().find(|lane| lane.id == row.lane).unwrap(), died);
        }
        reclaimed.next_lease_end = self.rows.iter().filter_map(end).min();
        reclaimed
    }

    pub(super) fn transition(&mut self, op: &Transition) -> Transitioned {
        let mut changed = Vec::new();
        for id in &op.ids {
            let Some(row) = self.by_id(id) else { continue };
            if !op.only.is_empty() && !op.only.contains(&row.state) {
                continue;
            }
            let seq = row.seq;
            match op.step {
                Step::Delete => self.remove(seq),
                Step::Move(step) if row.state.after(step).is_some() => {
                    row.step(step);
                    row.nack_reason = None;
                    row.ended_at = op.now;
                    if row.state == State::Queued {
                        row.next_run_at = op.now;
                        row.attempt = 0;
                    }
                }
                Step::Move(_) => continue,
            }
            changed.push(id.clone());
        }
        Transitioned { changed }
    }

    pub(super) fn prune(&mut self, op: &Prune) -> Pruned {
        let keep = &op.retentions;
        let queued = Retention { max_rows: None, ..keep.queued };
        let mut pruned = Pruned {
            queued: self.prune_state(State::Queued, queued, op, |row| UnixMillis(row.seq.0 >> Seq::COUNTER_BITS)),
            delivered: self.prune_state(State::Delivered, keep.delivered, op, |row| row.ended_at),
            dead: self.prune_state(State::Dead, keep.dead, op, |row| row.ended_at),
            attempts: 0,
            more: false,
        };
        let most = keep.attempts.max_rows.map_or(usize::MAX, |most| usize::try_from(most).unwrap());
        while keep.attempts.enabled && pruned.attempts < u64::from(op.max_rows) {
            let old =
                |attempt: &Attempt| keep.attempts.max_age.is_some_and(|age| attempt.created_at < op.now.minus(age));
            if self.attempts.len() <= most && !self.attempts.first().is_some_and(old) {
                break;
            }
            self.attempts.remove(0);
            pruned.attempts += 1;
        }
        let counts = [pruned.queued, pruned.delivered, pruned.dead, pruned.attempts];
        pruned.more = counts.iter().any(|count| *count > 0 && *count >= u64::from(op.max_rows));
        pruned
    }

    /// By age, then by number; a slice in all.
    fn prune_state(&mut self, state: State, keep: Retention, op: &Prune, at: impl Fn(&Row) -> UnixMillis) -> u64 {
        let slice = op.max_rows as usize;
        let mut gone = Vec::new();
        if let Some(age) = keep.max_age {
            let old = self.ordered(state, &at).into_iter().filter(|row| at(row) < op.now.minus(age));
            gone.extend(old.take(slice).map(|row| row.seq));
        }
        if let Some(most) = keep.max_rows {
            let left: Vec<Row> = self.ordered(state, &at).into_iter().filter(|row| !gone.contains(&row.seq)).collect();
            let excess = left.len().saturating_sub(usize::try_from(most).unwrap()).min(slice - gone.len());
            gone.extend(left.iter().take(excess).map(|row| row.seq));
        }
        gone.iter().for_each(|seq| self.remove(*seq));
        gone.len() as u64
    }
}
