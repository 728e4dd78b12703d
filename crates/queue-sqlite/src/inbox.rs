//! Operations on their way to the writer.
//!
//! Two lines: one for new messages, one for everything else, which goes first so that workers can free room under overload; new
//! messages keep a share of every batch. Both are bounded by number and by bytes of content.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hookaido_model::{Lane, LeaseId, UnixMillis};
use hookaido_queue::store::{
    Enqueue, Enqueued, ExtendBatch, Lease, LeaseLost, Leased, NewMessage, Prune, Pruned, Reclaim, Reclaimed, Settle,
    SettleBatch, Settled, Settlement, StoreError, Transition, Transitioned,
};
use hookaido_telemetry::{StoreMetrics, StoreOp};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::SqliteOptions;
use crate::lanes::Pair;

/// Operations in one transaction, at most.
const BATCH_OPERATIONS: usize = 512;
/// Of these, operations other than new messages, at most, while new messages wait too.
const BATCH_FIRST: usize = 384;
/// Bytes of content in one transaction; the operation that passes this is the last of its batch.
const BATCH_BYTES: usize = 4 << 20;

/// A question, its answer once there is one, and who waits for it.
#[derive(Debug)]
pub(crate) struct Job<I, O> {
    pub(crate) input: I,
    pub(crate) outcome: Option<Result<O, StoreError>>,
    pub(crate) reply: oneshot::Sender<Result<O, StoreError>>,
}

/// What an enqueue did.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) done: Enqueued,
    /// What was stored, for the caller to drop: memory is given back more cheaply where it was taken.
    pub(crate) spent: Vec<NewMessage>,
}

/// Outcomes of a batch of settles.
pub(crate) type SettleOutcomes = Vec<Result<Settled, LeaseLost>>;
/// Outcomes of a batch of extensions.
pub(crate) type ExtendOutcomes = Vec<Result<UnixMillis, LeaseLost>>;

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Op {
    Enqueue(Job<Enqueue, Stored>),
    Lease(Job<Lease, Leased>),
    Settle(Job<SettleBatch, SettleOutcomes>),
    Extend(Job<ExtendBatch, ExtendOutcomes>),
    Reclaim(Job<Reclaim, Reclaimed>),
    Transition(Job<Transition, Transitioned>),
    Prune(Job<Prune, Pruned>),
    Lanes(Job<Vec<Pair>, Vec<Arc<Lane>>>),
    /// Leases whose taker went away.
    Release(Vec<LeaseId>),
    Maintain(Job<(), ()>),
    Close(Job<(), ()>),
    /// Writes a row and then fails, to show that neither harms its batch.
    #[cfg(test)]
    Poison(Job<(), ()>),
}

impl Op {
    /// Whether a power cut after the answer must not undo it. What only concerns leases may be undone: it is merely delivered again.
    pub(crate) fn is_durable(&self) -> bool {
        match self {
            Self::Lease(_) | Self::Extend(_) | Self::Reclaim(_) | Self::Release(_) => false,
            Self::Settle(job) => {
                let counts = |one: &Settle| one.settlement != Settlement::Release;
                !job.input.attempts.is_empty() || job.input.settles.iter().any(counts)
            }
            _ => true,
        }
    }

    /// Counts what was done, once it is committed.
    pub(crate) fn count(&self, metrics: &StoreMetrics) {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        match self {
            Self::Enqueue(Job { outcome: Some(Ok(Stored { done, .. })), .. }) => {
                metrics.count(StoreOp::Enqueue, number(done.ids.len()));
                if done.dropped > 0 {
                    metrics.count(StoreOp::Evict, done.dropped);
                }
            }
            Self::Enqueue(Job { outcome: Some(Err(StoreError::Full)), .. }) => metrics.count(StoreOp::EnqueueReject, 1),
            Self::Settle(Job { outcome: Some(Ok(done)), .. }) => {
                metrics.count(StoreOp::Settle, number(done.iter().filter(|one| one.is_ok()).count()));
            }
            Self::Prune(Job { outcome: Some(Ok(done)), .. }) => {
                metrics.count(StoreOp::Prune, done.queued + done.delivered + done.dead + done.attempts);
            }
            _ => {}
        }
    }

    /// Tells the caller that nothing was done.
    pub(crate) fn fail(self, error: &StoreError) {
        fn send<I, O>(job: Job<I, O>, error: &StoreError) {
            let _caller_left = job.reply.send(Err(error.clone()));
        }
        match self {
            Self::Enqueue(job) => send(job, error),
            Self::Lease(job) => send(job, error),
            Self::Settle(job) => send(job, error),
            Self::Extend(job) => send(job, error),
            Self::Reclaim(job) => send(job, error),
            Self::Transition(job) => send(job, error),
            Self::Prune(job) => send(job, error),
            Self::Lanes(job) => send(job, error),
            Self::Maintain(job) | Self::Close(job) => send(job, error),
            // They run out by themselves.
            Self::Release(_) => {}
            #[cfg(test)]
            Self::Poison(job) => send(job, error),
        }
    }

