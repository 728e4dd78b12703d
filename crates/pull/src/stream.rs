//! Server-sent events: messages as they come, each leased, with comments in quiet times.
//!
//! A task leases and sends into a channel of one frame, so a slow reader holds at most one batch; when the reader goes away, the batch
//! that was not sent is given back. Streams end when the process stops, when another configuration takes over and when their time is up.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hookaido_http::{Body, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use http_body::Frame;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::encode;
use crate::ops::Wish;
use crate::table::{Endpoint, Table};

/// Time between two comments where the configuration names none.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Opens a stream.
pub(crate) fn open(table: &Arc<Table>, endpoint: &Arc<Endpoint>, wish: Wish) -> Response {
    let (sender, frames) = mpsc::channel(1);
    let feed = feed(Arc::clone(table), Arc::clone(endpoint), wish, sender);
    let mut response = Response::new(Body::stream(Events { frames, feed: Some(Box::pin(feed)) }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Counts an open stream for as long as it is there.
struct Open(Arc<Endpoint>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.sse_closed();
    }
}

/// Leases and sends until somebody has enough.
async fn feed(table: Arc<Table>, endpoint: Arc<Endpoint>, wish: Wish, frames: mpsc::Sender<Bytes>) {
    endpoint.metrics.sse_opened();
    let _open = Open(Arc::clone(&endpoint));
    let keepalive = table.limits.sse_keepalive.filter(|every| !every.is_zero()).unwrap_or(KEEPALIVE);
    let end = table.limits.sse_max_connection.filter(|most| !most.is_zero()).map(|most| Instant::now() + most);
    let mut wish = wish.within(&table.limits, endpoint.lane.id);
    loop {
        // Room first: what is leased must be sendable at once.
        let room = tokio::select! {
            biased;
            () = endpoint.revoked.cancelled() => return,
            room = frames.reserve() => room,
        };
        let Ok(room) = room else { return };
        let asked = Instant::now();
        wish.max_wait = end.map_or(keepalive, |end| end.saturating_duration_since(asked).min(keepalive));
        if wish.max_wait.is_zero() {
            return;
        }
        match table.lease(&endpoint, wish, u64::MAX).await {
            Ok(messages) if messages.envelopes().is_empty() => {
                // Nothing before the time is over: the endpoint or the process is about to go.
                if asked.elapsed() < wish.max_wait {
                    return;
                }
                room.send(Bytes::from_static(b": keepalive\n\n"));
            }
            Ok(messages) => {
                room.send(encode::events(messages.envelopes()).into());
                messages.hand_over_streamed();
            }
            Err(error) => {
                let detail = error.problem().detail.replace(['\r', '\n'], " ");
                room.send(format!("event: error\ndata: {detail}\n\n").into());
                return;
            }
        }
    }
}

/// The body: runs the feed while it is being read.
struct Events {
    frames: mpsc::Receiver<Bytes>,
    feed: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let done = self.feed.as_mut().is_some_and(|feed| feed.as_mut().poll(context).is_ready());
        if done {
            self.feed = None;
        }
        self.frames.poll_recv(context).map(|frame| frame.map(|bytes| Ok(Frame::data(bytes))))
    }
}
