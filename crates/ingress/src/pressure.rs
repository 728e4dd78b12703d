//! Adaptive backpressure: refuse new webhooks while the queue falls behind, before it is full.
//!
//! The queue is looked at once a second, and only while a configuration asks for it; a request compares the last sample with the
//! thresholds of its own table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hookaido_model::config::AdaptiveBackpressure;
use hookaido_model::{State as Stage, UnixMillis};
use hookaido_queue::Queue;
use hookaido_queue::store::Stats;
use hookaido_telemetry::Pressure;
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use crate::State;

/// Time between two looks at the queue.
const INTERVAL: Duration = Duration::from_secs(1);

/// What was last seen of the queue.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    sample: RwLock<Sample>,
    /// Whether the trend of the backlog is steady growth; kept by whoever keeps trend samples.
    growing: AtomicBool,
    /// Whether the present table asks for samples.
    pub(crate) wanted: AtomicBool,
}

/// The queue at one moment, over all lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sample {
    queued: u64,
    /// Queued, leased and dead.
    total: u64,
    oldest_received_at: Option<UnixMillis>,
    earliest_next_run_at: Option<UnixMillis>,
}

impl Sample {
    fn of(stats: &Stats) -> Self {
        let count = |stage: Stage| stats.lanes.iter().filter_map(|lane| lane.counts.get(stage as usize)).sum::<u64>();
        let queued = count(Stage::Queued);
        Self {
            queued,
            total: queued + count(Stage::Leased) + count(Stage::Dead),
            oldest_received_at: stats.lanes.iter().filter_map(|lane| lane.oldest_queued_received_at).min(),
            earliest_next_run_at: stats.lanes.iter().filter_map(|lane| lane.earliest_queued_next_run_at).min(),
        }
    }

    /// The first threshold that is reached. A threshold of zero counts as none.
    fn judge(&self, thresholds: &AdaptiveBackpressure, growing: bool, now: UnixMillis) -> Option<Pressure> {
        let &AdaptiveBackpressure {
            enabled,
            min_total,
            queued_percent,
            ready_lag,
            oldest_queued_age,
            sustained_growth,
        } = thresholds;
        if !enabled || self.total < min_total || self.total == 0 {
            return None;
        }
        let reached = |since: Option<UnixMillis>, limit: Duration| {
            !limit.is_zero() && since.is_some_and(|since| now.since(since) >= limit)
        };
        let share = u128::from(self.queued) * 100 >= u128::from(queued_percent) * u128::from(self.total);
        if queued_percent > 0 && share {
            Some(Pressure::QueuedPressure)
        } else if reached(self.earliest_next_run_at, ready_lag) {
            Some(Pressure::ReadyLag)
        } else if reached(self.oldest_received_at, oldest_queued_age) {
            Some(Pressure::OldestQueuedAge)
        } else {
            (sustained_growth && growing).then_some(Pressure::SustainedGrowth)
        }
    }
}

impl Gauge {
    /// Why a request must be refused now.
    pub(crate) fn judge(&self, thresholds: &AdaptiveBackpressure, now: UnixMillis) -> Option<Pressure> {
        let sample = *self.sample.read();
        sample.judge(thresholds, self.growing.load(Ordering::Relaxed), now)
    }
}

impl State {
    /// Takes counts and ages of the queue that somebody had read anyway.
    pub fn observe(&self, stats: &Stats) {
        *self.pressure.sample.write() = Sample::of(stats);
    }

    /// Says whether the backlog grows steadily, as whoever keeps trend samples judges it. Not, until it is said.
    pub fn set_growing(&self, growing: bool) {
        self.pressure.growing.store(growing, Ordering::Relaxed);
    }

    /// Looks at the queue every second while a table asks for it, until `shutdown`. A queue that cannot be read keeps the last sample.
    pub async fn watch_queue(self: Arc<Self>, queue: Queue, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if self.pressure.wanted.load(Ordering::Relaxed)
                && let Ok(stats) = queue.stats().await
            {
                self.observe(&stats);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn thresholds() -> AdaptiveBackpressure {
        AdaptiveBackpressure {
            enabled: true,
            min_total: 10,
            queued_percent: 80,
            ready_lag: Duration::from_secs(30),
            oldest_queued_age: Duration::from_secs(60),
            sustained_growth: true,
        }
    }

    fn sample(queued: u64, total: u64, age_secs: i64, lag_secs: i64) -> Sample {
        Sample {
            queued,
            total,
            oldest_received_at: Some(UnixMillis(NOW.0 - age_secs * 1000)),
            earliest_next_run_at: Some(UnixMillis(NOW.0 - lag_secs * 1000)),
        }
    }

    #[test]
    fn the_first_threshold_that_is_reached_is_named() {
        for (sample, growing, want) in [
            (sample(10, 10, 99, 99), true, Some(Pressure::QueuedPressure)),
            (sample(8, 10, 0, 0), false, Some(Pressure::QueuedPressure)),
            (sample(7, 10, 0, 0), false, None),
            (sample(7, 10, 60, 30), false, Some(Pressure::ReadyLag)),
            (sample(7, 10, 60, 29), false, Some(Pressure::OldestQueuedAge)),
            (sample(7, 10, 59, 29), false, None),
            (sample(7, 10, 59, -5), true, Some(Pressure::SustainedGrowth)),
            (sample(9, 9, 99, 99), true, None),
            (Sample::default(), true, None),
        ] {
            assert_eq!(sample.judge(&thresholds(), growing, NOW), want, "{sample:?} {growing}");
        }
    }

    #[test]
    fn what_is_off_refuses_nothing() {
        let full = sample(10, 10, 99, 99);
        let off = AdaptiveBackpressure { enabled: false, ..thresholds() };
        assert_eq!(full.judge(&off, true, NOW), None);
        let zero = AdaptiveBackpressure {
            queued_percent: 0,
            ready_lag: Duration::ZERO,
            oldest_queued_age: Duration::ZERO,
            sustained_growth: false,
            ..thresholds()
        };
        assert_eq!(full.judge(&zero, true, NOW), None);
    }
}
