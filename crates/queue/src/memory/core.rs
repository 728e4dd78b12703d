//! What is stored, and the indexes over it. Every change of state goes through [`Core::put`], which keeps them true.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use hookaido_model::{
    Attempt, Content, DeadReason, Envelope, EnvelopeId, Lane, LaneId, LeaseId, Seq, State, UnixMillis,
};

use super::random::Random;
use super::seqs::Seqs;
use crate::store::{Observer, StoreError};
use crate::wait::content_bytes;

/// Bytes that a message takes beside its content: its entry and its places in the indexes.
const MESSAGE_BYTES: u64 = 256;

/// Everything stored.
#[derive(Debug, Default)]
pub(super) struct Core {
    pub(super) closed: bool,
    /// In order of their ids, which count from 1.
    pub(super) lanes: Vec<LaneCore>,
    pairs: HashMap<(Arc<str>, Arc<str>), LaneId>,
    pub(super) messages: BTreeMap<Seq, Message>,
    pub(super) given: HashMap<Arc<str>, Seq>,
    /// All queued messages.
    pub(super) queued: BTreeSet<Seq>,
    /// All leased messages by end of lease.
    pub(super) leased: BTreeSet<(UnixMillis, Seq)>,
    /// Ended messages by state and end.
    pub(super) ended: BTreeSet<(State, UnixMillis, Seq)>,
    pub(super) attempts: BTreeMap<i64, Attempt>,
    pub(super) attempts_of: HashMap<EnvelopeId, BTreeSet<i64>>,
    pub(super) last_attempt: i64,
    pub(super) random: Random,
    pub(super) seqs: Seqs,
    /// Messages and bytes by state.
    totals: [(u64, u64); 5],
}

/// A lane and what is in it.
#[derive(Debug)]
pub(super) struct LaneCore {
    pub(super) lane: Arc<Lane>,
    /// Messages by state.
    pub(super) by_state: [BTreeSet<Seq>; 5],
    /// Queued messages in the order in which they are leased.
    pub(super) ready: BTreeSet<(UnixMillis, Seq)>,
}

/// A stored message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) lane: LaneId,
    pub(super) nonce: u64,
    pub(super) given: Option<Arc<str>>,
    pub(super) attempt: u32,
    pub(super) next_run_at: UnixMillis,
    pub(super) stand: Stand,
    pub(super) content: Arc<Content>,
}

/// Where a message stands, with what belongs to it there.
#[derive(Clone, Debug)]
pub(super) enum Stand {
    Queued,
    Leased { token: u64, until: UnixMillis },
    Delivered { at: UnixMillis },
    Dead { at: UnixMillis, reason: Option<DeadReason> },
    Canceled { at: UnixMillis },
}

impl Stand {
    pub(super) fn state(&self) -> State {
        match self {
            Self::Queued => State::Queued,
            Self::Leased { .. } => State::Leased,
            Self::Delivered { .. } => State::Delivered,
            Self::Dead { .. } => State::Dead,
            Self::Canceled { .. } => State::Canceled,
        }
    }
}

/// Whom to tell about what, after the operation.
#[derive(Debug, Default)]
pub(super) struct Effects {
    ready: Vec<(LaneId, UnixMillis)>,
    lease_ends: Option<UnixMillis>,
    /// Messages that made room.
    pub(super) dropped: u64,
}

impl Effects {
    pub(super) fn ready(&mut self, lane: LaneId, at: UnixMillis) {
        match self.ready.iter_mut().find(|(known, _)| *known == lane) {
            Some((_, earliest)) => *earliest = at.min(*earliest),
            None => self.ready.push((lane, at)),
        }
    }

    pub(super) fn lease_ends(&mut self, at: UnixMillis) {
        self.lease_ends = Some(self.lease_ends.map_or(at, |known| known.min(at)));
    }

    pub(super) fn tell(&self, observer: &dyn Observer) {
        for (lane, at) in &self.ready {
            observer.ready(*lane, *at);
        }
        if let Some(at) = self.lease_ends {
            observer.lease_ends(at);
        }
    }
}

impl Core {
    /// Finds or makes a lane.
    pub(super) fn lane(&mut self, pair: (Arc<str>, Arc<str>)) -> Result<Arc<Lane>, StoreError> {
        if let Some(lane) = self.pairs.get(&pair).and_then(|id| self.lane_core(*id)) {
            return Ok(Arc::clone(&lane.lane));
        }
        let id = u32::try_from(self.lanes.len() + 1).ok().map(LaneId);
        let id = id.ok_or_else(|| StoreError::Unavailable("too many routes and targets".into()))?;
        let lane = Arc::new(Lane { id, route: Arc::clone(&pair.0), target: Arc::clone(&pair.1) });
        self.lanes.push(LaneCore { lane: Arc::clone(&lane), by_state: Default::default(), ready: BTreeSet::new() });
        self.pairs.insert(pair, id);
        Ok(lane)
    }

    pub(super) fn lane_core(&self, id: LaneId) -> Option<&LaneCore> {
        self.lanes.get(index(id)?)
    }

