//! One transaction in the making: what its operations change in memory once it is committed.
//!
//! Nothing here is seen outside the writer before the commit; a roll-back simply drops it.

use std::sync::Arc;

use hookaido_model::{Lane, LaneId, Seq, State, UnixMillis};
use hookaido_queue::store::StoreError;

use super::places::{Places, Random};
use super::sql::Statements;
use crate::lanes::{LaneEntry, index};

/// Why an operation was not done.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Decided before anything was written: the batch goes on.
    Refused(StoreError),
    /// The transaction must be rolled back.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

/// What operations work with.
#[derive(Debug)]
pub(crate) struct Tx<'t, 'c> {
    pub(crate) sql: &'t mut Statements<'c>,
    pub(crate) lanes: &'t [Arc<LaneEntry>],
    pub(crate) places: &'t mut Places,
    pub(crate) random: &'t mut Random,
    /// Messages queued or leased before the transaction.
    pub(crate) committed_depth: u64,
    /// Number of the next attempt before the transaction.
    pub(crate) next_attempt: i64,
    pub(crate) changes: Changes,
}

/// What the transaction changes.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// By place of the lane.
    lanes: Vec<LaneChange>,
    touched: Vec<usize>,
    depth: i64,
    /// Lanes that did not exist.
    pub(crate) created: Vec<Lane>,
    /// Earliest end of a lease that was given or changed.
    pub(crate) lease_end: Option<UnixMillis>,
    /// Attempts recorded.
    pub(crate) attempts: i64,
}

/// What changes in one lane.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LaneChange {
    touched: bool,
    counts: [i64; 5],
    /// Earliest time at which a newly queued message is ready.
    pub(crate) ready_at: Option<UnixMillis>,
    /// First place of a newly queued message.
    pub(crate) lowest: Option<Seq>,
}

impl Changes {
    fn lane(&mut self, lane: LaneId) -> Option<&mut LaneChange> {
        let at = index(lane)?;
        if self.lanes.len() <= at {
            self.lanes.resize(at + 1, LaneChange::default());
        }
        let change = self.lanes.get_mut(at)?;
        if !std::mem::replace(&mut change.touched, true) {
            self.touched.push(at);
        }
        Some(change)
    }

    /// A message of the lane went from one state to another; `None` is not being there.
    pub(crate) fn moved(&mut self, lane: LaneId, from: Option<State>, to: Option<State>) {
        let depth = |state: Option<State>| i64::from(state.is_some_and(State::counts_as_depth));
        self.depth += depth(to) - depth(from);
        let Some(change) = self.lane(lane) else { return };
        for (state, by) in [(from, -1), (to, 1)] {
            let count = state.and_then(|state| change.counts.get_mut(usize::from(state.code())));
            count.into_iter().for_each(|count| *count += by);
        }
    }

    /// A message of the lane is in the queue now, or again.
    pub(crate) fn queued(&mut self, lane: LaneId, seq: Seq, next_run_at: UnixMillis) {
        self.ready(lane, next_run_at);
        let Some(change) = self.lane(lane) else { return };
        change.lowest = Some(change.lowest.map_or(seq, |lowest| lowest.min(seq)));
    }

    /// The lane has something to lease at `at`.
    pub(crate) fn ready(&mut self, lane: LaneId, at: UnixMillis) {
        let Some(change) = self.lane(lane) else { return };
        change.ready_at = Some(change.ready_at.map_or(at, |known| known.min(at)));
    }

    /// A lease ends at `at`.
    pub(crate) fn leased_until(&mut self, at: UnixMillis) {
        self.lease_end = Some(self.lease_end.map_or(at, |end| end.min(at)));
    }

    /// Lanes that change, by place.
    pub(crate) fn touched(&self) -> impl Iterator<Item = (usize, &LaneChange)> {
        self.touched.iter().filter_map(|at| self.lanes.get(*at).map(|change| (*at, change)))
    }

    /// Depth gained or lost.
    pub(crate) fn depth(&self) -> i64 {
        self.depth
    }

    /// Forgets everything, keeps the memory.
    pub(crate) fn clear(&mut self) {
        for at in self.touched.drain(..) {
            if let Some(change) = self.lanes.get_mut(at) {
                *change = LaneChange::default();
            }
        }
        (self.depth, self.attempts) = (0, 0);
        self.lease_end = None;
        self.created.clear();
    }
}

impl LaneChange {
    /// Whether a count changes.
    pub(crate) fn counts_change(&self) -> bool {
        self.counts.iter().any(|count| *count != 0)
    }

    /// The counts after the commit.
    pub(crate) fn apply(&self, mut counts: [u64; 5]) -> [u64; 5] {
        for (count, by) in counts.iter_mut().zip(self.counts) {
            *count = count.saturating_add_signed(by);
        }
        counts
    }
}

impl Tx<'_, '_> {
    /// The lane of an id.
    pub(crate) fn lane(&self, id: LaneId) -> Result<&Arc<LaneEntry>, Fault> {
        let entry = index(id).and_then(|at| self.lanes.get(at));
        entry.ok_or_else(|| Fault::Refused(StoreError::Unavailable("no such lane".into())))
    }

    /// Messages in one state, over all lanes, as of now within the transaction.
    pub(crate) fn count(&self, state: State) -> u64 {
        let stored: u64 = self.lanes.iter().map(|entry| entry.count(state)).sum();
        let change = |(_, change): (usize, &LaneChange)| change.counts.get(usize::from(state.code())).copied();
        stored.saturating_add_signed(self.changes.touched().filter_map(change).sum())
    }

    /// Messages queued or leased, as of now within the transaction.
    pub(crate) fn depth(&self) -> u64 {
        self.committed_depth.saturating_add_signed(self.changes.depth())
    }

    /// Removes a message, and its content unless another message of its fan-out needs it.
    pub(crate) fn remove(&mut self, seq: Seq, lane: LaneId, state: State, content: Option<i64>) -> Result<(), Fault> {
        self.sql.delete_message.execute((seq.0,))?;
        self.drop_content(seq, content)?;
        self.changes.moved(lane, Some(state), None);
        Ok(())
    }

    fn drop_content(&mut self, seq: Seq, content: Option<i64>) -> Result<(), Fault> {
        let Some(id) = content else {
            self.sql.delete_content.execute((seq.0,))?;
            return Ok(());
        };
        self.sql.unshare.execute((id,))?;
        let refs: i64 = self.sql.refs.query_row((id,), |row| row.get(0))?;
        if refs <= 0 {
            self.sql.delete_shared.execute((id,))?;
            self.sql.delete_content.execute((id,))?;
        }
        Ok(())
    }
}
