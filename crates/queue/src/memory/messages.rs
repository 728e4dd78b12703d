//! New messages, and what operators do to messages.

use std::collections::HashSet;
use std::sync::Arc;

use hookaido_model::{EnvelopeId, Move, Seq, State, UnixMillis};

use super::Effects;
use super::table::{Row, Table, slot};
use crate::store::{Admission, Enqueue, Enqueued, NewMessage, Step, StoreError, Transition, Transitioned};

/// Eviction reasons of the metrics.
const DROP_OLDEST: &str = "drop_oldest";
const MEMORY: &str = "delivered_retention_depth";

impl Table {
    pub(super) fn enqueue(&mut self, op: Enqueue, effects: &mut Effects) -> Result<Enqueued, StoreError> {
        self.check(&op)?;
        let incoming: usize = op.messages.iter().map(|message| message.lanes.len()).sum();
        let incoming = u64::try_from(incoming).unwrap_or(u64::MAX);
        self.keep_within_memory()?;
        let dropped = match Admission::decide(op.limits, self.depth(), incoming) {
            Admission::Admit => 0,
            Admission::MakeRoom(n) if self.total(State::Queued) >= n => self.drop_oldest(n),
            Admission::MakeRoom(_) | Admission::Refuse => return Err(StoreError::Full),
        };
        let mut ids = Vec::with_capacity(op.messages.len());
        for message in op.messages {
            if let Err(error) = self.add(message, &mut ids, effects) {
                let seqs: Vec<Seq> = ids.iter().filter_map(|id| self.seq_of(id)).collect();
                seqs.into_iter().for_each(|seq| self.remove(seq));
                return Err(error);
            }
        }
        Ok(Enqueued { ids, dropped })
    }

    /// Refuses unknown lanes, and ids that are in use or stand twice in the operation.
    fn check(&self, op: &Enqueue) -> Result<(), StoreError> {
        let mut given = HashSet::new();
        for message in &op.messages {
            if message.lanes.iter().any(|lane| self.lane(*lane).is_none()) {
                return Err(StoreError::Unavailable("no such lane".into()));
            }
            if let Some(id) = &message.id
                && (!given.insert(id) || self.seq_of(&EnvelopeId::from(&**id)).is_some())
            {
                return Err(StoreError::Conflict(EnvelopeId::Given(Arc::clone(id))));
            }
        }
        Ok(())
    }

    /// Lets go of delivered messages, the oldest first, while there are too many of them or what has ended takes too much memory.
    fn keep_within_memory(&mut self) -> Result<(), StoreError> {
        let mut evicted = 0;
        let too_many = |table: &Self| table.bounds.delivered.is_some_and(|most| table.total(State::Delivered) > most);
        while too_many(self) || self.under_pressure() {
            let [delivered, _] = &self.ended;
            let Some((_, seq)) = delivered.first().copied() else { break };
            self.remove(seq);
            evicted += 1;
        }
        self.note_evicted(MEMORY, evicted);
        if self.under_pressure() {
            return Err(StoreError::Unavailable(
                "memory pressure: dead and canceled messages take too much memory; delete or requeue some".into(),
            ));
        }
        Ok(())
    }

    /// Whether what is neither queued nor leased takes too much room.
    fn under_pressure(&self) -> bool {
        let ended = || State::ALL.into_iter().filter(|state| !state.counts_as_depth());
        let bytes: u64 = ended().filter_map(|state| self.bytes.get(slot(state))).sum();
        let count: u64 = ended().map(|state| self.total(state)).sum();
        bytes > self.bounds.ended_bytes || self.bounds.ended.is_some_and(|most| count >= most)
    }

    fn drop_oldest(&mut self, n: u64) -> u64 {
        let most = usize::try_from(n).unwrap_or(usize::MAX);
        let [queued, ..] = &self.by_state;
        let oldest: Vec<Seq> = queued.iter().copied().take(most).collect();
        oldest.into_iter().for_each(|seq| self.remove(seq));
        self.note_evicted(DROP_OLDEST, n);
        n
    }

    fn add(&mut self, message: NewMessage, ids: &mut Vec<EnvelopeId>, effects: &mut Effects) -> Result<(), StoreError> {
        let NewMessage { lanes, id, content, received_at, next_run_at } = message;
        let content = Arc::new(content);
        let mut given = id;
        for lane in lanes {
            let seq = self.free_place(received_at)?;
            let row = Row {
                lane,
                state: State::Queued,
                next_run_at,
                attempt: 0,
                nonce: self.random.next() >> 10,
                given: given.take(),
                content: Arc::clone(&content),
                token: 0,
                until: UnixMillis::default(),
                dead_reason: None,
                said: None,
                ended_at: UnixMillis::default(),
            };
            ids.push(row.id(seq));
            self.insert(seq, row);
            effects.ready(lane, next_run_at);
        }
        Ok(())
    }

    pub(super) fn transition(&mut self, op: Transition, effects: &mut Effects) -> Transitioned {
        let mut done = Transitioned::default();
        let Transition { ids, step, only, now } = op;
        for id in ids {
            let Some(seq) = self.seq_of(&id) else { continue };
            let Some(state) = self.rows.get(&seq).map(|row| row.state) else { continue };
            if !only.is_empty() && !only.contains(&state) {
                continue;
            }
            let moved = match step {
                Step::Delete => {
                    self.remove(seq);
                    true
                }
                Step::Move(step) => self.move_by_hand(seq, step, now, effects),
            };
            if moved {
                done.changed.push(id);
            }
        }
        done
    }

    /// Whether the step is one for operators and allowed.
    fn move_by_hand(&mut self, seq: Seq, step: Move, now: UnixMillis, effects: &mut Effects) -> bool {
        if !matches!(step, Move::Cancel | Move::Requeue | Move::Resume) {
            return false;
        }
        let Some(row) = self.rows.get(&seq) else { return false };
        let Some(to) = row.state.after(step) else { return false };
        let lane = row.lane;
        self.change(seq, |row| {
            row.state = to;
            row.token = 0;
            row.said = None;
            if to == State::Queued {
                row.next_run_at = now;
                row.attempt = 0;
                row.dead_reason = None;
            } else {
                row.ended_at = now;
            }
        });
        if to == State::Queued {
            effects.ready(lane, now);
        }
        true
    }
}
