//! Waiting for messages: what the store tells, and the lines of those who wait.
//!
//! Every lane with waiters has one line and one task that serves it. The task calls the store once for each reason to (something became
//! ready, or is due now) on behalf of everybody at the head of the line, and hands out what it got. Nobody polls.

mod line;
mod serve;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hookaido_model::{Clock, LaneId, UnixMillis};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

pub(crate) use self::line::{Line, content_bytes};
use crate::store::{Health, Observer};

/// Longest sleep without a look at the clock, which may jump.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);

/// Time from `now` to `at` for a timer.
pub(crate) fn until(at: UnixMillis, now: UnixMillis) -> Duration {
    at.since(now).clamp(Duration::from_millis(1), LOOK_AT_CLOCK)
}

/// The store's observer: turns what it is told into wake-ups.
#[derive(Debug)]
pub(crate) struct Watch {
    clock: Arc<dyn Clock>,
    lines: RwLock<HashMap<LaneId, Arc<Line>>>,
    pub(crate) alarm: Alarm,
    traffic: AtomicBool,
}

impl Watch {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, lines: RwLock::default(), alarm: Alarm::default(), traffic: AtomicBool::new(false) }
    }

    /// The line of a lane.
    pub(crate) fn line(&self, lane: LaneId) -> Arc<Line> {
        if let Some(line) = self.lines.read().get(&lane) {
            return Arc::clone(line);
        }
        Arc::clone(self.lines.write().entry(lane).or_default())
    }

    /// Something was asked of the queue.
    pub(crate) fn traffic(&self) {
        self.traffic.store(true, Ordering::Relaxed);
    }

    /// Whether anything was asked since the last question.
    pub(crate) fn take_traffic(&self) -> bool {
        self.traffic.swap(false, Ordering::Relaxed)
    }
}

impl Observer for Watch {
    fn ready(&self, lane: LaneId, at: UnixMillis) {
        // Whoever waits has made the line before looking into the store.
        let line = self.lines.read().get(&lane).map(Arc::clone);
        if let Some(line) = line {
            line.ready(at, self.clock.now());
        }
    }

    fn lease_ends(&self, at: UnixMillis) {
        self.alarm.set(at);
    }

    fn health(&self, _health: &Health) {}
}

/// When the next lease ends.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    at: Mutex<Option<UnixMillis>>,
    rings: Notify,
}

impl Alarm {
    /// Sets the alarm to `at` unless it rings earlier.
    pub(crate) fn set(&self, at: UnixMillis) {
        let mut present = self.at.lock();
        if present.is_none_or(|present| at < present) {
            *present = Some(at);
            self.rings.notify_one();
        }
    }

    /// When it rings.
    pub(crate) fn at(&self) -> Option<UnixMillis> {
        *self.at.lock()
    }

    /// Turns it off.
    pub(crate) fn take(&self) -> Option<UnixMillis> {
        self.at.lock().take()
    }

    /// Wakes upkeep to look at everything anew.
    pub(crate) fn ring(&self) {
        self.rings.notify_one();
    }

    /// Waits until it is set or rung.
    pub(crate) async fn changed(&self) {
        self.rings.notified().await;
    }
}
