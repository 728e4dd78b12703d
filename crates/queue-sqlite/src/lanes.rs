//! The lanes of a file and how many messages each holds by state.
//!
//! The writer is the only one that changes anything here, always after a commit; everybody may read. The same numbers are stored in
//! table `tally`, but for the latest bundles, so that opening a file takes the same time whatever it holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hookaido_model::{Lane, LaneId, Seq, State};
use parking_lot::{Mutex, RwLock};
use rusqlite::{Connection, Statement};

/// Name of a lane.
pub(crate) type Pair = (Arc<str>, Arc<str>);

/// All lanes.
#[derive(Debug, Default)]
pub(crate) struct Lanes(RwLock<Registry>);

#[derive(Debug, Default)]
struct Registry {
    /// In order of id; ids are 1, 2, 3 and so on.
    entries: Vec<Arc<LaneEntry>>,
    by_pair: HashMap<Pair, usize>,
}

/// One lane and what is known of it without asking the file.
#[derive(Debug)]
pub(crate) struct LaneEntry {
    pub(crate) lane: Arc<Lane>,
    counts: [AtomicU64; 5],
    bundled: AtomicU64,
    mark: Mutex<Mark>,
    oldest: Mutex<Oldest>,
}

/// Which bundles of a lane the table of counts covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    /// All up to this place.
    pub(crate) to: Seq,
    /// Bundles behind it.
    pub(crate) behind: u32,
}

/// No queued message of the lane lies before `from`. Saves looking through all that was settled since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Oldest {
    pub(crate) from: Seq,
    /// Raised whenever an old message is queued again, so that a slower reader does not move `from` past it.
    version: u64,
}

impl LaneEntry {
    fn new(lane: Lane, counts: [u64; 5]) -> Self {
        let oldest = Mutex::new(Oldest { from: Seq(0), version: 0 });
        let mark = Mutex::new(Mark { to: Seq(-1), behind: 0 });
        Self { lane: Arc::new(lane), counts: counts.map(AtomicU64::new), bundled: AtomicU64::new(0), mark, oldest }
    }

    /// Of the queued messages, those that lie in a bundle and have no row of their own.
    pub(crate) fn bundled(&self) -> u64 {
        self.bundled.load(Ordering::Relaxed)
    }

    /// Messages in one state that have a row of their own.
    pub(crate) fn rows(&self, state: State) -> u64 {
        let bundled = if state == State::Queued { self.bundled() } else { 0 };
        self.count(state).saturating_sub(bundled)
    }

    /// Messages by [`State::code`].
    pub(crate) fn counts(&self) -> [u64; 5] {
        State::ALL.map(|state| self.count(state))
    }

    /// Messages in one state.
    pub(crate) fn count(&self, state: State) -> u64 {
        self.counts.get(usize::from(state.code())).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Writer only, after a commit: all messages by state, and how many of the queued lie in bundles.
    pub(crate) fn set_counts(&self, counts: [u64; 5], bundled: u64) {
        for (cell, count) in self.counts.iter().zip(counts) {
            cell.store(count, Ordering::Relaxed);
        }
        self.bundled.store(bundled, Ordering::Relaxed);
    }

    /// What the table of counts covers.
    pub(crate) fn mark(&self) -> Mark {
        *self.mark.lock()
    }

    /// Writer only, after a commit.
    pub(crate) fn set_mark(&self, mark: Mark) {
        *self.mark.lock() = mark;
    }

    /// Where to begin to look for the oldest queued message.
    pub(crate) fn oldest(&self) -> Oldest {
        *self.oldest.lock()
    }

    /// A reader found nothing queued before `seq`, having begun at `since`.
    pub(crate) fn found_oldest(&self, since: Oldest, seq: Seq) {
        let mut oldest = self.oldest.lock();
        if oldest.version == since.version {
            oldest.from = oldest.from.max(seq);
        }
    }

    /// Writer only, after a commit that queued `seq`.
    pub(crate) fn queued_at(&self, seq: Seq) {
        let mut oldest = self.oldest.lock();
        oldest.version += 1;
        oldest.from = oldest.from.min(seq);
    }
}

impl Lanes {
    /// Reads all lanes.
    pub(crate) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut rows = conn.prepare(
            "SELECT id, route, target, coalesce(queued, 0), coalesce(leased, 0), coalesce(delivered, 0), coalesce(dead, 0),
                    coalesce(canceled, 0), coalesce(bundled, 0), coalesce(bundled_to, -1)
             FROM lane LEFT JOIN tally ON tally.lane = lane.id ORDER BY id",
        )?;
        let mut rows = rows.query([])?;
        let mut bundles = conn.prepare(
            "SELECT coalesce(sum(count - taken), 0), count(*) FROM bundle INDEXED BY bundle_lane WHERE lane = ?1 AND seq > ?2",
        )?;
        let lanes = Self::default();
        while let Some(row) = rows.next()? {
            let (route, target): (String, String) = (row.get(1)?, row.get(2)?);
            let lane = Lane { id: LaneId(row.get(0)?), route: route.into(), target: target.into() };
            let mut counts = [0; 5];
            for (at, count) in counts.iter_mut().enumerate() {
                *count = row.get::<_, i64>(at + 3)?.max(0).cast_unsigned();
            }
            if index(lane.id) != Some(lanes.len()) {
                return Err(rusqlite::Error::IntegralValueOutOfRange(0, i64::from(lane.id.0)));
            }
            let covered = (row.get::<_, i64>(8)?.max(0).cast_unsigned(), Seq(row.get(9)?));
            lanes.add(lane, counts);
            lanes.add_bundled(&mut bundles, covered)?;
        }
        Ok(lanes)
    }

    /// Adds what lies in bundles to the counts of the last lane: how many up to which place is known.
    fn add_bundled(&self, bundles: &mut Statement<'_>, (known, to): (u64, Seq)) -> rusqlite::Result<()> {
        let Some(entry) = self.0.read().entries.last().cloned() else { return Ok(()) };
        let (more, behind) =
            bundles.query_row((entry.lane.id.0, to.0), |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
        let bundled = known + more.max(0).cast_unsigned();
        let mut counts = entry.counts();
        if let Some(queued) = counts.get_mut(usize::from(State::Queued.code())) {
            *queued += bundled;
        }
        entry.set_counts(counts, bundled);
        entry.set_mark(Mark { to, behind });
        Ok(())
    }

    /// Writer only, after the commit that created the lane.
    pub(crate) fn add(&self, lane: Lane, counts: [u64; 5]) {
        let mut registry = self.0.write();
        let pair = (Arc::clone(&lane.route), Arc::clone(&lane.target));
        let at = registry.entries.len();
        registry.entries.push(Arc::new(LaneEntry::new(lane, counts)));
        registry.by_pair.insert(pair, at);
    }

    /// The lane of an id.
    pub(crate) fn get(&self, id: LaneId) -> Option<Arc<LaneEntry>> {
        self.0.read().entries.get(index(id)?).cloned()
    }

    /// The lane of a pair.
    pub(crate) fn find(&self, pair: &Pair) -> Option<Arc<LaneEntry>> {
        let registry = self.0.read();
        registry.by_pair.get(pair).and_then(|at| registry.entries.get(*at)).cloned()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.read().entries.len()
    }

    /// All lanes, in order of id.
    pub(crate) fn all(&self) -> Vec<Arc<LaneEntry>> {
        self.0.read().entries.clone()
    }
}

/// Place of a lane in a list that is ordered by id.
pub(crate) fn index(id: LaneId) -> Option<usize> {
    usize::try_from(id.0).ok()?.checked_sub(1)
}
