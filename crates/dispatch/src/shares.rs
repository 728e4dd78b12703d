//! How the lanes of a route share its concurrency.
//!
//! Every lane keeps a part of its equal share free for itself, at least one delivery, so that a message never waits for a slow
//! sibling; the rest is lent to whoever has work. Pure arithmetic.

/// The concurrency of a route and what each of its lanes keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    /// Most deliveries in flight at a time.
    pub(crate) limit: usize,
    /// Of these, what each lane keeps for itself; zero when the lanes outnumber the limit, or for a single lane.
    pub(crate) reserve: usize,
}

impl Shares {
    /// `concurrency` over so many lanes.
    pub(crate) fn new(concurrency: u32, lanes: usize) -> Self {
        let limit = usize::try_from(concurrency).unwrap_or(usize::MAX).max(1);
        let reserve = match limit / lanes.max(1) {
            0 => 0,
            _ if lanes < 2 => 0,
            share => (share / 4).max(1),
        };
        Self { limit, reserve }
    }

    /// How many more deliveries a lane may start that has `own` in flight, beside siblings with so many each.
    pub(crate) fn room(self, own: usize, siblings: impl Iterator<Item = usize>) -> usize {
        let taken: usize = siblings.map(|in_flight| in_flight.max(self.reserve)).sum();
        self.limit.saturating_sub(taken).saturating_sub(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_shares_are_lent_but_for_the_reserve() {
        let shares = Shares::new(20, 2);
        assert_eq!(shares, Shares { limit: 20, reserve: 2 });
        assert_eq!(shares.room(0, [0].into_iter()), 18);
        assert_eq!(shares.room(18, [0].into_iter()), 0);
        assert_eq!(shares.room(0, [18].into_iter()), 2, "the reserve is there at once");
        assert_eq!(shares.room(2, [18].into_iter()), 0);
        assert_eq!(shares.room(10, [9].into_iter()), 1);
    }

    #[test]
    fn a_single_lane_has_it_all_and_many_lanes_share_one() {
        assert_eq!(Shares::new(20, 1).room(0, std::iter::empty()), 20);
        assert_eq!(Shares::new(0, 1).limit, 1);
        let crowded = Shares::new(2, 5);
        assert_eq!(crowded.reserve, 0);
        assert_eq!(crowded.room(0, [1, 0, 0, 0].into_iter()), 1);
        assert_eq!(crowded.room(0, [1, 1, 0, 0].into_iter()), 0);
    }

    #[test]
    fn the_limit_holds_whoever_starts() {
        for (limit, lanes) in [(1, 1), (1, 3), (2, 2), (3, 2), (7, 3), (20, 4), (100, 9)] {
            let shares = Shares::new(limit, lanes);
            let mut loads = vec![0usize; lanes];
            // a fixed, uneven sequence of starts and ends
            for step in 0..2000usize {
                let lane = (step * step + step / 3) % lanes;
                let siblings = loads.iter().enumerate().filter(|(i, _)| *i != lane).map(|(_, n)| *n);
                if step % 5 == 4 {
                    loads[lane] = loads[lane].saturating_sub(1);
                } else if shares.room(loads[lane], siblings) > 0 {
                    loads[lane] += 1;
                }
                assert!(loads.iter().sum::<usize>() <= limit as usize, "{limit} {lanes} {loads:?}");
                for lane in 0..lanes {
                    let siblings = loads.iter().enumerate().filter(|(i, _)| *i != lane).map(|(_, n)| *n);
                    assert!(loads[lane] >= shares.reserve || shares.room(loads[lane], siblings) > 0, "{loads:?}");
                }
            }
        }
    }
}
