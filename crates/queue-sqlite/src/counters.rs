//! How many messages each lane has in each state: kept in memory, stored with every transaction.
//!
//! The writer changes its own copy and publishes it after the commit, so readers never see what may still be rolled back.

use std::sync::Arc;

use hookaido_model::{Lane, LaneId, State};
use parking_lot::RwLock;
use rusqlite::{Connection, params};

/// Messages by [`State::code`].
pub(crate) type Counts = [u64; 5];

/// A lane and its counts.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) lane: Arc<Lane>,
    pub(crate) counts: Counts,
}

/// What readers see: the state after the last commit. In order of the lane's id.
pub(crate) type Published = Arc<RwLock<Vec<Counted>>>;

/// The writer's copy.
#[derive(Debug)]
pub(crate) struct Counters {
    lanes: Vec<Counted>,
    /// Queued and leased, over all lanes.
    depth: u64,
    /// Index and counts before the transaction, of lanes that it touched.
    before: Vec<(usize, Counts)>,
    /// Lanes before the transaction.
    known: usize,
    published: Published,
}

impl Counters {
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection
            .prepare("SELECT id, route, target, queued, leased, delivered, dead, canceled FROM lane ORDER BY id")?;
        let lanes = statement.query_map([], |row| {
            let text = |column| row.get::<_, String>(column).map(Arc::<str>::from);
            let lane = Lane { id: LaneId(row.get(0)?), route: text(1)?, target: text(2)? };
            let mut counts = [0; 5];
            for (column, count) in (3..).zip(&mut counts) {
                *count = u64::try_from(row.get::<_, i64>(column)?).unwrap_or_default();
            }
            Ok(Counted { lane: Arc::new(lane), counts })
        })?;
        let lanes = lanes.collect::<rusqlite::Result<Vec<_>>>()?;
        let depth = lanes.iter().map(|lane| depth(&lane.counts)).sum();
        let published = Arc::new(RwLock::new(lanes.clone()));
        Ok(Self { known: lanes.len(), lanes, depth, before: Vec::new(), published })
    }

    pub(crate) fn published(&self) -> Published {
        Arc::clone(&self.published)
    }

    /// Queued and leased messages of all lanes.
    pub(crate) fn depth(&self) -> u64 {
        self.depth
    }

    /// Messages of all lanes in a state.
    pub(crate) fn total(&self, state: State) -> u64 {
        self.lanes.iter().filter_map(|lane| lane.counts.get(usize::from(state.code()))).sum()
    }

    pub(crate) fn lane(&self, id: LaneId) -> Option<&Counted> {
        self.index(id).and_then(|index| self.lanes.get(index))
    }

    pub(crate) fn find(&self, route: &str, target: &str) -> Option<&Arc<Lane>> {
        self.lanes.iter().map(|counted| &counted.lane).find(|lane| &*lane.route == route && &*lane.target == target)
    }

    /// Adds a lane that was just stored.
    pub(crate) fn add_lane(&mut self, lane: Lane) -> Arc<Lane> {
        let lane = Arc::new(lane);
        self.lanes.push(Counted { lane: Arc::clone(&lane), counts: [0; 5] });
        lane
    }

    /// `n` messages of a lane appear in a state.
    pub(crate) fn add(&mut self, lane: LaneId, state: State, n: u64) {
        self.change(lane, state, |count| count.saturating_add(n));
    }

    /// `n` messages of a lane leave a state.
    pub(crate) fn remove(&mut self, lane: LaneId, state: State, n: u64) {
        self.change(lane, state, |count| count.saturating_sub(n));
    }

    /// One message of a lane moves.
    pub(crate) fn shift(&mut self, lane: LaneId, from: State, to: State) {
        self.remove(lane, from, 1);
        self.add(lane, to, 1);
    }

    fn change(&mut self, lane: LaneId, state: State, with: impl Fn(u64) -> u64) {
        let Some(index) = self.index(lane) else { return };
        let Some(counted) = self.lanes.get_mut(index) else { return };
        if !self.before.iter().any(|(touched, _)| *touched == index) {
            self.before.push((index, counted.counts));
        }
        let old = depth(&counted.counts);
        if let Some(count) = counted.counts.get_mut(usize::from(state.code())) {
            *count = with(*count);
        }
        self.depth = self.depth.saturating_sub(old).saturating_add(depth(&counted.counts));
    }

    /// Ids are given in order and never removed, so the place is near `id - 1`.
    fn index(&self, id: LaneId) -> Option<usize> {
        let guess = usize::try_from(id.0).ok()?.checked_sub(1)?;
        if self.lanes.get(guess).is_some_and(|counted| counted.lane.id == id) {
            return Some(guess);
        }
        self.lanes.binary_search_by_key(&id, |counted| counted.lane.id).ok()
    }

    /// Stores what the transaction changed.
    pub(crate) fn store(&self, connection: &Connection) -> rusqlite::Result<()> {
        for (index, before) in &self.before {
            let Some(counted) = self.lanes.get(*index).filter(|counted| counted.counts != *before) else { continue };
            let [queued, leased, delivered, dead, canceled] =
                counted.counts.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
            connection
                .prepare_cached(
                    "UPDATE lane SET queued = ?2, leased = ?3, delivered = ?4, dead = ?5, canceled = ?6 WHERE id = ?1",
                )?
                .execute(params![counted.lane.id.0, queued, leased, delivered, dead, canceled])?;
        }
        Ok(())
    }

    /// After a commit.
    pub(crate) fn publish(&mut self) {
        if self.before.is_empty() && self.known == self.lanes.len() {
            return;
        }
        let mut published = self.published.write();
        published.extend(self.lanes.iter().skip(self.known).cloned());
        for (index, _) in self.before.drain(..) {
            if let (Some(to), Some(from)) = (published.get_mut(index), self.lanes.get(index)) {
                to.counts = from.counts;
            }
        }
        self.known = self.lanes.len();
    }

    /// After a roll-back.
    pub(crate) fn forget(&mut self) {
        for (index, counts) in self.before.drain(..) {
            if let Some(counted) = self.lanes.get_mut(index) {
                counted.counts = counts;
            }
        }
        self.lanes.truncate(self.known);
        self.depth = self.lanes.iter().map(|counted| depth(&counted.counts)).sum();
    }
}

fn depth(counts: &Counts) -> u64 {
    let [queued, leased, ..] = counts;
    queued + leased
}
