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

use crate::ops::Wish;
use crate::request::{Span, parse_span};
use crate::table::{Endpoint, Table};
use crate::{PullError, encode};

/// Time between two comments where the configuration names none.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Opens a stream.
pub(crate) fn open(table: &Arc<Table>, endpoint: &Arc<Endpoint>, query: Option<&str>) -> Result<Response, PullError> {
    let wish = wish(query.unwrap_or_default())?;
    let (sender, frames) = mpsc::channel(1);
    let feed = feed(Arc::clone(table), Arc::clone(endpoint), wish, sender);
    let mut response = Response::new(Body::stream(Events { frames, feed: Some(Box::pin(feed)) }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// `batch` and `lease_ttl`; others are passed over.
fn wish(query: &str) -> Result<Wish, PullError> {
    let mut wish = Wish::default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "batch" if !value.is_empty() => {
                let batch = value.parse().ok().filter(|batch: &i64| *batch > 0);
                let wrong = || PullError::Invalid("batch must be a whole number above zero".to_owned());
                wish.batch = Some(batch.ok_or_else(wrong)?);
            }
            "lease_ttl" if !value.is_empty() => {
                let wrong = || PullError::Invalid("lease_ttl must be a duration above zero, such as 30s".to_owned());
                match parse_span(value) {
                    Some(Span::Forward(ttl)) if !ttl.is_zero() => wish.lease_ttl = Some(ttl),
                    _ => return Err(wrong()),
                }
            }
            _ => {}
        }
    }
    Ok(wish)
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
    let open = Open(Arc::clone(&endpoint));
    let keepalive = table.limits.sse_keepalive.filter(|every| !every.is_zero()).unwrap_or(KEEPALIVE);
    let end = table.limits.sse_max_connection.filter(|most| !most.is_zero()).map(|most| Instant::now() + most);
    loop {
        // Room first: what is leased must be sendable at once.
        let room = tokio::select! {
            room = frames.reserve() => room,
            () = endpoint.revoked.cancelled() => break,
        };
        let Ok(room) = room else { break };
        let left = end.map_or(keepalive, |end| end.saturating_duration_since(Instant::now()).min(keepalive));
        if left.is_zero() {
            break;
        }
        let mut wish = wish.within(&table.limits, endpoint.lane.id);
        wish.max_wait = left;
        let leased = tokio::select! {
            biased;
            () = endpoint.revoked.cancelled() => break,
            leased = table.queue.lease(wish) => leased,
        };
        match leased {
            Ok(batch) if batch.is_empty() => room.send(Bytes::from_static(b": keepalive\n\n")),
            Ok(batch) => {
                let mut out = Vec::new();
                let sent = batch.envelopes().len() as u64;
                batch.envelopes().iter().for_each(|envelope| encode::event(&mut out, envelope));
                room.send(out.into());
                let _now_the_workers = batch.keep();
                endpoint.metrics.sse_sent(sent);
            }
            Err(error) => {
                let problem = PullError::Store(error).problem();
                let data = serde_json::json!({ "code": problem.code, "detail": problem.detail });
                room.send(format!("event: error\ndata: {data}\n\n").into());
                break;
            }
        }
    }
    drop(open);
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
