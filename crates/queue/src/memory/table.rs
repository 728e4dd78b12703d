//! The rows and their indexes.
//!
//! A row changes only through [`Table::insert`], [`Table::change`] and [`Table::remove`], which keep every index and counter in step.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use hookaido_model::{
    Attempt, Content, DeadReason, Envelope, EnvelopeId, Lane, LaneId, LeaseId, Seq, State, UnixMillis,
};

use super::MemoryBounds;
use crate::random::Random;
use crate::store::StoreError;

/// What a row costs beside its content, about: the row itself and its places in the indexes.
const ROW_BYTES: u64 = 320;

/// Everything that is stored.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) closed: bool,
    pub(super) bounds: MemoryBounds,
    pub(super) random: Random,
    pub(super) lanes: Vec<LaneRows>,
    lane_ids: HashMap<(Arc<str>, Arc<str>), LaneId>,
    pub(super) rows: BTreeMap<Seq, Row>,
    /// By id that a publisher chose.
    given: HashMap<Arc<str>, Seq>,
    pub(super) by_state: [BTreeSet<Seq>; 5],
    /// By end of the lease.
    pub(super) leases: BTreeSet<(UnixMillis, Seq)>,
    /// Delivered and dead, by the time of it.
    pub(super) ended: [BTreeSet<(UnixMillis, Seq)>; 2],
    pub(super) bytes: [u64; 5],
    pub(super) attempts: VecDeque<Attempt>,
    pub(super) last_attempt: i64,
    /// Rows removed to make room or by retention, by reason; taken by the meter.
    pub(super) evicted: Vec<(&'static str, u64)>,
}

/// A lane and the order in which it is leased from.
#[derive(Debug)]
pub(super) struct LaneRows {
    pub(super) lane: Arc<Lane>,
    pub(super) counts: [u64; 5],
    /// Queued messages by `next_run_at`.
    pub(super) ready: BTreeSet<(UnixMillis, Seq)>,
    /// Queued messages by receipt.
    pub(super) queued: BTreeSet<Seq>,
}

/// A message.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) lane: LaneId,
    pub(super) state: State,
    pub(super) next_run_at: UnixMillis,
    pub(super) attempt: u32,
    pub(super) nonce: u64,
    pub(super) given: Option<Arc<str>>,
    pub(super) content: Arc<Content>,
    /// Token and end of the lease; meaningless unless leased.
    pub(super) token: u64,
    pub(super) until: UnixMillis,
    pub(super) dead_reason: Option<DeadReason>,
    /// What the last worker said that gave it back.
    pub(super) said: Option<DeadReason>,
    /// When it was delivered, died or was canceled.
    pub(super) ended_at: UnixMillis,
}

impl Row {
    pub(super) fn bytes(&self) -> u64 {
        content_bytes(&self.content).saturating_add(ROW_BYTES)
    }

    pub(super) fn id(&self, seq: Seq) -> EnvelopeId {
        self.given.as_ref().map_or_else(|| EnvelopeId::made(seq, self.nonce), |id| EnvelopeId::Given(Arc::clone(id)))
    }
}

