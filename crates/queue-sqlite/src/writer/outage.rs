//! A disk that takes no writes: what is still tried meanwhile, and how the end of it is noticed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hookaido_queue::store::StoreError;
use rusqlite::Connection;

use crate::failure::reason;
use crate::ops::Op;

/// Bytes that a probe writes: more than the slack that a full file system may still have for small writes.
const PROBE_BYTES: i64 = 256 * 1024;

/// Whether writes fail at present.
#[derive(Debug)]
pub(crate) struct Outage {
    every: Duration,
    on: Option<(Arc<str>, Instant)>,
}

impl Outage {
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, on: None }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.is_some()
    }

    pub(crate) fn every(&self) -> Duration {
        self.every
    }

    /// Notes a failure; true when it is the first of an outage.
    pub(crate) fn begin(&mut self, error: &rusqlite::Error) -> bool {
        let first = self.on.is_none();
        self.on = Some((reason(error), Instant::now()));
        first
    }

    /// Notes that a write worked; true when that ends an outage.
    pub(crate) fn end(&mut self) -> bool {
        self.on.take().is_some()
    }

    pub(crate) fn reason(&self) -> Arc<str> {
        self.on.as_ref().map_or_else(|| "writes fail".into(), |(reason, _)| Arc::clone(reason))
    }

    /// Whether it is time to try again.
    pub(crate) fn is_due(&mut self) -> bool {
        let Some((_, last)) = &mut self.on else { return false };
        if last.elapsed() < self.every {
            return false;
        }
        *last = Instant::now();
        true
    }

    /// During an outage new messages are refused at once; what may free space is still tried.
    pub(crate) fn hold_off(&self, batch: &mut Vec<Op>) {
        let Some((reason, _)) = &self.on else { return };
        let (refused, tried): (Vec<Op>, Vec<Op>) = batch.drain(..).partition(Op::is_enqueue);
        batch.extend(tried);
        for op in refused {
            op.fail(StoreError::Unavailable(Arc::clone(reason)));
        }
    }
}

/// Writes and removes a filler, each with a commit of its own.
pub(crate) fn probe(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    let write = connection
        .execute("INSERT INTO probe (filler) VALUES (zeroblob(?1))", [PROBE_BYTES])
        .and_then(|_| connection.execute("DELETE FROM probe", []));
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    write.map(drop)
}
