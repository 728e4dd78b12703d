//! What a backend must be able to do: a dozen batches, each one transaction.
//!
//! A store knows rows and time it is told; it never waits for messages, never decides limits of its own and never reads a clock.
//! Everything above (waiting, wake-ups, retention cadence) is written once, in [`crate::Queue`]. Every store passes
//! [`crate::conformance`].

mod query;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hookaido_model::config::{DropPolicy, QueueLimits, Retentions};
use hookaido_model::{
    Attempt, Content, DeadReason, Envelope, EnvelopeId, Lane, LaneId, LeaseId, Move, Redelivery, State, UnixMillis,
};
use smallvec::SmallVec;

pub use self::query::{AttemptQuery, LaneStats, ListQuery, Stats};

/// The answer of a store; ready once the transaction is committed. Dropping it does not undo the operation.
pub type StoreFuture<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// A backend.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// `sqlite`, `memory` or `postgres`: the label of metrics.
    fn backend(&self) -> &'static str;
    /// Tells the store whom to tell about ready messages. Called once, before anything else.
    fn attach(&self, observer: Arc<dyn Observer>);
    /// The lanes of these pairs of route and target, in the same order; unknown ones are created.
    fn lanes(&self, pairs: Vec<(Arc<str>, Arc<str>)>) -> StoreFuture<Vec<Arc<Lane>>>;
    /// Stores all messages or none.
    fn enqueue(&self, op: Enqueue) -> StoreFuture<Enqueued>;
    /// Leases ready messages of a lane, the earliest `next_run_at` first, then in order of receipt.
    fn lease(&self, op: Lease) -> StoreFuture<Leased>;
    /// Ends leases, one outcome for each entry in the same order; one lost lease does not hinder the others.
    fn settle(&self, op: SettleBatch) -> StoreFuture<Vec<Result<Settled, LeaseLost>>>;
    /// Moves ends of leases, one outcome for each entry in the same order: the new end.
    fn extend(&self, op: ExtendBatch) -> StoreFuture<Vec<Result<UnixMillis, LeaseLost>>>;
    /// Takes back messages whose lease ended: into the queue, or to the dead letters where the lane's rule says so.
    fn reclaim(&self, op: Reclaim) -> StoreFuture<Reclaimed>;
    /// Moves or deletes messages by id; ids that are unknown or may not move are passed over.
    fn transition(&self, op: Transition) -> StoreFuture<Transitioned>;
    /// Messages that match, in the order asked for.
    fn list(&self, query: ListQuery) -> StoreFuture<Vec<Envelope>>;
    /// Attempts that match, the newest first.
    fn attempts(&self, query: AttemptQuery) -> StoreFuture<Vec<Attempt>>;
    /// Counts and ages of every lane, from counters and indexes.
    fn stats(&self) -> StoreFuture<Stats>;
    /// Removes what retention no longer keeps, at most `max_rows` of each kind.
    fn prune(&self, op: Prune) -> StoreFuture<Pruned>;
    /// Work for idle moments: checkpoint, give back free pages. Called now and then; cheap when there is nothing to do.
    fn maintain(&self) -> StoreFuture<()>;
    /// Whether writes work at present.
    fn health(&self) -> Health;
    /// Finishes what is under way and closes the files. Later calls answer [`StoreError::Unavailable`].
    fn close(&self) -> StoreFuture<()>;
}

/// Who is told what a commit made possible. Called by the store after the commit, on its own thread; must not block.
pub trait Observer: Send + Sync + fmt::Debug + 'static {
    /// Messages of the lane became ready, or will be at `at` when that is later than now. Several messages may share a call. Also
    /// called after a lease that left ready messages behind: whoever waits next takes those.
    fn ready(&self, lane: LaneId, at: UnixMillis);
    /// A lease was given or changed that ends at `at`.
    fn lease_ends(&self, at: UnixMillis);
    /// Whether writes work changed.
    fn health(&self, health: &Health);
}

/// Whether writes work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// They do.
    #[default]
    Writable,
    /// They do not; the store tries again by itself.
    ReadOnly {
        /// Why, and what to do, in words.
        reason: Arc<str>,
    },
}

