//! What the writer is asked to do, each with the place where its answer goes.

use std::sync::Arc;

use hookaido_model::{Lane, UnixMillis};
use hookaido_queue::store::{
    Enqueue, Enqueued, ExtendBatch, Lease, LeaseLost, Leased, Prune, Pruned, Reclaimed, Settle, SettleBatch, Settled,
    StoreError, Transition, Transitioned,
};
use tokio::sync::oneshot;

/// Where an answer goes.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// One operation.
#[derive(Debug)]
pub(crate) enum Op {
    Lanes(Vec<(Arc<str>, Arc<str>)>, Answer<Vec<Arc<Lane>>>),
    Enqueue(Enqueue, Answer<Enqueued>),
    Lease(Lease, Answer<Leased>),
    Settle(SettleBatch, Answer<Vec<Result<Settled, LeaseLost>>>),
    /// Leases whose taker went away before the answer.
    Release(Vec<Settle>, UnixMillis),
    Extend(ExtendBatch, Answer<Vec<Result<UnixMillis, LeaseLost>>>),
    Reclaim(UnixMillis, u32, Answer<Reclaimed>),
    Transition(Transition, Answer<Transitioned>),
    Prune(Prune, Answer<Pruned>),
    Maintain(Answer<()>),
    Close(Answer<()>),
}

/// What an operation came to, kept until the commit.
#[derive(Debug)]
pub(crate) enum Done {
    Lanes(Vec<Arc<Lane>>),
    Enqueued(Enqueued),
    Leased(Leased),
    Settled(Vec<Result<Settled, LeaseLost>>),
    Released,
    Extended(Vec<Result<UnixMillis, LeaseLost>>),
    Reclaimed(Reclaimed),
    Transitioned(Transitioned),
    Pruned(Pruned),
    Maintained,
}

impl Op {
    /// Whether it only takes, gives back or prolongs leases: a power cut then merely delivers again, so its commit needs no fsync.
    pub(crate) fn may_be_forgotten(&self) -> bool {
        matches!(self, Self::Lease(..) | Self::Release(..) | Self::Extend(..) | Self::Reclaim(..))
    }

    /// Whether it waits in the lane of new messages.
    pub(crate) fn is_enqueue(&self) -> bool {
        matches!(self, Self::Enqueue(..))
    }

    /// Bytes it holds while waiting, about.
    pub(crate) fn bytes(&self) -> u64 {
        let bytes = match self {
            Self::Enqueue(op, _) => op
                .messages
                .iter()
                .map(|message| {
                    let content = &message.content;
                    content.payload.len() + content.headers.as_bytes().len() + content.trace.as_bytes().len() + 256
                })
                .sum(),
            Self::Settle(op, _) => (op.settles.len() + op.attempts.len()) * 128,
            _ => 128,
        };
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// Answers with an error.
    pub(crate) fn fail(self, error: StoreError) {
        match self {
            Self::Lanes(_, answer) => drop(answer.send(Err(error))),
            Self::Enqueue(_, answer) => drop(answer.send(Err(error))),
            Self::Lease(_, answer) => drop(answer.send(Err(error))),
            Self::Settle(_, answer) => drop(answer.send(Err(error))),
            Self::Extend(_, answer) => drop(answer.send(Err(error))),
            Self::Reclaim(_, _, answer) => drop(answer.send(Err(error))),
            Self::Transition(_, answer) => drop(answer.send(Err(error))),
            Self::Prune(_, answer) => drop(answer.send(Err(error))),
            Self::Maintain(answer) | Self::Close(answer) => drop(answer.send(Err(error))),
            Self::Release(..) => {}
        }
    }

    /// Answers with what was done. Gives back leases that nobody took.
    pub(crate) fn succeed(self, done: Done) -> Option<Leased> {
        match (self, done) {
            (Self::Lanes(_, answer), Done::Lanes(lanes)) => drop(answer.send(Ok(lanes))),
            (Self::Enqueue(_, answer), Done::Enqueued(enqueued)) => drop(answer.send(Ok(enqueued))),
            (Self::Lease(_, answer), Done::Leased(leased)) => {
                return answer
                    .send(Ok(leased))
                    .err()
                    .and_then(Result::ok)
                    .filter(|leased| !leased.envelopes.is_empty());
            }
            (Self::Settle(_, answer), Done::Settled(settled)) => drop(answer.send(Ok(settled))),
            (Self::Extend(_, answer), Done::Extended(extended)) => drop(answer.send(Ok(extended))),
            (Self::Reclaim(_, _, answer), Done::Reclaimed(reclaimed)) => drop(answer.send(Ok(reclaimed))),
            (Self::Transition(_, answer), Done::Transitioned(moved)) => drop(answer.send(Ok(moved))),
            (Self::Prune(_, answer), Done::Pruned(pruned)) => drop(answer.send(Ok(pruned))),
            (Self::Maintain(answer), Done::Maintained) => drop(answer.send(Ok(()))),
            _ => {}
        }
        None
    }
}
