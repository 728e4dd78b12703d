//! Who waits for messages, lane by lane, and who is woken when some are ready.
//!
//! The store tells [`Board`] after a commit; it wakes the waiter that has waited longest. A call to the store sees all that was
//! announced before it began, and what it leaves behind is announced again: so one announcement wakes one waiter, no announcement is
//! lost, and nobody polls. The first of a lane's sleepers also watches the clock for the next delayed message.

mod lane;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use hookaido_model::{Clock, LaneId, UnixMillis};
use parking_lot::RwLock;
use tokio::sync::Notify;

use crate::store::{Health, NewMessage, Observer};

pub(super) use lane::{Arrival, Called, Check, LaneWaiters};

/// What the store tells its [`Observer`], kept for those who wait. Holds no store, so that neither keeps the other alive.
#[derive(Debug)]
pub(super) struct Board {
    clock: Arc<dyn Clock>,
    lanes: RwLock<HashMap<LaneId, Arc<LaneWaiters>>>,
    next_lease_end: AtomicI64,
    lease_end_moved: Notify,
    shut: AtomicBool,
}

impl Board {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            lanes: RwLock::default(),
            // leases of an earlier run may have ended already
            next_lease_end: AtomicI64::new(i64::MIN),
            lease_end_moved: Notify::new(),
            shut: AtomicBool::new(false),
        }
    }

    /// The waiters of a lane. There are as many lanes as the configuration ever named.
    pub(super) fn lane(&self, id: LaneId) -> Arc<LaneWaiters> {
        if let Some(lane) = self.lanes.read().get(&id) {
            return Arc::clone(lane);
        }
        Arc::clone(self.lanes.write().entry(id).or_default())
    }

    /// Publishers are about to bring messages: the store announces a commit once for each lane, this says for how many.
    pub(super) fn expect(&self, messages: &[NewMessage]) {
        let lanes = self.lanes.read();
        if lanes.is_empty() {
            return;
        }
        for id in messages.iter().flat_map(|message| &message.lanes) {
            if let Some(lane) = lanes.get(id) {
                lane.expect(1);
            }
        }
    }

    /// Nobody waits any more.
    pub(super) fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
        self.lanes.read().values().for_each(|lane| lane.ring_all());
    }

    /// Whether waiting is over for good.
    pub(super) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::SeqCst)
    }

    /// When the next lease ends; `None` while nothing is leased.
    pub(super) fn next_lease_end(&self) -> Option<UnixMillis> {
        Some(self.next_lease_end.load(Ordering::Acquire)).filter(|at| *at < i64::MAX).map(UnixMillis)
    }

    /// Forgets the next end; what is reported from now on counts.
    pub(super) fn forget_lease_end(&self) {
        self.next_lease_end.store(i64::MAX, Ordering::Release);
    }

    /// Ready when a lease was given that ends before all others.
    pub(super) async fn lease_end_moved(&self) {
        self.lease_end_moved.notified().await;
    }
}

impl Observer for Board {
    fn ready(&self, lane: LaneId, at: UnixMillis) {
        // without an entry nobody has asked yet, and who does will look into the store
        let Some(lane) = self.lanes.read().get(&lane).cloned() else { return };
        lane.ready(at, self.clock.now());
    }

    fn lease_ends(&self, at: UnixMillis) {
        if self.next_lease_end.fetch_min(at.0, Ordering::AcqRel) > at.0 {
            self.lease_end_moved.notify_one();
        }
    }

    fn health(&self, health: &Health) {
        if *health == Health::Writable {
            // what became ready while the store could not tell
            self.lanes.read().values().for_each(|lane| lane.wake_one());
        }
    }
}
