//! The handle that services hold: everything about queueing that is the same for every backend.
//!
//! Waiting and wake-ups, depth limits and retention as configured at the moment, repeats of settlements, upkeep. Services call it;
//! it calls the [`Store`]. It never reads the clock of the machine.

mod carried;
mod lease;
mod repeats;
mod upkeep;
mod waiters;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hookaido_model::config::{QueueLimits, Retentions};
use hookaido_model::{Attempt, Clock, Envelope, EnvelopeId, Lane, LaneId, LeaseId, State, UnixMillis};
use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use self::carried::Carried;
use self::repeats::{Mark, Repeats};
use self::waiters::Board;
use crate::store::{
    AttemptQuery, Enqueue, Enqueued, ExtendBatch, Health, LeaseLost, ListQuery, NewMessage, Observer, ReclaimedLane,
    Rules, Settle, SettleBatch, Settled, Stats, Step, Store, StoreError, Transition, Transitioned,
};

pub use self::lease::{LeaseWish, LeasedBatch};

/// The queue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    inner: Arc<Inner>,
}

/// What the configuration says about the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// How much may wait.
    pub limits: QueueLimits,
    /// How long things are kept.
    pub retentions: Retentions,
}

/// Why a single lease could not be ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The lease is not held.
    #[error(transparent)]
    Lost(#[from] LeaseLost),
    /// The store failed; the lease is as it was.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    settings: RwLock<QueueSettings>,
    rules: RwLock<Rules>,
    settings_changed: Notify,
    board: Arc<Board>,
    repeats: Repeats,
    reclaims: Reclaims,
    /// Work left by callers that went away.
    tasks: TaskTracker,
}

type Listener = Box<dyn Fn(&ReclaimedLane) + Send + Sync>;

/// Who is told of leases that ended.
#[derive(Default)]
struct Reclaims(OnceLock<Listener>);

impl fmt::Debug for Reclaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reclaims").field(&self.0.get().is_some()).finish()
    }
}

