//! One transaction in the making: what its operations change in memory once it is committed.
//!
//! Nothing here is seen outside the writer before the commit; a roll-back simply drops it.

use std::collections::HashMap;
use std::sync::Arc;

use hookaido_model::{Lane, LaneId, Seq, State, UnixMillis};
use hookaido_queue::store::StoreError;

use super::bundles::{Kept, Making};
use super::places::{Places, Random};
use super::sql::Statements;
use crate::lanes::{LaneEntry, Mark, index};

/// Bundles of a lane that may lie behind what is stored of its counts. Opening a file reads them.
const MOST_BEHIND: u32 = if cfg!(test) { 64 } else { 4096 };

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
    /// Bytes of bundles.
    pub(crate) kept: &'t mut Kept,
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
    /// Bundles in the making; the lane knows which is its own.
    pub(crate) bundles: Vec<Making>,
    /// Messages that no longer need a shared content, by its id.
    released: HashMap<i64, i64>,
}

/// What changes in one lane.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LaneChange {
    touched: bool,
    counts: [i64; 5],
    /// Of the queued messages, those in bundles.
    bundled: i64,
    /// Messages left bundles.
    took: bool,
    /// Bundles that were written, and the first place of one.
    made: u32,
    first_made: Option<Seq>,
    /// The table of counts covers all bundles up to here now.
    marked: Option<Seq>,
    /// Place of the bundle in the making.
    bundle: Option<usize>,
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

    /// So many messages more lie in bundles of the lane.
    pub(crate) fn bundled(&mut self, lane: LaneId, by: i64) {
        let Some(change) = self.lane(lane) else { return };
        change.bundled += by;
        change.took |= by < 0;
    }

    /// A bundle was written.
    pub(crate) fn made_bundle(&mut self, lane: LaneId, first: Seq) {
        let Some(change) = self.lane(lane) else { return };
        change.made += 1;
        change.first_made = Some(change.first_made.map_or(first, |known| known.min(first)));
    }

    /// The counts of the lane at a place were stored, all bundles up to `to` included.
    pub(crate) fn counts_stored(&mut self, at: usize, to: Seq) {
        self.lanes.get_mut(at).into_iter().for_each(|change| change.marked = Some(to));
    }

    /// A message of a bundle has a row now.
    pub(crate) fn unfolded(&mut self, lane: LaneId, seq: Seq) {
        let Some(change) = self.lane(lane) else { return };
        change.lowest = Some(change.lowest.map_or(seq, |lowest| lowest.min(seq)));
    }

    /// Where in `bundles` the lane's bundle is.
    pub(crate) fn bundle_of(&mut self, lane: LaneId) -> Option<usize> {
        self.lane(lane)?.bundle
    }

    /// The lane's messages go into this bundle from now on.
    pub(crate) fn begin_bundle(&mut self, made: Making) {
        let at = self.bundles.len();
        if let Some(change) = self.lane(made.lane) {
            change.bundle = Some(at);
            self.bundles.push(made);
        }
    }

    /// The bundles in the making; none is left.
    pub(crate) fn take_bundles(&mut self) -> Vec<Making> {
        for made in &self.bundles {
            if let Some(change) = index(made.lane).and_then(|at| self.lanes.get_mut(at)) {
                change.bundle = None;
            }
        }
        std::mem::take(&mut self.bundles)
    }

    /// One message fewer needs the shared content.
    pub(crate) fn release(&mut self, content: i64) {
        *self.released.entry(content).or_default() += 1;
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
        self.bundles.clear();
        self.released.clear();
    }
}

impl LaneChange {
    /// Whether a count changes, of rows or of messages in bundles.
    pub(crate) fn counts_change(&self) -> bool {
        // What leaves a bundle and what comes into another may add up to nothing, and yet be a change.
        self.took || self.made > 0 || self.bundled != 0 || self.counts.iter().any(|count| *count != 0)
    }

    /// The counts of rows after the commit, if they must be stored: they change, or what is stored of bundles would no longer be true,
    /// or too many bundles lie behind what is stored.
    pub(crate) fn rows_to_store(&self, entry: &LaneEntry) -> Option<[u64; 5]> {
        let mut change = *self;
        let [queued, ..] = &mut change.counts;
        *queued -= change.bundled;
        let mark = entry.mark();
        let must = change.counts.iter().any(|count| *count != 0)
            || self.took
            || self.first_made.is_some_and(|first| first <= mark.to)
            || mark.behind.saturating_add(self.made) > MOST_BEHIND;
        must.then(|| change.apply(State::ALL.map(|state| entry.rows(state))))
    }

    /// What the stored counts cover after the commit.
    pub(crate) fn mark(&self, entry: &LaneEntry) -> Mark {
        let known = entry.mark();
        self.marked
            .map_or(Mark { behind: known.behind.saturating_add(self.made), ..known }, |to| Mark { to, behind: 0 })
    }

    /// Messages in bundles after the commit.
    pub(crate) fn bundled(&self, entry: &LaneEntry) -> u64 {
        entry.bundled().saturating_add_signed(self.bundled)
    }

    /// The counts of all messages after the commit.
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

    /// Queued messages of a lane in bundles, and those with a row, as of now within the transaction.
    pub(crate) fn queued(&self, lane: LaneId) -> Result<(u64, u64), Fault> {
        let entry = self.lane(lane)?;
        let change = index(lane).and_then(|at| self.changes.lanes.get(at)).copied().unwrap_or_default();
        let [queued, ..] = change.apply(entry.counts());
        let bundled = change.bundled(entry);
        Ok((bundled, queued.saturating_sub(bundled)))
    }

    /// Messages queued or leased, as of now within the transaction.
    pub(crate) fn depth(&self) -> u64 {
        self.committed_depth.saturating_add_signed(self.changes.depth())
    }

    /// Removes a message, and its content unless another message needs it.
    pub(crate) fn remove(&mut self, seq: Seq, lane: LaneId, state: State, content: Option<i64>) -> Result<(), Fault> {
        self.sql.delete_message.execute((seq.0,))?;
        match content {
            None => self.drop_content(seq.0)?,
            Some(shared) => self.changes.release(shared),
        }
        self.changes.moved(lane, Some(state), None);
        Ok(())
    }

    fn drop_content(&mut self, id: i64) -> Result<(), Fault> {
        self.sql.delete_content.execute((id,))?;
        self.kept.forget(id);
        Ok(())
    }

    /// At the end of the transaction: removes shared contents that no message needs any more.
    pub(crate) fn drop_released(&mut self) -> Result<(), Fault> {
        for (id, by) in std::mem::take(&mut self.changes.released) {
            self.sql.unshare.execute((id, by))?;
            let refs: i64 = self.sql.refs.query_row((id,), |row| row.get(0))?;
            if refs <= 0 {
                self.sql.delete_shared.execute((id,))?;
                self.drop_content(id)?;
            }
        }
        Ok(())
    }
}