/// Why an operation failed. Nothing of it was stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// `queue_limits.max_depth` is reached.
    #[error("the queue is full")]
    Full,
    /// A message with this id is already there.
    #[error("a message with the id `{0}` exists already")]
    Conflict(EnvelopeId),
    /// Disk full, I/O error, too many operations waiting, or the store is closed; trying again later may help.
    #[error("the queue cannot be written: {0}")]
    Unavailable(Arc<str>),
    /// What is stored contradicts itself.
    #[error("the queue file is damaged: {0}")]
    Corrupt(Arc<str>),
}

/// New messages.
#[derive(Clone, Debug)]
pub struct Enqueue {
    /// What to store.
    pub messages: Vec<NewMessage>,
    /// Depth limit at this moment.
    pub limits: QueueLimits,
    /// The present.
    pub now: UnixMillis,
}

/// One content for one or more lanes. Each lane gets an envelope of its own.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Where it goes; at least one.
    pub lanes: SmallVec<[LaneId; 1]>,
    /// An id the publisher chose, for the first lane; `None` makes one.
    pub id: Option<Arc<str>>,
    /// Body, headers, trace.
    pub content: Content,
    /// Decides the order among messages that are ready at the same time.
    pub received_at: UnixMillis,
    /// Earliest lease.
    pub next_run_at: UnixMillis,
}

/// What an [`Enqueue`] did.
#[derive(Clone, Debug, Default)]
pub struct Enqueued {
    /// One for each lane of each message, in order.
    pub ids: Vec<EnvelopeId>,
    /// Queued messages that made room.
    pub dropped: u64,
}

/// What the depth limit says to `incoming` more messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Room is left.
    Admit,
    /// Drop this many of the oldest queued messages first; refuse when there are fewer.
    MakeRoom(u64),
    /// No room.
    Refuse,
}

impl Admission {
    /// Asked by every store inside the transaction, so that the limit is exact. `depth` counts queued and leased messages.
    #[must_use]
    pub fn decide(limits: QueueLimits, depth: u64, incoming: u64) -> Self {
        let Some(max) = limits.max_depth else { return Self::Admit };
        let excess = depth.saturating_add(incoming).saturating_sub(max);
        match limits.drop_policy {
            _ if excess == 0 => Self::Admit,
            DropPolicy::DropOldest if incoming <= max => Self::MakeRoom(excess),
            DropPolicy::DropOldest | DropPolicy::Reject => Self::Refuse,
        }
    }
}

/// A wish for messages.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// From where.
    pub lane: LaneId,
    /// At most this many.
    pub max: u32,
    /// At most this many bytes of content in all, but always one message.
    pub max_bytes: u64,
    /// End of the leases.
    pub until: UnixMillis,
    /// The present.
    pub now: UnixMillis,
}

/// Messages leased.
#[derive(Clone, Debug, Default)]
pub struct Leased {
    /// With content, lease and the attempt counted up.
    pub envelopes: Vec<Envelope>,
    /// When the lane's next message becomes ready; `None` when there is none, or when more are ready now.
    pub next_ready_at: Option<UnixMillis>,
}

/// Leases to end, and attempts to record, in one transaction.
#[derive(Clone, Debug)]
pub struct SettleBatch {
    /// What to end.
    pub settles: Vec<Settle>,
    /// Recorded whether or not the lease is still held; their ids are made by the store.
    pub attempts: Vec<Attempt>,
    /// Keep acknowledged messages (state `delivered`) instead of removing them.
    pub keep_delivered: bool,
    /// What becomes of messages that are given back.
    pub rules: Rules,
    /// The present; a lease that ended is lost even if nobody has reclaimed it.
    pub now: UnixMillis,
}

/// One lease to end.
#[derive(Clone, Debug)]
pub struct Settle {
    /// Which.
    pub lease: LeaseId,
    /// The only lane it may belong to; `None` for any.
    pub scope: Option<LaneId>,
    /// What becomes of the message.
    pub settlement: Settlement,
}

/// What becomes of a message whose lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Done.
    Ack,
    /// Given back: the lane's rule decides what follows, see [`hookaido_model::after_lease`].
    Nack {
        /// Earliest next lease, where somebody asked for one.
        ready_at: Option<UnixMillis>,
        /// Why. The last one is kept, in case the message dies later.
        reason: Option<DeadReason>,
    },
    /// Back into the queue as if it had never been leased: the attempt does not count.
    Release,
    /// To the dead letters.
    Bury {
        /// Why; `None` when nobody said.
        reason: Option<DeadReason>,
    },
}

