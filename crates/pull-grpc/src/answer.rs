//! The body of an answer, and the moment at which leased messages become the worker's.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hookaido_pull::ops::Dequeued;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tonic::Status;

/// Leased messages on their way through an answer. They go back into the queue if it is dropped before.
#[derive(Clone, Debug)]
pub(crate) struct Handover(Arc<Mutex<Option<Dequeued>>>);

impl Handover {
    pub(crate) fn of(dequeued: Dequeued) -> Self {
        Self(Arc::new(Mutex::new(Some(dequeued))))
    }

    /// Whoever asked is there and takes them.
    fn happened(&self) {
        if let Some(dequeued) = self.0.lock().take() {
            drop(dequeued.hand_over());
        }
    }
}

/// Hands over with the trailers. HTTP/2 asks for them once the message before them is on its way, for which the peer must have room: a
/// caller that stopped reading and then went away has been given nothing.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: tonic::body::Body,
    pub(crate) handover: Option<Handover>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.as_ref().is_some_and(|frame| frame.as_ref().is_ok_and(Frame::is_trailers))
            && let Some(handover) = self.handover.take()
        {
            handover.happened();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