    /// Tells the caller what was done. Gives back the leases of a caller who is gone.
    pub(crate) fn answer(self) -> Vec<LeaseId> {
        fn send<I, O>(job: Job<I, O>) -> Option<O> {
            job.reply.send(job.outcome?).err()?.ok()
        }
        match self {
            Self::Lease(job) => return send(job).map_or_else(Vec::new, |leased| leases(&leased)),
            Self::Enqueue(mut job) => {
                if let Some(Ok(stored)) = &mut job.outcome {
                    stored.spent = std::mem::take(&mut job.input.messages);
                }
                drop(send(job));
            }
            Self::Settle(job) => drop(send(job)),
            Self::Extend(job) => drop(send(job)),
            Self::Reclaim(job) => drop(send(job)),
            Self::Transition(job) => drop(send(job)),
            Self::Prune(job) => drop(send(job)),
            Self::Lanes(job) => drop(send(job)),
            Self::Maintain(job) | Self::Close(job) => drop(job.reply.send(Ok(()))),
            Self::Release(_) => {}
            #[cfg(test)]
            Self::Poison(job) => drop(send(job)),
        }
        Vec::new()
    }
}

/// What somebody holds who was given this.
pub(crate) fn leases(leased: &Leased) -> Vec<LeaseId> {
    leased.envelopes.iter().filter_map(|envelope| envelope.lease).collect()
}

/// The two lines.
#[derive(Debug)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    max_waiting: usize,
    max_waiting_bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    first: VecDeque<Op>,
    enqueues: VecDeque<(usize, Op)>,
    bytes: usize,
    closed: bool,
    writer_sleeps: bool,
}

/// What the writer got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// At least one operation.
    Batch,
    /// None within the time.
    Nothing,
    /// None, and none will come.
    Closed,
}

impl Inbox {
    pub(crate) fn new(options: &SqliteOptions) -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            max_waiting: options.max_waiting,
            max_waiting_bytes: options.max_waiting_bytes,
        }
    }

    /// Puts an operation into its line.
    pub(crate) fn push(&self, op: Op) -> Result<(), StoreError> {
        let bytes = if let Op::Enqueue(job) = &op { content_bytes(&job.input) } else { 0 };
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(closed());
        }
        match &op {
            Op::Enqueue(_) => {
                let full = waiting.enqueues.len() >= self.max_waiting
                    || (waiting.bytes > 0 && waiting.bytes.saturating_add(bytes) > self.max_waiting_bytes);
                if full {
                    return Err(StoreError::Unavailable(Arc::from("too many messages wait to be written")));
                }
                waiting.bytes = waiting.bytes.saturating_add(bytes);
                waiting.enqueues.push_back((bytes, op));
            }
            Op::Lease(_) | Op::Settle(_) | Op::Extend(_) if waiting.first.len() >= self.max_waiting => {
                return Err(StoreError::Unavailable(Arc::from("too many operations wait to be written")));
            }
            _ => waiting.first.push_back(op),
        }
        let wake = std::mem::take(&mut waiting.writer_sleeps);
        drop(waiting);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Moves what fits into one transaction to `batch`; waits up to `patience` for the first.
    pub(crate) fn take(&self, batch: &mut Vec<Op>, patience: Duration) -> Taken {
        let mut waiting = self.waiting.lock();
        if waiting.is_empty() && !waiting.closed && !patience.is_zero() {
            waiting.writer_sleeps = true;
            self.arrived.wait_for(&mut waiting, patience);
            waiting.writer_sleeps = false;
        }
        if waiting.is_empty() {
            return if waiting.closed { Taken::Closed } else { Taken::Nothing };
        }
        let first = if waiting.enqueues.is_empty() { BATCH_OPERATIONS } else { BATCH_FIRST };
        let first = first.min(waiting.first.len());
        batch.extend(waiting.first.drain(..first));
        let mut bytes = 0;
        let mut new = 0;
        while bytes < BATCH_BYTES && batch.len() < BATCH_OPERATIONS {
            let Some((size, op)) = waiting.enqueues.pop_front() else { break };
            bytes += size;
            waiting.bytes = waiting.bytes.saturating_sub(size);
            batch.push(op);
            new += 1;
        }
        drop(waiting);
        // Places follow the time of receipt: in this order rows are appended to their trees rather than put between others.
        let others = batch.len() - new;
        if let Some(new) = batch.get_mut(others..) {
            new.sort_by_key(received_at);
        }
        Taken::Batch
    }

    /// Whether anything waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.lock().is_empty()
    }

    /// Refuses everything from now on. What waits already is still done.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.arrived.notify_one();
    }
}

impl Inbox {
    /// Refuses everything and lets go of whoever waits.
    pub(crate) fn abandon(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        let dropped = (std::mem::take(&mut waiting.first), std::mem::take(&mut waiting.enqueues));
        drop(waiting);
        drop(dropped);
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.enqueues.is_empty()
    }
}

/// The answer of a store that was closed.
pub(crate) fn closed() -> StoreError {
    StoreError::Unavailable(Arc::from("the queue is closed"))
}

fn received_at(op: &Op) -> Option<UnixMillis> {
    let Op::Enqueue(job) = op else { return None };
    job.input.messages.first().map(|message| message.received_at)
}

fn content_bytes(op: &Enqueue) -> usize {
    op.messages.iter().map(|message| crate::content::size(&message.content)).sum()
}