pub(super) fn content_bytes(content: &Content) -> u64 {
    let bytes = content.payload.len() + content.headers.as_bytes().len() + content.trace.as_bytes().len();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Place of a state in an array.
pub(super) fn slot(state: State) -> usize {
    usize::from(state.code())
}

fn bump(counts: &mut [u64; 5], state: State, change: impl Fn(u64) -> u64) {
    if let Some(count) = counts.get_mut(slot(state)) {
        *count = change(*count);
    }
}

impl Table {
    /// The lane of a pair; made when new. Ids count from 1.
    pub(super) fn lane_of(&mut self, route: Arc<str>, target: Arc<str>) -> Result<Arc<Lane>, StoreError> {
        let key = (route, target);
        if let Some(lane) = self.lane_ids.get(&key).and_then(|id| self.lane(*id)) {
            return Ok(Arc::clone(&lane.lane));
        }
        let id = u32::try_from(self.lanes.len() + 1)
            .map_err(|_too_many| StoreError::Unavailable("too many routes and targets".into()))?;
        let lane = Arc::new(Lane { id: LaneId(id), route: Arc::clone(&key.0), target: Arc::clone(&key.1) });
        self.lanes.push(LaneRows {
            lane: Arc::clone(&lane),
            counts: [0; 5],
            ready: BTreeSet::new(),
            queued: BTreeSet::new(),
        });
        self.lane_ids.insert(key, lane.id);
        Ok(lane)
    }

    pub(super) fn lane(&self, id: LaneId) -> Option<&LaneRows> {
        self.lanes.get(usize::try_from(id.0).ok()?.checked_sub(1)?)
    }

    fn lane_mut(&mut self, id: LaneId) -> Option<&mut LaneRows> {
        self.lanes.get_mut(usize::try_from(id.0).ok()?.checked_sub(1)?)
    }

    /// Messages in a state.
    pub(super) fn total(&self, state: State) -> u64 {
        self.by_state.get(slot(state)).map_or(0, |rows| u64::try_from(rows.len()).unwrap_or(u64::MAX))
    }

    pub(super) fn depth(&self) -> u64 {
        State::ALL.into_iter().filter(|state| state.counts_as_depth()).map(|state| self.total(state)).sum()
    }

    /// The place of a message by its id.
    pub(super) fn seq_of(&self, id: &EnvelopeId) -> Option<Seq> {
        let made = id.place().and_then(|(seq, nonce)| {
            self.rows.get(&seq).filter(|row| row.given.is_none() && row.nonce == nonce).map(|_| seq)
        });
        made.or_else(|| match id {
            EnvelopeId::Given(text) => self.given.get(text).copied(),
            EnvelopeId::Made(_) if self.given.is_empty() => None,
            EnvelopeId::Made(_) => self.given.get(id.to_string().as_str()).copied(),
        })
    }

    /// A free place for a message received at `at`: behind all others of its millisecond. One that is full flows over.
    pub(super) fn free_place(&self, at: UnixMillis) -> Result<Seq, StoreError> {
        let mut first = Seq::first_at(at);
        loop {
            let last = first.last_of_millisecond();
            let used = self.rows.range(first..=last).next_back().map(|(seq, _)| *seq);
            let place = used.map_or(Some(first), |used| if used < last { used.next() } else { None });
            if let Some(place) = place {
                return Ok(place);
            }
            first = last.next().ok_or_else(|| StoreError::Unavailable("no place is left".into()))?;
        }
    }

    /// Adds a row at a free place.
    pub(super) fn insert(&mut self, seq: Seq, row: Row) {
        if let Some(id) = &row.given {
            self.given.insert(Arc::clone(id), seq);
        }
        self.index(seq, &row);
        self.rows.insert(seq, row);
    }

    /// Changes a row; `with` may change anything but lane, id and content.
    pub(super) fn change(&mut self, seq: Seq, with: impl FnOnce(&mut Row)) {
        let Some(mut row) = self.rows.remove(&seq) else { return };
        self.unindex(seq, &row);
        with(&mut row);
        self.index(seq, &row);
        self.rows.insert(seq, row);
    }

    /// Removes a row.
    pub(super) fn remove(&mut self, seq: Seq) {
        let Some(row) = self.rows.remove(&seq) else { return };
        self.unindex(seq, &row);
        if let Some(id) = &row.given {
            self.given.remove(id);
        }
    }

    /// A row as lists and workers see it.
    pub(super) fn envelope(&self, seq: Seq, row: &Row, content: bool) -> Option<Envelope> {
        let leased = row.state == State::Leased;
        Some(Envelope {
            id: row.id(seq),
            lane: Arc::clone(&self.lane(row.lane)?.lane),
            state: row.state,
            received_at: received_at(seq),
            next_run_at: row.next_run_at,
            attempt: row.attempt,
            lease: leased.then_some(LeaseId { seq, token: row.token }),
            lease_until: leased.then_some(row.until),
            dead_reason: row.dead_reason.clone().filter(|_| row.state == State::Dead),
            content: content.then(|| Arc::clone(&row.content)),
        })
    }

    fn index(&mut self, seq: Seq, row: &Row) {
        let bytes = row.bytes();
        bump(&mut self.bytes, row.state, |sum| sum.saturating_add(bytes));
        if let Some(rows) = self.by_state.get_mut(slot(row.state)) {
            rows.insert(seq);
        }
        if let Some(lane) = self.lane_mut(row.lane) {
            bump(&mut lane.counts, row.state, |count| count.saturating_add(1));
            if row.state == State::Queued {
                lane.ready.insert((row.next_run_at, seq));
                lane.queued.insert(seq);
            }
        }
        match row.state {
            State::Leased => drop(self.leases.insert((row.until, seq))),
            State::Delivered | State::Dead => {
                if let Some(ended) = self.ended_mut(row.state) {
                    ended.insert((row.ended_at, seq));
                }
            }
            State::Queued | State::Canceled => {}
        }
    }

    fn unindex(&mut self, seq: Seq, row: &Row) {
        let bytes = row.bytes();
        bump(&mut self.bytes, row.state, |sum| sum.saturating_sub(bytes));
        if let Some(rows) = self.by_state.get_mut(slot(row.state)) {
            rows.remove(&seq);
        }
        if let Some(lane) = self.lane_mut(row.lane) {
            bump(&mut lane.counts, row.state, |count| count.saturating_sub(1));
            if row.state == State::Queued {
                lane.ready.remove(&(row.next_run_at, seq));
                lane.queued.remove(&seq);
            }
        }
        match row.state {
            State::Leased => drop(self.leases.remove(&(row.until, seq))),
            State::Delivered | State::Dead => {
                if let Some(ended) = self.ended_mut(row.state) {
                    ended.remove(&(row.ended_at, seq));
                }
            }
            State::Queued | State::Canceled => {}
        }
    }

    fn ended_mut(&mut self, state: State) -> Option<&mut BTreeSet<(UnixMillis, Seq)>> {
        let [delivered, dead] = &mut self.ended;
        match state {
            State::Delivered => Some(delivered),
            State::Dead => Some(dead),
            State::Queued | State::Leased | State::Canceled => None,
        }
    }

    /// Notes that rows were removed without anybody asking for it.
    pub(super) fn note_evicted(&mut self, reason: &'static str, count: u64) {
        if count > 0 {
            self.evicted.push((reason, count));
        }
    }
}

/// The time of receipt that a place carries.
pub(super) fn received_at(seq: Seq) -> UnixMillis {
    UnixMillis(seq.0 >> Seq::COUNTER_BITS)
}
