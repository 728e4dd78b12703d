//! New messages.

use std::collections::HashSet;
use std::sync::Arc;

use hookaido_model::{EnvelopeId, Seq};

use super::core::{Core, Effects, Message, Stand};
use crate::store::{Admission, Enqueue, Enqueued, NewMessage, StoreError};

impl Core {
    pub(super) fn enqueue(&mut self, op: Enqueue, effects: &mut Effects) -> Result<Enqueued, StoreError> {
        self.check(&op.messages)?;
        let incoming: usize = op.messages.iter().map(|message| message.lanes.len()).sum();
        let incoming = u64::try_from(incoming).unwrap_or(u64::MAX);
        let dropped = match Admission::decide(op.limits, self.depth(), incoming) {
            Admission::Admit => 0,
            Admission::MakeRoom(n) => self.drop_oldest(n)?,
            Admission::Refuse => return Err(StoreError::Full),
        };
        effects.dropped += dropped;
        let mut ids = Vec::with_capacity(op.messages.len());
        for message in op.messages {
            self.insert(message, &mut ids, effects);
        }
        Ok(Enqueued { ids, dropped })
    }

    /// Refuses ids that are in use or stand twice in the operation, and lanes that nobody made.
    fn check(&self, messages: &[NewMessage]) -> Result<(), StoreError> {
        let mut seen = HashSet::new();
        for message in messages {
            if let Some(id) = &message.id
                && (!seen.insert(Arc::clone(id)) || self.seq_of(&EnvelopeId::from(&**id)).is_some())
            {
                return Err(StoreError::Conflict(EnvelopeId::Given(Arc::clone(id))));
            }
            if message.lanes.iter().any(|lane| self.lane_core(*lane).is_none()) {
                return Err(StoreError::Corrupt("a message for a route that was never made".into()));
            }
        }
        Ok(())
    }

    /// Removes the `n` oldest queued messages; refuses, having removed nothing, when there are fewer.
    fn drop_oldest(&mut self, n: u64) -> Result<u64, StoreError> {
        let wanted = usize::try_from(n).unwrap_or(usize::MAX);
        if self.queued.len() < wanted {
            return Err(StoreError::Full);
        }
        let oldest: Vec<Seq> = self.queued.iter().take(wanted).copied().collect();
        for seq in oldest {
            self.remove(seq);
        }
        Ok(n)
    }

    fn insert(&mut self, new: NewMessage, ids: &mut Vec<EnvelopeId>, effects: &mut Effects) {
        let content = Arc::new(new.content);
        for (index, lane) in new.lanes.iter().enumerate() {
            let seq = self.seqs.next(&self.messages, new.received_at);
            let message = Message {
                lane: *lane,
                nonce: self.random.next() >> 10,
                given: new.id.clone().filter(|_| index == 0),
                attempt: 0,
                next_run_at: new.next_run_at,
                stand: Stand::Queued,
                content: Arc::clone(&content),
            };
            if let Some(given) = &message.given {
                self.given.insert(Arc::clone(given), seq);
            }
            ids.push(message.id(seq));
            self.put(seq, message);
            effects.ready(*lane, new.next_run_at);
        }
    }
}
