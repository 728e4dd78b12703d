//! What outlives a reload: whether the process drains, and the samples that trends are made of.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hookaido_model::{Lane, State as MessageState, UnixMillis};
use hookaido_queue::store::Stats;
use parking_lot::Mutex;

/// Samples kept: a week of one each minute.
const MAX_SAMPLES: usize = 7 * 24 * 60;
/// Lanes kept over all samples; bounds the memory where there are very many.
const MAX_LANES: usize = 400_000;

/// Shared by all tables of a process.
#[derive(Debug, Default)]
pub struct State {
    draining: AtomicBool,
    samples: Mutex<Samples>,
}

#[derive(Debug, Default)]
struct Samples {
    ring: VecDeque<Sample>,
    /// Sum of `lanes` over the ring.
    lanes: usize,
}

/// How many messages there were at one moment.
#[derive(Debug)]
struct Sample {
    at: UnixMillis,
    /// Lanes with messages in one of the three states.
    lanes: Box<[(Arc<Lane>, Counts)]>,
}

/// Messages by state, as far as trends look at them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) queued: u64,
    pub(crate) leased: u64,
    pub(crate) dead: u64,
}

impl Counts {
    pub(crate) fn total(self) -> u64 {
        self.queued + self.leased + self.dead
    }

    fn plus(self, other: Self) -> Self {
        Self { queued: self.queued + other.queued, leased: self.leased + other.leased, dead: self.dead + other.dead }
    }
}

/// One sample of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) at: UnixMillis,
    pub(crate) counts: Counts,
}

impl State {
    /// A state without memories.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Remembers how many messages there are. To be called about once a minute; the oldest samples are forgotten.
    pub fn sample(&self, stats: &Stats, now: UnixMillis) {
        let count =
            |counts: &[u64; 5], state: MessageState| counts.get(usize::from(state.code())).copied().unwrap_or(0);
        let lanes = stats.lanes.iter().map(|lane| {
            let counts = Counts {
                queued: count(&lane.counts, MessageState::Queued),
                leased: count(&lane.counts, MessageState::Leased),
                dead: count(&lane.counts, MessageState::Dead),
            };
            (Arc::clone(&lane.lane), counts)
        });
        let lanes: Box<[_]> = lanes.filter(|(_, counts)| counts.total() > 0).take(MAX_LANES).collect();
        let mut samples = self.samples.lock();
        samples.lanes += lanes.len();
        samples.ring.push_back(Sample { at: now, lanes });
        while samples.ring.len() > MAX_SAMPLES || samples.lanes > MAX_LANES {
            let Some(oldest) = samples.ring.pop_front() else { break };
            samples.lanes -= oldest.lanes.len();
        }
    }

    /// Says whether the process is about to stop; `/healthz` answers 503 then.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Samples from `since` to `until`, the oldest first. With a selector only those that have such a lane.
    pub(crate) fn points(
        &self,
        since: UnixMillis,
        until: UnixMillis,
        route: Option<&str>,
        target: Option<&str>,
    ) -> Vec<Point> {
        let samples = self.samples.lock();
        let meant = |lane: &Lane| {
            route.is_none_or(|route| *lane.route == *route) && target.is_none_or(|target| *lane.target == *target)
        };
        let within = samples.ring.iter().filter(|sample| sample.at >= since && sample.at <= until);
        let points = within.filter_map(|sample| {
            let mut counts = sample.lanes.iter().filter(|(lane, _)| meant(lane)).map(|(_, counts)| *counts).peekable();
            if counts.peek().is_none() && (route.is_some() || target.is_some()) {
                return None;
            }
            Some(Point { at: sample.at, counts: counts.fold(Counts::default(), Counts::plus) })
        });
        points.collect()
    }
}

#[cfg(test)]
mod tests {
    use hookaido_model::LaneId;
    use hookaido_queue::store::LaneStats;

    use super::*;

    fn stats(routes: &[(&str, u64)]) -> Stats {
        let lanes = routes.iter().map(|(route, queued)| LaneStats {
            lane: Arc::new(Lane { id: LaneId(1), route: (*route).into(), target: "pull".into() }),
            counts: [*queued, 2, 7, 1, 9],
            oldest_queued_received_at: None,
            earliest_queued_next_run_at: None,
        });
        Stats { lanes: lanes.collect() }
    }

    #[test]
    fn samples_are_summed_over_the_lanes_that_are_meant() {
        let state = State::new();
        state.sample(&Stats::default(), UnixMillis(1));
        state.sample(&stats(&[("/a", 3), ("/b", 4)]), UnixMillis(2));
        let all = state.points(UnixMillis(0), UnixMillis(9), None, None);
        assert_eq!(all.iter().map(|point| point.counts.total()).collect::<Vec<_>>(), [0, 13]);
        let a = state.points(UnixMillis(0), UnixMillis(9), Some("/a"), Some("pull"));
        assert_eq!(a, [Point { at: UnixMillis(2), counts: Counts { queued: 3, leased: 2, dead: 1 } }]);
        assert!(state.points(UnixMillis(3), UnixMillis(9), None, None).is_empty());
        assert!(state.points(UnixMillis(0), UnixMillis(9), Some("/c"), None).is_empty());
    }

    #[test]
    fn the_oldest_samples_make_room() {
        let state = State::new();
        for minute in 0..=MAX_SAMPLES {
            state.sample(&stats(&[("/a", 1)]), UnixMillis(minute as i64));
        }
        let samples = state.samples.lock();
        assert_eq!((samples.ring.len(), samples.lanes), (MAX_SAMPLES, MAX_SAMPLES));
        assert_eq!(samples.ring.front().unwrap().at, UnixMillis(1));
    }
}
