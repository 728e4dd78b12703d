//! An operation of the store whose caller may go away.
//!
//! Dropping a [`StoreFuture`] undoes nothing, so what must happen with its answer happens in a task of its own when the caller is
//! gone. As long as the caller stays, nothing is spawned.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::store::{StoreError, StoreFuture};

/// What is left to do.
pub(super) type Rest = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A pending operation and what becomes of its answer when nobody waits for it any more.
pub(super) struct Carried<T: Send + 'static, F: FnOnce(Result<T, StoreError>) -> Option<Rest> + Send + 'static> {
    pending: Option<(StoreFuture<T>, F)>,
    tracker: TaskTracker,
}

impl<T: Send + 'static, F: FnOnce(Result<T, StoreError>) -> Option<Rest> + Send + 'static> Carried<T, F> {
    /// `abandoned` is called with the answer only if this future is dropped before it is ready.
    pub(super) fn new(tracker: &TaskTracker, operation: StoreFuture<T>, abandoned: F) -> Self {
        Self { pending: Some((operation, abandoned)), tracker: tracker.clone() }
    }
}

impl<T: Send + 'static, F: FnOnce(Result<T, StoreError>) -> Option<Rest> + Send + Unpin + 'static> Future
    for Carried<T, F>
{
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((operation, _)) = &mut self.pending else { return Poll::Pending };
        let answer = std::task::ready!(operation.as_mut().poll(cx));
        self.pending = None;
        Poll::Ready(answer)
    }
}

impl<T: Send + 'static, F: FnOnce(Result<T, StoreError>) -> Option<Rest> + Send + 'static> Drop for Carried<T, F> {
    fn drop(&mut self) {
        let Some((operation, abandoned)) = self.pending.take() else { return };
        spawn(&self.tracker, async move {
            if let Some(rest) = abandoned(operation.await) {
                rest.await;
            }
        });
    }
}

/// Spawns from a destructor. Outside a runtime, or when it is shutting down, nothing more happens: leases run out by themselves.
pub(super) fn spawn(tracker: &TaskTracker, rest: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        tracker.spawn_on(rest, &runtime);
    }
}
