//! What waits for the writer: two bounded lines, one for new messages and one for everything that frees or moves messages.
//!
//! The writer takes from the second line first, so that workers go on under a flood, but always leaves the first a share.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::ops::Op;

/// Most operations of one transaction.
const BATCH_OPS: usize = 512;
/// Most of them from the line that goes first, while new messages wait too.
const FIRST_LINE_SHARE: usize = 384;
/// Most bytes of one transaction, about.
const BATCH_BYTES: u64 = 8 << 20;

#[derive(Debug)]
pub(crate) struct Mailbox {
    lines: Mutex<Lines>,
    arrived: Condvar,
    max_ops: usize,
    max_bytes: u64,
}

#[derive(Debug, Default)]
struct Lines {
    first: VecDeque<Op>,
    enqueues: VecDeque<Op>,
    bytes: u64,
    closed: bool,
    writer_sleeps: bool,
}

/// Why an operation was not taken. Its answer is gone with it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NotTaken {
    /// Too much waits already.
    Full,
    /// The store is closed.
    Closed,
}

impl Mailbox {
    pub(crate) fn new(max_ops: usize, max_bytes: u64) -> Self {
        Self { lines: Mutex::default(), arrived: Condvar::new(), max_ops, max_bytes }
    }

    /// Puts an operation in line. Never waits.
    pub(crate) fn put(&self, op: Op) -> Result<(), NotTaken> {
        let bytes = op.bytes();
        let mut lines = self.lines.lock();
        if lines.closed {
            return Err(NotTaken::Closed);
        }
        // Only new messages are held off; what frees messages has a line of its own with twice the room.
        let full = if op.is_enqueue() {
            lines.enqueues.len() >= self.max_ops || lines.bytes.saturating_add(bytes) > self.max_bytes.max(bytes)
        } else {
            lines.first.len() >= self.max_ops * 2 && !matches!(op, Op::Close(_) | Op::Release(..))
        };
        if full {
            return Err(NotTaken::Full);
        }
        if op.is_enqueue() {
            lines.bytes += bytes;
            lines.enqueues.push_back(op);
        } else {
            lines.first.push_back(op);
        }
        if std::mem::take(&mut lines.writer_sleeps) {
            drop(lines);
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits up to `patience` for operations and moves a batch of them into `batch`.
    pub(crate) fn take(&self, batch: &mut Vec<Op>, patience: Duration) {
        let mut lines = self.lines.lock();
        if lines.first.is_empty() && lines.enqueues.is_empty() {
            lines.writer_sleeps = true;
            self.arrived.wait_for(&mut lines, patience);
            lines.writer_sleeps = false;
        }
        let share = if lines.enqueues.is_empty() { BATCH_OPS } else { FIRST_LINE_SHARE };
        let first = lines.first.len().min(share);
        batch.extend(lines.first.drain(..first));
        let mut bytes = 0;
        while batch.len() < BATCH_OPS && bytes < BATCH_BYTES {
            let Some(op) = lines.enqueues.pop_front() else { break };
            bytes += op.bytes();
            batch.push(op);
        }
        lines.bytes = lines.bytes.saturating_sub(bytes);
    }

    /// Takes nothing more, and hands over what waits.
    pub(crate) fn close(&self) -> Vec<Op> {
        let mut lines = self.lines.lock();
        lines.closed = true;
        let Lines { first, enqueues, .. } = &mut *lines;
        first.drain(..).chain(enqueues.drain(..)).collect()
    }
}
