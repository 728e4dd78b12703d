//! Sits between the socket and hyper and reads along.
//!
//! hyper hides some things from a service that must not be served (a length beside chunks, a coding it does not know), drops what stands
//! behind a `#` in a target, waits for ever for a slow reader, and resets a connection whose peer is still sending. All of that is dealt
//! with here, below it. What is refused is
//! cut off in the byte stream and replaced by the end of a request head with [`MARKER`] in it; the service then answers with
//! [`ConnState::refusal`] and closes, in its turn after requests that came before on the same connection.

mod scan;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use self::scan::{HASH, Scan, Seen};
use crate::conn::ConnState;
use crate::serve::ListenerLimits;

/// Header of a request that was cut off. Means something only while [`ConnState::refusal`] is set.
pub(crate) const MARKER: &str = "x-hookaido-refused";
/// Ends a head between two of its lines.
const END_OF_HEAD: &[u8] = b"x-hookaido-refused: 1\r\n\r\n";
/// Ends a head within its first line.
const END_OF_LINE_AND_HEAD: &[u8] = b" HTTP/1.1\r\nx-hookaido-refused: 1\r\n\r\n";

/// After an answer that leaves part of a request unread: how long and how much of it is thrown away, so that the answer arrives before
/// the connection is reset.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 1024 * 1024;

/// A socket, watched.
pub(crate) struct Guarded<S> {
    io: S,
    state: Arc<ConnState>,
    scan: Scan,
    /// What is left to hand out in place of what was read.
    instead: Bytes,
    cut: bool,
    idle: Idle,
    writing: Stall,
    closing: Closing,
}

/// Waiting for a request head.
struct Idle {
    limit: Duration,
    /// When the wait ends; `None` until it begins.
    deadline: Option<Instant>,
    /// Requests served when it began.
    served: u32,
    /// One timer for the life of the connection, moved only when it fires too early.
    timer: Option<Pin<Box<Sleep>>>,
}

/// Waiting for the peer to take bytes.
struct Stall {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

enum Closing {
    No,
    Linger { timer: Pin<Box<Sleep>>, left: usize },
    Done,
}

impl<S> Guarded<S> {
    pub(crate) fn new(io: S, state: Arc<ConnState>, limits: &ListenerLimits) -> Self {
        Self {
            io,
            state,
            scan: Scan::new(limits.max_target_bytes),
            instead: Bytes::new(),
            cut: false,
            idle: Idle { limit: limits.head_timeout, deadline: None, served: 0, timer: None },
            writing: Stall { limit: limits.write_timeout, timer: None },
            closing: Closing::No,
        }
    }

    /// Hands out as much of the replacement as fits.
    fn hand_out(&mut self, buf: &mut ReadBuf<'_>) {
        let now = self.instead.split_to(self.instead.len().min(buf.remaining()));
        buf.put_slice(&now);
    }

    /// What hyper gets in place of `read`, of which the scan has `seen` the start: a `#` in a target is escaped, and a refused request
    /// ends before what is wrong with it. One pass, at most three times as long.
    fn replace(&mut self, read: &[u8], mut seen: Seen) -> io::Result<Vec<u8>> {
        let mut rest = read;
        let mut instead = Vec::with_capacity(read.len() + END_OF_LINE_AND_HEAD.len());
        loop {
            match seen {
                Seen::Fine => {
                    instead.extend_from_slice(rest);
                    return Ok(instead);
                }
                Seen::Broken => return Err(io::Error::new(io::ErrorKind::InvalidData, "malformed chunks")),
                Seen::Refuse { at, status, in_first_line } => {
                    self.state.refuse(status);
                    self.cut = true;
                    instead.extend_from_slice(rest.get(..at).unwrap_or(rest));
                    instead.extend_from_slice(if in_first_line { END_OF_LINE_AND_HEAD } else { END_OF_HEAD });
                    return Ok(instead);
                }
                Seen::Hash { at } => {
                    instead.extend_from_slice(rest.get(..at).unwrap_or(rest));
                    instead.extend_from_slice(HASH);
                    rest = rest.get(at + 1..).unwrap_or_default();
                }
            }
            seen = self.scan.read(rest);
        }
    }

