//! The handle that every service holds.
//!
//! Adds to a store what it must not know: the present, the limits and retentions in force, waiting, and the memory of ended leases.
//! Cheap to clone.

use std::sync::Arc;
use std::time::Duration;

use hookaido_model::config::{QueueLimits, Retentions};
use hookaido_model::{Attempt, Clock, Envelope, EnvelopeId, Lane, LaneId, LeaseId, State, UnixMillis};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use crate::batch::LeasedBatch;
use crate::carry::Tasks;
use crate::repeats::Repeats;
use crate::store::{
    AttemptQuery, Enqueue, Enqueued, ExtendBatch, Health, LeaseLost, ListQuery, NewMessage, Settle, SettleBatch,
    Settled, Settlement, Stats, Step, Store, StoreError, Transition, Transitioned,
};
use crate::upkeep::{self, Reclaims};
use crate::wait::Watch;

/// Handle of the queue.
#[derive(Clone, Debug)]
pub struct Queue(Arc<Inner>);

/// What a reload may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// Depth limit.
    pub limits: QueueLimits,
    /// What is kept, and for how long.
    pub retentions: Retentions,
}

/// A wish for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseWish {
    /// From where.
    pub lane: LaneId,
    /// At most this many; zero counts as one.
    pub max: u32,
    /// How long the lease lasts.
    pub ttl: Duration,
    /// How long to wait for the first message; zero takes what is there.
    pub max_wait: Duration,
}

/// Why a single lease was not ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// It is not held any more.
    #[error(transparent)]
    Lost(#[from] LeaseLost),
    /// The store failed; the lease is still held.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: RwLock<QueueSettings>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) tasks: Tasks,
    /// Ends all waits.
    pub(crate) no_more_waits: CancellationToken,
    repeats: Repeats,
    pub(crate) reclaims: Reclaims,
}

