//! Reading the body of a request, within bounds.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use tokio::time::Sleep;

use crate::RequestBody;

/// First size of the buffer of a body whose length is unknown.
const FIRST_CHUNK: usize = 4 * 1024;

/// Bytes that bodies under way may hold in all. Clones share it.
#[derive(Clone, Debug)]
pub struct ByteBudget(Arc<AtomicU64>);

impl ByteBudget {
    /// A budget of `bytes`.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    /// What is left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> Result<(), BodyError> {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.map(drop).map_err(|_left| BodyError::Overloaded)
    }
}

/// Gives back what a body held.
struct Held<'a> {
    budget: &'a ByteBudget,
    bytes: u64,
}

impl Held<'_> {
    fn grow(&mut self, bytes: u64) -> Result<(), BodyError> {
        self.budget.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Longer than the limit. Answer 413; the listener closes the connection after it.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// Not complete in time. Answer 408.
    #[error("the body did not arrive in time")]
    TimedOut,
    /// Too many bodies are under way. Answer 503 with `Retry-After`.
    #[error("too many bodies are being received")]
    Overloaded,
    /// Malformed, or the peer went away. Answer 400.
    #[error("the body is malformed or incomplete")]
    Broken(#[source] hyper::Error),
}

/// Reads a whole body into one buffer of its own.
///
/// A `Content-Length` over `limit` is refused before anything is read, so a peer that waits for `100 Continue` is not invited. `deadline`
/// bounds the time from the first wait to the last byte. `budget` bounds the memory of all bodies that are being read; it is given back
/// when this returns.
///
/// # Errors
/// See [`BodyError`].
pub async fn read_body(
    body: RequestBody,
    limit: u64,
    deadline: Duration,
    budget: &ByteBudget,
) -> Result<Bytes, BodyError> {
    let hint = body.size_hint();
    if hint.lower() > limit {
        return Err(BodyError::TooLarge { limit });
    }
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let mut held = Held { budget, bytes: 0 };
    let known = hint.exact().and_then(|len| usize::try_from(len).ok());
    held.grow(known.map_or(FIRST_CHUNK, |len| len) as u64)?;
    let mut buffer = BytesMut::with_capacity(known.unwrap_or(FIRST_CHUNK));
    let mut body = pin!(body);
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    loop {
        let frame = std::future::poll_fn(|cx| poll_frame(body.as_mut(), &mut timer, deadline, cx)).await?;
        let Some(data) = frame else { return Ok(trimmed(buffer)) };
        let len = buffer.len() + data.len();
        if len as u64 > limit {
            return Err(BodyError::TooLarge { limit });
        }
        if len > buffer.capacity() {
            // Grows by doubling, so that a body sent byte by byte is not copied over and over.
            let more = len.max(buffer.capacity() * 2) - buffer.capacity();
            held.grow(more as u64)?;
            buffer.reserve(buffer.capacity() - buffer.len() + more);
        }
        buffer.extend_from_slice(&data);
    }
}

/// A body may be kept for long, so room that it does not need is given back.
fn trimmed(buffer: BytesMut) -> Bytes {
    let spare = buffer.capacity() - buffer.len();
    if spare > buffer.len() / 4 { Bytes::copy_from_slice(&buffer) } else { buffer.freeze() }
}

/// The next data frame. The timer exists from the first wait on: a body that came with its head needs none.
fn poll_frame(
    mut body: Pin<&mut RequestBody>,
    timer: &mut Option<Pin<Box<Sleep>>>,
    deadline: Duration,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, BodyError>> {
    loop {
        match body.as_mut().poll_frame(cx) {
            Poll::Ready(None) => return Poll::Ready(Ok(None)),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(BodyError::Broken(error))),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => return Poll::Ready(Ok(Some(data))),
                Err(_trailers) => {}
            },
            Poll::Pending => {
                let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(deadline)));
                return timer.as_mut().poll(cx).map(|()| Err(BodyError::TimedOut));
            }
        }
    }
}