/// A lease that was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Lane of its message.
    pub lane: LaneId,
    /// Whether this sent the message to the dead letters: it was buried, or given back once too often.
    pub died: bool,
}

/// Why a lease could not be ended or extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LeaseLost {
    /// Nobody holds such a lease (any more).
    #[error("no such lease")]
    NotFound,
    /// It ran out.
    #[error("the lease has expired")]
    Expired,
    /// It belongs to a message of another lane.
    #[error("the lease belongs to another route")]
    Foreign,
}

/// Leases to extend.
#[derive(Clone, Debug)]
pub struct ExtendBatch {
    /// Which.
    pub leases: Vec<LeaseId>,
    /// The only lane they may belong to; `None` for any.
    pub scope: Option<LaneId>,
    /// Added to the present end of each lease.
    pub by: std::time::Duration,
    /// The new end is never later than this.
    pub latest: Option<UnixMillis>,
    /// The present.
    pub now: UnixMillis,
}

/// Leases to take back.
#[derive(Clone, Debug)]
pub struct Reclaim {
    /// At most this many.
    pub max: u32,
    /// What becomes of the messages.
    pub rules: Rules,
    /// The present; leases that end at or before it are over.
    pub now: UnixMillis,
}

/// What a [`Store::reclaim`] did.
#[derive(Clone, Debug, Default)]
pub struct Reclaimed {
    /// How many messages of which lanes.
    pub lanes: Vec<ReclaimedLane>,
    /// End of the next lease; `None` when nothing is leased.
    pub next_lease_end: Option<UnixMillis>,
}

/// Leases of a lane that ran out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReclaimedLane {
    /// Which lane.
    pub lane: Arc<Lane>,
    /// How many leases.
    pub expired: u64,
    /// Of these, how many messages went to the dead letters.
    pub died: u64,
}

impl Reclaimed {
    /// Counts one lease that ran out.
    pub fn add(&mut self, lane: &Arc<Lane>, died: bool) {
        let died = u64::from(died);
        match self.lanes.iter_mut().find(|known| known.lane.id == lane.id) {
            Some(known) => {
                known.expired += 1;
                known.died += died;
            }
            None => self.lanes.push(ReclaimedLane { lane: Arc::clone(lane), expired: 1, died }),
        }
    }
}

/// What becomes of messages whose lease ended without an ack, by lane. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Rules(Option<Arc<HashMap<LaneId, Redelivery>>>);

impl Rules {
    /// Rules of some lanes; all others have none.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = (LaneId, Redelivery)>) -> Self {
        let rules: HashMap<_, _> = rules.into_iter().filter(|(_, rule)| *rule != Redelivery::default()).collect();
        Self(Some(rules).filter(|rules| !rules.is_empty()).map(Arc::new))
    }

    /// The rule of a lane; without one messages come back at once, for ever.
    #[must_use]
    pub fn of(&self, lane: LaneId) -> Redelivery {
        self.0.as_ref().and_then(|rules| rules.get(&lane)).copied().unwrap_or_default()
    }
}

/// What an operator does to messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A move of the state machine: [`Move::Cancel`], [`Move::Requeue`] or [`Move::Resume`]. Requeue and resume set `next_run_at` to
    /// now, the attempt count to zero and forget the dead reason.
    Move(Move),
    /// Remove for good.
    Delete,
}

/// A change by an operator.
#[derive(Clone, Debug)]
pub struct Transition {
    /// Which messages.
    pub ids: Vec<EnvelopeId>,
    /// What happens to them.
    pub step: Step,
    /// Only those in one of these states; empty for any the step allows.
    pub only: Vec<State>,
    /// The present.
    pub now: UnixMillis,
}

/// What a [`Transition`] did.
#[derive(Clone, Debug, Default)]
pub struct Transitioned {
    /// The messages that changed.
    pub changed: Vec<EnvelopeId>,
}

/// What to remove.
#[derive(Clone, Copy, Debug)]
pub struct Prune {
    /// What to keep.
    pub retentions: Retentions,
    /// At most this many rows of each kind in one transaction.
    pub max_rows: u32,
    /// The present.
    pub now: UnixMillis,
}

/// What a [`Prune`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Queued messages.
    pub queued: u64,
    /// Delivered messages.
    pub delivered: u64,
    /// Dead letters.
    pub dead: u64,
    /// Attempts.
    pub attempts: u64,
    /// Whether there is more to remove.
    pub more: bool,
}