impl Queue {
    /// A queue on `store`. Attaches itself as the store's observer.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, settings: QueueSettings) -> Self {
        let watch = Arc::new(Watch::new(Arc::clone(&clock)));
        store.attach(Arc::clone(&watch) as Arc<dyn crate::store::Observer>);
        Self(Arc::new(Inner {
            store,
            clock,
            settings: RwLock::new(settings),
            watch,
            tasks: Tasks::default(),
            no_more_waits: CancellationToken::new(),
            repeats: Repeats::default(),
            reclaims: Reclaims::default(),
        }))
    }

    /// Replaces limits and retentions, from the next operation on.
    pub fn set_settings(&self, settings: QueueSettings) {
        *self.0.settings.write() = settings;
        self.0.watch.alarm.ring();
    }

    /// The clock of the process.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// `sqlite`, `memory` or `postgres`.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.0.store.backend()
    }

    /// Whether writes work at present.
    #[must_use]
    pub fn health(&self) -> Health {
        self.0.store.health()
    }

    /// The lanes of these pairs of route and target, in the same order; unknown ones are created.
    ///
    /// # Errors
    /// The store failed.
    pub async fn lanes(&self, pairs: Vec<(Arc<str>, Arc<str>)>) -> Result<Vec<Arc<Lane>>, StoreError> {
        self.0.store.lanes(pairs).await
    }

    /// Stores all messages or none, within the depth limit.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Conflict`], or the store failed.
    pub async fn enqueue(&self, messages: Vec<NewMessage>) -> Result<Enqueued, StoreError> {
        self.0.watch.traffic();
        let limits = self.0.settings.read().limits;
        self.0.store.enqueue(Enqueue { messages, limits, now: self.0.clock.now() }).await
    }

    /// Waits up to `max_wait` for at least one message; returns an empty batch when none came. Wakes at once on whatever makes a message
    /// ready. First come, first served within a lane. Dropping the future never leaves a lease behind.
    ///
    /// # Errors
    /// The store failed.
    pub async fn lease(&self, wish: LeaseWish) -> Result<LeasedBatch, StoreError> {
        self.0.watch.traffic();
        self.0.lease(wish).await
    }

    /// Ends all waits at once, and lets no new one begin: waiting calls return an empty batch. For drain.
    pub fn shut_waiters(&self) {
        self.0.no_more_waits.cancel();
    }

    /// Cancelled by [`Queue::shut_waiters`].
    #[must_use]
    pub fn waiters_shut(&self) -> &CancellationToken {
        &self.0.no_more_waits
    }

    /// Ends one lease.
    ///
    /// # Errors
    /// The lease is lost, or the store failed.
    pub async fn settle(&self, settle: Settle) -> Result<Settled, SettleError> {
        let outcomes = self.settle_all(vec![settle], Vec::new()).await?;
        let missing = || Err(LeaseLost::NotFound);
        outcomes.into_iter().next().unwrap_or_else(missing).map_err(SettleError::Lost)
    }

    /// Ends leases and records attempts in one transaction; one outcome for each lease, in order. Ending a lease again that was ended a
    /// while ago, in whatever way, succeeds and changes nothing. Goes on when the caller goes away.
    ///
    /// # Errors
    /// The store failed; nothing was changed.
    pub async fn settle_all(
        &self,
        settles: Vec<Settle>,
        attempts: Vec<Attempt>,
    ) -> Result<Vec<Result<Settled, LeaseLost>>, StoreError> {
        self.0.watch.traffic();
        let inner = Arc::clone(&self.0);
        self.0.tasks.carry(async move { inner.settle_all(settles, attempts).await }).await
    }

    /// Moves ends of leases; one outcome for each lease, in order: the new end.
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
        self.0.watch.traffic();
        self.0.store.extend(ExtendBatch { leases, scope, by, latest, now: self.0.clock.now() }).await
    }

    /// Moves or deletes messages by id; ids that are unknown or may not move are passed over. `only`: the states they must be in, empty
    /// for any.
    ///
    /// # Errors
    /// The store failed; nothing was changed.
    pub async fn transition(
        &self,
        ids: Vec<EnvelopeId>,
        step: Step,
        only: Vec<State>,
    ) -> Result<Transitioned, StoreError> {
        self.0.watch.traffic();
        self.0.store.transition(Transition { ids, step, only, now: self.0.clock.now() }).await
    }

    /// Messages that match.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(&self, query: ListQuery) -> Result<Vec<Envelope>, StoreError> {
        self.0.store.list(query).await
    }

    /// Attempts that match, the newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn attempts(&self, query: AttemptQuery) -> Result<Vec<Attempt>, StoreError> {
        self.0.store.attempts(query).await
    }

    /// Counts and ages of every lane.
    ///
    /// # Errors
    /// The store failed.
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        self.0.store.stats().await
    }

    /// Names who is told how many messages of a lane were taken back because their lease ran out. The first call counts.
    pub fn on_reclaimed(&self, listener: impl Fn(LaneId, u64) + Send + Sync + 'static) {
        self.0.reclaims.listen(Box::new(listener));
    }

    /// Takes back leases as they run out, prunes by retention and lets the store tidy up, until `shutdown`.
    pub async fn run_upkeep(self, shutdown: CancellationToken) {
        upkeep::run(&self.0, shutdown).await;
    }

    /// Ends all waits, lets calls under way finish and closes the store.
    ///
    /// # Errors
    /// The store failed.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.shut_waiters();
        self.0.tasks.finish().await;
        self.0.store.close().await
    }
}

impl Inner {
    async fn settle_all(
        &self,
        settles: Vec<Settle>,
        attempts: Vec<Attempt>,
    ) -> Result<Vec<Result<Settled, LeaseLost>>, StoreError> {
        let keep_delivered = self.settings.read().retentions.delivered.enabled;
        let asked: Vec<_> = settles
            .iter()
            .map(|settle| (settle.lease, settle.scope, settle.settlement != Settlement::Release))
            .collect();
        let op = SettleBatch { settles, attempts, keep_delivered, now: self.clock.now() };
        let mut outcomes = self.store.settle(op).await?;
        // In order, so that a lease named twice in one call is a repeat, too.
        for ((lease, scope, on_request), outcome) in asked.into_iter().zip(&mut outcomes) {
            match outcome {
                Ok(settled) if on_request => self.repeats.remember(lease, settled.lane),
                Err(LeaseLost::NotFound) => {
                    if let Some(lane) = self.repeats.lane_of(lease, scope) {
                        *outcome = Ok(Settled { lane });
                    }
                }
                _ => {}
            }
        }
        Ok(outcomes)
    }
}