    /// Stores a message, new or taken out before, and enters it in every index.
    pub(super) fn put(&mut self, seq: Seq, message: Message) {
        let state = message.stand.state();
        match &message.stand {
            Stand::Queued => {
                self.queued.insert(seq);
            }
            Stand::Leased { until, .. } => {
                self.leased.insert((*until, seq));
            }
            Stand::Delivered { at } | Stand::Dead { at, .. } | Stand::Canceled { at } => {
                self.ended.insert((state, *at, seq));
            }
        }
        if let Some(lane) = index(message.lane).and_then(|at| self.lanes.get_mut(at)) {
            if state == State::Queued {
                lane.ready.insert((message.next_run_at, seq));
            }
            if let Some(set) = lane.by_state.get_mut(usize::from(state.code())) {
                set.insert(seq);
            }
        }
        if let Some((items, bytes)) = self.totals.get_mut(usize::from(state.code())) {
            *items += 1;
            *bytes += message.bytes();
        }
        self.messages.insert(seq, message);
    }

    /// Takes a message out of the store and of every index; its given id stays taken until [`Core::remove`].
    pub(super) fn take(&mut self, seq: Seq) -> Option<Message> {
        let message = self.messages.remove(&seq)?;
        let state = message.stand.state();
        match &message.stand {
            Stand::Queued => {
                self.queued.remove(&seq);
            }
            Stand::Leased { until, .. } => {
                self.leased.remove(&(*until, seq));
            }
            Stand::Delivered { at } | Stand::Dead { at, .. } | Stand::Canceled { at } => {
                self.ended.remove(&(state, *at, seq));
            }
        }
        if let Some(lane) = index(message.lane).and_then(|at| self.lanes.get_mut(at)) {
            if state == State::Queued {
                lane.ready.remove(&(message.next_run_at, seq));
            }
            if let Some(set) = lane.by_state.get_mut(usize::from(state.code())) {
                set.remove(&seq);
            }
        }
        if let Some((items, bytes)) = self.totals.get_mut(usize::from(state.code())) {
            *items = items.saturating_sub(1);
            *bytes = bytes.saturating_sub(message.bytes());
        }
        Some(message)
    }

    /// Removes a message for good.
    pub(super) fn remove(&mut self, seq: Seq) {
        if let Some(given) = self.take(seq).and_then(|message| message.given) {
            self.given.remove(&given);
        }
    }

    /// Queued and leased messages.
    pub(super) fn depth(&self) -> u64 {
        State::ALL.into_iter().filter(|state| state.counts_as_depth()).map(|state| self.total(state)).sum()
    }

    /// Messages in a state.
    pub(super) fn total(&self, state: State) -> u64 {
        self.totals.get(usize::from(state.code())).map_or(0, |(items, _)| *items)
    }

    /// Messages and estimated bytes: queued, leased, delivered, dead.
    pub(super) fn held(&self) -> ([u64; 4], [u64; 4]) {
        let [queued, leased, delivered, dead, _canceled] = self.totals;
        ([queued.0, leased.0, delivered.0, dead.0], [queued.1, leased.1, delivered.1, dead.1])
    }

    /// The place of a message by its id.
    pub(super) fn seq_of(&self, id: &EnvelopeId) -> Option<Seq> {
        if let Some((seq, nonce)) = id.place()
            && self.messages.get(&seq).is_some_and(|message| message.given.is_none() && message.nonce == nonce)
        {
            return Some(seq);
        }
        match id {
            EnvelopeId::Given(text) => self.given.get(text).copied(),
            EnvelopeId::Made(_) => self.given.get(id.to_string().as_str()).copied(),
        }
    }

    /// A message as lists and workers see it.
    pub(super) fn envelope(&self, seq: Seq, message: &Message, with_content: bool) -> Option<Envelope> {
        let (lease, dead_reason) = match &message.stand {
            Stand::Leased { token, until } => (Some((LeaseId { seq, token: *token }, *until)), None),
            Stand::Dead { reason, .. } => (None, reason.clone()),
            Stand::Queued | Stand::Delivered { .. } | Stand::Canceled { .. } => (None, None),
        };
        Some(Envelope {
            id: message.id(seq),
            lane: Arc::clone(&self.lane_core(message.lane)?.lane),
            state: message.stand.state(),
            received_at: received_at(seq),
            next_run_at: message.next_run_at,
            attempt: message.attempt,
            lease: lease.map(|(lease, _)| lease),
            lease_until: lease.map(|(_, until)| until),
            dead_reason,
            content: with_content.then(|| Arc::clone(&message.content)),
        })
    }
}

impl Message {
    pub(super) fn id(&self, seq: Seq) -> EnvelopeId {
        self.given.as_ref().map_or_else(|| EnvelopeId::made(seq, self.nonce), |id| EnvelopeId::Given(Arc::clone(id)))
    }

    fn bytes(&self) -> u64 {
        content_bytes(&self.content) + MESSAGE_BYTES
    }
}

/// When the message of a place was received.
pub(super) fn received_at(seq: Seq) -> UnixMillis {
    UnixMillis(seq.0 >> Seq::COUNTER_BITS)
}

fn index(id: LaneId) -> Option<usize> {
    usize::try_from(id.0).ok()?.checked_sub(1)
}
