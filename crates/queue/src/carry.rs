//! Calls that are carried through even when their caller goes away.
//!
//! A future that is dropped half-way is finished by a tracked task: a lease under way must come to an end to be given back, and an ended
//! lease must be remembered, whoever has hung up meanwhile.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// Tasks of a queue; `close` of the queue waits for them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
}

impl Tasks {
    /// Runs a future whose outcome nobody waits for. Without a runtime it is dropped: the process is about to end.
    pub(crate) fn spawn(&self, handle: Option<&Handle>, future: impl Future<Output = ()> + Send + 'static) {
        let current = if handle.is_none() { Handle::try_current().ok() } else { None };
        if let Some(handle) = handle.or(current.as_ref()) {
            self.tracker.spawn_on(future, handle);
        }
    }

    /// Wraps a future so that it is finished in any case.
    pub(crate) fn carry<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Carried<T> {
        Carried { future: Some(Box::pin(future)), tasks: self.clone(), handle: Handle::try_current().ok() }
    }

    /// Waits until all tasks have ended.
    pub(crate) async fn finish(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// A future that goes on after it is dropped.
pub(crate) struct Carried<T: Send + 'static> {
    future: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    tasks: Tasks,
    handle: Option<Handle>,
}

impl<T: Send + 'static> fmt::Debug for Carried<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried").field("under_way", &self.future.is_some()).finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Future for Carried<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.future else { return Poll::Pending };
        let value = ready!(future.as_mut().poll(context));
        self.future = None;
        Poll::Ready(value)
    }
}

impl<T: Send + 'static> Drop for Carried<T> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            self.tasks.spawn(self.handle.as_ref(), async move { drop(future.await) });
        }
    }
}