impl Queue {
    /// A queue on `store`. Attaches itself as the store's observer.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, settings: QueueSettings) -> Self {
        let board = Arc::new(Board::new(Arc::clone(&clock)));
        store.attach(Arc::clone(&board) as Arc<dyn Observer>);
        let inner = Inner {
            store,
            clock,
            settings: RwLock::new(settings),
            rules: RwLock::default(),
            settings_changed: Notify::new(),
            board,
            repeats: Repeats::default(),
            reclaims: Reclaims::default(),
            tasks: TaskTracker::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Takes new settings; they count from the next operation on.
    pub fn set_settings(&self, settings: QueueSettings) {
        *self.inner.settings.write() = settings;
        self.inner.settings_changed.notify_one();
    }

    /// Takes new rules about messages that workers do not finish; they count for every lease that ends from now on, whenever it began.
    pub fn set_rules(&self, rules: Rules) {
        *self.inner.rules.write() = rules;
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> QueueSettings {
        *self.inner.settings.read()
    }

    /// The clock that all times come from.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// `sqlite`, `memory` or `postgres`.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.inner.store.backend()
    }

    /// Whether writes work at present.
    #[must_use]
    pub fn health(&self) -> Health {
        self.inner.store.health()
    }

    /// The lanes of these pairs of route and target, in the same order; unknown ones are created.
    ///
    /// # Errors
    /// The store failed.
    pub async fn lanes(&self, pairs: Vec<(Arc<str>, Arc<str>)>) -> Result<Vec<Arc<Lane>>, StoreError> {
        self.inner.store.lanes(pairs).await
    }

    /// Stores all messages or none, within the depth limit. Waiters are woken even if this future is dropped.
    ///
    /// # Errors
    /// The queue is full, an id is in use, or the store failed.
    pub async fn enqueue(&self, messages: Vec<NewMessage>) -> Result<Enqueued, StoreError> {
        if messages.is_empty() {
            return Ok(Enqueued::default());
        }
        let limits = self.inner.settings.read().limits;
        self.inner.board.expect(&messages);
        self.inner.store.enqueue(Enqueue { messages, limits, now: self.inner.clock.now() }).await
    }

    /// Leases messages, or waits up to `max_wait` for at least one. Woken at once when a message of the lane becomes ready, by whatever
    /// cause, a delay that is over included. First come, first served in each lane. Dropping the future leaves no lease behind.
    ///
    /// # Errors
    /// The store failed.
    pub async fn lease(&self, wish: LeaseWish) -> Result<LeasedBatch, StoreError> {
        self.lease_within(wish, lease::MAX_BYTES).await
    }

    /// The same, for a caller that cannot take more than about `max_bytes` of content at once; a single message may be larger.
    ///
    /// # Errors
    /// The store failed.
    pub async fn lease_within(&self, wish: LeaseWish, max_bytes: u64) -> Result<LeasedBatch, StoreError> {
        lease::lease(&self.inner, wish, max_bytes.min(lease::MAX_BYTES)).await
    }

    /// Ends one lease.
    ///
    /// # Errors
    /// The lease is not held (and this is no repeat), or the store failed.
    pub async fn settle(&self, settle: Settle) -> Result<Settled, SettleError> {
        let outcomes = self.settle_all(vec![settle], Vec::new()).await?;
        Ok(outcomes.into_iter().next().unwrap_or(Err(LeaseLost::NotFound))?)
    }

    /// Ends leases and records attempts in one transaction; one outcome for each lease, in order. Settling a lease again in the same
    /// way within its lane is a success, for a while.
    ///
    /// # Errors
    /// The store failed; nothing was changed.
    pub async fn settle_all(
        &self,
        settles: Vec<Settle>,
        attempts: Vec<Attempt>,
    ) -> Result<Vec<Result<Settled, LeaseLost>>, StoreError> {
        let inner = &self.inner;
        if settles.is_empty() && attempts.is_empty() {
            return Ok(Vec::new());
        }
        let marks: Arc<[Mark]> = settles.iter().map(Mark::of).collect();
        let keep_delivered = inner.settings.read().retentions.delivered.enabled;
        let rules = inner.rules.read().clone();
        let op = SettleBatch { settles, attempts, keep_delivered, rules, now: inner.clock.now() };
        let abandoned = {
            let (inner, marks) = (Arc::clone(inner), Arc::clone(&marks));
            // a worker whose connection broke will come again
            move |answer: Result<Vec<_>, _>| {
                if let Ok(mut outcomes) = answer {
                    inner.repeats.review(&marks, &mut outcomes, inner.clock.now());
                }
                None
            }
        };
        let mut outcomes = Carried::new(&inner.tasks, inner.store.settle(op), abandoned).await?;
        inner.repeats.review(&marks, &mut outcomes, inner.clock.now());
        Ok(outcomes)
    }

    /// Moves the ends of leases, never beyond `latest`; one outcome for each, in order: the new end.
    ///
    /// # Errors
    /// The store failed; nothing was changed.
    pub async fn extend(
        &self,
        leases: Vec<LeaseId>,
        scope: Option<LaneId>,
        by: Duration,
        latest: Option<UnixMillis>,
    ) -> Result<Vec<Result<UnixMillis, LeaseLost>>, StoreError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        self.inner.store.extend(ExtendBatch { leases, scope, by, latest, now: self.inner.clock.now() }).await
    }

    /// Moves or deletes messages by id; those that are unknown or may not move are passed over. `only` limits the states it applies to.
    ///
    /// # Errors
    /// The store failed; nothing was changed.
    pub async fn transition(
        &self,
        ids: Vec<EnvelopeId>,
        step: Step,
        only: Vec<State>,
    ) -> Result<Transitioned, StoreError> {
        if ids.is_empty() {
            return Ok(Transitioned::default());
        }
        self.inner.store.transition(Transition { ids, step, only, now: self.inner.clock.now() }).await
    }

    /// Messages that match.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(&self, query: ListQuery) -> Result<Vec<Envelope>, StoreError> {
        self.inner.store.list(query).await
    }

    /// Attempts that match, the newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn attempts(&self, query: AttemptQuery) -> Result<Vec<Attempt>, StoreError> {
        self.inner.store.attempts(query).await
    }

    /// Counts and ages of every lane.
    ///
    /// # Errors
    /// The store failed.
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        self.inner.store.stats().await
    }

    /// Ends all waits at once and lets no new one begin: who waits gets an empty batch. For a drain.
    pub fn shut_waiters(&self) {
        self.inner.board.shut();
    }

    /// Names who is told how many leases of a lane ran out. The first call counts.
    pub fn on_reclaimed(&self, listener: impl Fn(&ReclaimedLane) + Send + Sync + 'static) {
        let _set_before = self.inner.reclaims.0.set(Box::new(listener));
    }

    /// Ends all waits, finishes what callers left behind, then closes the store. Later calls fail.
    ///
    /// # Errors
    /// The store could not finish its work.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.shut_waiters();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.store.close().await
    }
}

impl Queue {
    /// Waits for what callers left behind.
    pub(crate) async fn leftovers_done(&self) {
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.tasks.reopen();
    }
}

#[cfg(test)]
mod tests;
