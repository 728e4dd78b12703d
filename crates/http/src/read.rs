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

/// Most that a body is given before any of it has arrived. What else it says about its length is only believed once it is there.
const FIRST_CHUNK: usize = 4 * 1024;

/// Bytes that bodies under way may hold in all. Clones share it.
///
/// An eighth of it is kept for the first 4 KiB of each body, so that large bodies under way, however many, never keep a small one out.
#[derive(Clone, Debug)]
pub struct ByteBudget(Arc<Shares>);

#[derive(Debug)]
struct Shares {
    left: AtomicU64,
    /// Only for the start of a body.
    kept: u64,
}

impl ByteBudget {
    /// A budget of `bytes`.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(Shares { left: AtomicU64::new(bytes), kept: bytes / 8 }))
    }

    /// What is left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.0.left.load(Ordering::Relaxed)
    }

    /// Takes `bytes` where `floor` are left after that.
    fn take(&self, bytes: u64, floor: u64) -> Result<(), BodyError> {
        let less = |left: u64| left.checked_sub(bytes).filter(|left| *left >= floor);
        let taken = self.0.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.map(drop).map_err(|_left| BodyError::Overloaded)
    }
}

/// Gives back what a body held.
struct Held<'a> {
    budget: &'a ByteBudget,
    bytes: u64,
}

impl<'a> Held<'a> {
    /// For the start of a body.
    fn first(budget: &'a ByteBudget, bytes: usize) -> Result<Self, BodyError> {
        budget.take(bytes as u64, 0)?;
        Ok(Self { budget, bytes: bytes as u64 })
    }

    /// For more of it.
    fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        self.budget.take(bytes as u64, self.budget.0.kept)?;
        self.bytes += bytes as u64;
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.budget.0.left.fetch_add(self.bytes, Ordering::Relaxed);
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
/// bounds the time from the first wait to the last byte. `budget` bounds the memory of all bodies that are being read: what has arrived
/// counts, not what was announced. It is given back when this returns.
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
    let known = hint.exact().and_then(|len| usize::try_from(len).ok());
    let first = known.map_or(FIRST_CHUNK, |len| len.min(FIRST_CHUNK));
    let mut held = Held::first(budget, first)?;
    let mut buffer = BytesMut::with_capacity(first);
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
            // Grows by doubling, so that a body sent byte by byte is not copied over and over, and to no more than it may become.
            let most = known.unwrap_or(usize::MAX).max(len);
            let more = len.max(buffer.capacity() * 2).min(most) - buffer.capacity();
            held.grow(more)?;
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
