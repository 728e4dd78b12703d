//! Futures that wait for a thread of the store.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hookaido_queue::store::{Leased, StoreError};
use tokio::sync::oneshot;

use crate::inbox::{Op, closed, leases};
use crate::shared::Shared;

/// Waits for an answer; a thread that ended without one means that the store is closed.
#[derive(Debug)]
pub(crate) struct Answer<T>(pub(crate) oneshot::Receiver<Result<T, StoreError>>);

impl<T> Future for Answer<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or_else(|_ended| Err(closed())))
    }
}

/// Waits for leases. Dropped after the writer answered and before anybody looked, it gives them back.
#[derive(Debug)]
pub(crate) struct LeaseAnswer {
    pub(crate) answer: Answer<Leased>,
    pub(crate) shared: Arc<Shared>,
}

impl Future for LeaseAnswer {
    type Output = Result<Leased, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context)
    }
}

impl Drop for LeaseAnswer {
    fn drop(&mut self) {
        self.answer.0.close();
        if let Ok(Ok(leased)) = self.answer.0.try_recv() {
            let unwanted = leases(&leased);
            if !unwanted.is_empty() {
                let _closed = self.shared.inbox.push(Op::Release(unwanted));
            }
        }
    }
}