    /// Nothing arrived. Decides whether it has been too long.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.scan.in_head() {
            // The reader of the body decides how long that may take.
            return Poll::Pending;
        }
        let writing = self.writing.timer.is_some();
        self.idle.poll(cx, &self.state, writing).map(|()| Err(timed_out("no request head in time")))
    }
}

impl Idle {
    /// hyper may not read again when a request ends, so the timer also runs while one is being served, and then starts over: an idle
    /// connection is closed after once to twice the limit, a head that does not end after the limit.
    fn poll(&mut self, cx: &mut Context<'_>, state: &ConnState, writing: bool) -> Poll<()> {
        loop {
            let deadline = *self.deadline.get_or_insert_with(|| {
                self.served = state.served();
                Instant::now() + self.limit
            });
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() < deadline {
                timer.as_mut().reset(deadline);
            } else if writing || state.is_busy() || state.served() != self.served {
                self.deadline = None;
                timer.as_mut().reset(Instant::now() + self.limit);
            } else {
                return Poll::Ready(());
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.instead.is_empty() {
            this.hand_out(buf);
            return Poll::Ready(Ok(()));
        }
        if this.cut {
            // Whatever still comes is thrown away when the connection closes.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if Pin::new(&mut this.io).poll_read(cx, buf)?.is_pending() {
            return this.wait(cx);
        }
        let new = buf.filled().get(before..).unwrap_or_default();
        if this.scan.between_requests() {
            // A new head begins, so its time does.
            this.idle.deadline = None;
        }
        let seen = this.scan.read(new);
        if seen != Seen::Fine {
            this.instead = this.replace(new, seen)?.into();
            buf.set_filled(before);
            this.hand_out(buf);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Guarded<S> {
    /// Passes on what a write came to, and gives up on a peer that takes nothing for too long.
    fn wrote(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if result.is_ready() {
            self.writing.timer = None;
            return result;
        }
        let limit = self.writing.limit;
        let timer = self.writing.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(cx).map(|()| Err(timed_out("the peer takes no bytes")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.wrote(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write_vectored(cx, bytes);
        self.wrote(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.closing {
                Closing::Done => return Poll::Ready(Ok(())),
                Closing::No => {
                    ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
                    this.closing = if this.scan.between_requests() && !this.cut {
                        Closing::Done
                    } else {
                        Closing::Linger { timer: Box::pin(tokio::time::sleep(LINGER)), left: LINGER_BYTES }
                    };
                }
                Closing::Linger { timer, left } => {
                    if timer.as_mut().poll(cx).is_pending() {
                        let mut scratch = [0_u8; 4096];
                        let mut scratch = ReadBuf::new(&mut scratch);
                        ready!(Pin::new(&mut this.io).poll_read(cx, &mut scratch))?;
                        let got = scratch.filled().len();
                        *left = left.saturating_sub(got);
                        if got > 0 && *left > 0 {
                            continue;
                        }
                    }
                    this.closing = Closing::Done;
                }
            }
        }
    }
}

/// Whether a stream that comes in pieces of `size` is passed on to its end.
#[cfg(any(test, fuzzing))]
pub(crate) fn scanned(stream: &[u8], size: usize) -> bool {
    let mut scan = Scan::new(100);
    for mut piece in stream.chunks(size) {
        loop {
            match scan.read(piece) {
                Seen::Fine => break,
                Seen::Hash { at } => piece = piece.get(at + 1..).unwrap_or_default(),
                Seen::Refuse { .. } | Seen::Broken => return false,
            }
        }
    }
    true
}

fn timed_out(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}
