//! Leases that were ended a while ago, so that a repeated request to end one is a success.
//!
//! A worker that never saw the answer asks again. Only leases ended on request are remembered, never those that ran out, and only within
//! their lane. Bounded: the oldest are forgotten first; a restart forgets all.

use std::collections::{HashMap, VecDeque};

use hookaido_model::{LaneId, LeaseId};
use parking_lot::Mutex;

/// Most leases remembered.
const CAPACITY: usize = 65_536;

#[derive(Debug, Default)]
pub(crate) struct Repeats(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    lanes: HashMap<LeaseId, LaneId>,
    order: VecDeque<LeaseId>,
}

impl Repeats {
    /// A lease of this lane was ended.
    pub(crate) fn remember(&self, lease: LeaseId, lane: LaneId) {
        let mut remembered = self.0.lock();
        if remembered.lanes.insert(lease, lane).is_some() {
            return;
        }
        remembered.order.push_back(lease);
        if remembered.order.len() > CAPACITY
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.lanes.remove(&oldest);
        }
    }

    /// The lane of a lease that was ended, if `scope` includes it.
    pub(crate) fn lane_of(&self, lease: LeaseId, scope: Option<LaneId>) -> Option<LaneId> {
        let lane = self.0.lock().lanes.get(&lease).copied()?;
        scope.is_none_or(|scope| scope == lane).then_some(lane)
    }
}

#[cfg(test)]
mod tests {
    use hookaido_model::Seq;

    use super::*;

    #[test]
    fn a_repeat_is_known_in_its_lane_only() {
        let repeats = Repeats::default();
        let lease = LeaseId { seq: Seq(1), token: 2 };
        repeats.remember(lease, LaneId(3));
        assert_eq!(repeats.lane_of(lease, None), Some(LaneId(3)));
        assert_eq!(repeats.lane_of(lease, Some(LaneId(3))), Some(LaneId(3)));
        assert_eq!(repeats.lane_of(lease, Some(LaneId(4))), None);
        assert_eq!(repeats.lane_of(LeaseId { seq: Seq(1), token: 3 }, None), None);
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let repeats = Repeats::default();
        let lease = |n: usize| LeaseId { seq: Seq(i64::try_from(n).unwrap()), token: 0 };
        for n in 0..=CAPACITY {
            repeats.remember(lease(n), LaneId(1));
        }
        assert_eq!(repeats.lane_of(lease(0), None), None);
        assert_eq!(repeats.lane_of(lease(1), None), Some(LaneId(1)));
        assert_eq!(repeats.lane_of(lease(CAPACITY), None), Some(LaneId(1)));
        assert_eq!(repeats.0.lock().order.len(), CAPACITY);
    }
}
