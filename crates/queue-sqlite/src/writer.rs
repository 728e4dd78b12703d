//! Writer thread: the only code that may change the queue file.
//!
//! Owns one connection and applies everything that waits in one transaction, so concurrent webhooks share an fsync and a lone one waits
//! for nobody. Never serves lists (see `read`); never decides policy (see `hookaido_queue`).

mod log;
mod outage;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hookaido_model::{Clock, Seq};
use hookaido_queue::store::{Leased, Observer, Settle, Settlement, StoreError};
use hookaido_telemetry::{StoreMetrics, StoreOp};
use parking_lot::RwLock;
use rusqlite::Connection;

use self::log::LogSize;
use self::outage::Outage;
use crate::checkpoint::Checkpointer;
use crate::counters::Counters;
use crate::failure::{Failure, is_outage, kind, told};
use crate::lock::LockFile;
use crate::mailbox::Mailbox;
use crate::ops::{Done, Op};
use crate::random::Random;
use crate::seqs::Seqs;
use crate::write::{Effects, Tx};

/// Longest sleep without anything to do.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) use self::log::watch_log;

/// Shared with the store's handle.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) mailbox: Mailbox,
    pub(crate) observer: RwLock<Option<Arc<dyn Observer>>>,
    pub(crate) health: RwLock<hookaido_queue::store::Health>,
    pub(crate) metrics: Arc<StoreMetrics>,
    pub(crate) clock: Arc<dyn Clock>,
}

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connection: Connection,
    pub(crate) counters: Counters,
    pub(crate) seqs: Seqs,
    pub(crate) random: Random,
    pub(crate) checkpointer: Checkpointer,
    pub(crate) probe_every: Duration,
    /// Held until the thread ends.
    pub(crate) _lock: LockFile,
}

/// State of the running thread.
struct Running {
    writer: Writer,
    effects: Effects,
    oldest_queued: Seq,
    /// Whether the connection syncs with every commit.
    full: bool,
    outage: Outage,
    log: LogSize,
}

impl Writer {
    /// Runs until the store is closed.
    pub(crate) fn run(self, log: LogSize) {
        let outage = Outage::new(self.probe_every);
        let mut running =
            Running { writer: self, effects: Effects::default(), oldest_queued: Seq(0), full: true, outage, log };
        let mut batch = Vec::new();
        loop {
            running.writer.shared.mailbox.take(&mut batch, running.patience());
            if batch.is_empty() {
                running.idle();
                continue;
            }
            let close = batch.iter().position(|op| matches!(op, Op::Close(_))).map(|at| batch.remove(at));
            running.work(&mut batch);
            if let Some(Op::Close(answer)) = close {
                running.close(&mut batch);
                drop(running);
                let _closer_left = answer.send(Ok(()));
                return;
            }
        }
    }
}

impl Running {
    fn patience(&self) -> Duration {
        if self.outage.is_on() { self.outage.every().min(PATIENCE) } else { PATIENCE }
    }

    /// Applies a batch and answers it.
    fn work(&mut self, batch: &mut Vec<Op>) {
        self.outage.hold_off(batch);
        if batch.is_empty() {
            self.probe_if_due();
            return;
        }
        match self.transact(batch) {
            Ok(outcomes) => self.answer(batch, outcomes),
            Err(error) if batch.len() > 1 && !is_outage(&error) => {
                // One of them is at fault: each gets a transaction of its own.
                for op in batch.drain(..) {
                    let mut single = vec![op];
                    match self.transact(&single) {
                        Ok(outcomes) => self.answer(&mut single, outcomes),
                        Err(error) => self.fail(&mut single, &error),
                    }
                }
            }
            Err(error) => self.fail(batch, &error),
        }
    }

    /// One transaction over all operations. After an error nothing of it is left, in the file or in memory.
    fn transact(&mut self, batch: &[Op]) -> rusqlite::Result<Vec<Result<Done, StoreError>>> {
        let begin = Instant::now();
        let oldest_queued = self.oldest_queued;
        let result = self.try_transact(batch);
        let metrics = &self.writer.shared.metrics;
        match &result {
            Ok(_) => {
                let op = if batch.iter().all(|op| matches!(op, Op::Lease(..))) {
                    StoreOp::DequeueTx
                } else {
                    StoreOp::WriteTx
                };
                metrics.operation(op, begin.elapsed());
                metrics.count(StoreOp::TxCommit, 1);
                self.writer.counters.publish();
            }
            Err(error) => {
                metrics.count(StoreOp::TxRollback, 1);
                metrics.error(StoreOp::WriteTx, kind(error));
                self.roll_back();
                self.oldest_queued = oldest_queued;
            }
        }
        result
    }

    fn try_transact(&mut self, batch: &[Op]) -> rusqlite::Result<Vec<Result<Done, StoreError>>> {
        self.sync_mode(!batch.iter().all(Op::may_be_forgotten))?;
        let Self { writer, effects, oldest_queued, .. } = self;
        let Writer { connection, counters, seqs, random, .. } = writer;
        effects.clear();
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut tx = Tx { connection, counters, seqs, random, effects, oldest_queued };
        for op in batch {
            match tx.apply(op) {
                Ok(done) => outcomes.push(Ok(done)),
                Err(Failure::Refused(error)) => outcomes.push(Err(error)),
                Err(Failure::Broken(error)) => return Err(error),
            }
        }
        counters.store(connection)?;
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(outcomes)
    }

    /// Whether commits sync: those that only move leases need not.
    fn sync_mode(&mut self, full: bool) -> rusqlite::Result<()> {
        if self.full != full {
            let sql = if full { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            self.writer.connection.prepare_cached(sql)?.execute([])?;
            self.full = full;
        }
        Ok(())
    }

    fn roll_back(&mut self) {
        if !self.writer.connection.is_autocommit()
            && let Err(error) = self.writer.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(target: "hookaido", err = %error, "queue_rollback_failed");
        }
        self.writer.counters.forget();
        self.effects.clear();
    }

    /// Answers a batch that was committed, wakes who waits for what it made possible, and copies the log where due.
    fn answer(&mut self, batch: &mut Vec<Op>, outcomes: Vec<Result<Done, StoreError>>) {
        let mut orphans = Vec::new();
        for (op, outcome) in batch.drain(..).zip(outcomes) {
            match outcome {
                Ok(done) => orphans.extend(op.succeed(done)),
                Err(error) => op.fail(error),
            }
        }
        self.notify();
        for leased in orphans {
            self.release(leased);
        }
        if self.outage.end() {
            self.report(hookaido_queue::store::Health::Writable);
        }
        self.writer.checkpointer.after_commit(&self.writer.connection, self.log.frames());
    }

    fn notify(&mut self) {
        let observer = self.writer.shared.observer.read();
        let Some(observer) = observer.as_ref() else { return };
        for (lane, at) in self.effects.ready.drain(..) {
            observer.ready(lane, at);
        }
        if let Some(at) = self.effects.lease_ends.take() {
            observer.lease_ends(at);
        }
    }

    /// Gives back leases that nobody took, in the next transaction.
    fn release(&self, leased: Leased) {
        let leases = leased.envelopes.iter().filter_map(|envelope| envelope.lease);
        let settles = leases.map(|lease| Settle { lease, scope: None, settlement: Settlement::Release }).collect();
        // A full line leaves them to run out.
        let _left_to_run_out = self.writer.shared.mailbox.put(Op::Release(settles, self.writer.shared.clock.now()));
    }

    fn fail(&mut self, batch: &mut Vec<Op>, error: &rusqlite::Error) {
        let told = told(error);
        if is_outage(error) && self.outage.begin(error) {
            let reason = self.outage.reason();
            tracing::error!(target: "hookaido", err = %error, reason = %reason, "queue_not_writable");
            self.report(hookaido_queue::store::Health::ReadOnly { reason });
        }
        for op in batch.drain(..) {
            op.fail(told.clone());
        }
    }

    fn report(&self, health: hookaido_queue::store::Health) {
        if health == hookaido_queue::store::Health::Writable {
            tracing::info!(target: "hookaido", "queue_writable_again");
        }
        health.clone_into(&mut self.writer.shared.health.write());
        if let Some(observer) = self.writer.shared.observer.read().as_ref() {
            observer.health(&health);
        }
    }

    fn probe_if_due(&mut self) {
        if self.outage.is_due() && outage::probe(&mut self.writer.connection).is_ok() && self.outage.end() {
            self.full = true;
            self.report(hookaido_queue::store::Health::Writable);
        }
    }

    /// Nothing has come for a while.
    fn idle(&mut self) {
        self.probe_if_due();
        if self.writer.checkpointer.when_idle(&self.writer.connection, self.log.frames()) {
            self.log.start_over();
            self.shrink();
        }
    }

    /// Gives free pages back to the file system, a slice at a time, when they are a large part of the file.
    fn shrink(&self) {
        let count = |pragma| self.writer.connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let (Ok(free), Ok(all)) = (count("freelist_count"), count("page_count")) else { return };
        if free > 4096 && free > all / 4 {
            let slice = format!("PRAGMA incremental_vacuum({})", (free / 2).min(16_384));
            if let Err(error) = self.writer.connection.execute_batch(&slice) {
                tracing::warn!(target: "hookaido", err = %error, "queue_shrink_failed");
            }
        }
    }

    /// Fails what still waits, copies the log back and closes the file.
    fn close(&mut self, batch: &mut Vec<Op>) {
        for op in batch.drain(..).chain(self.writer.shared.mailbox.close()) {
            op.fail(StoreError::Unavailable("the queue is closed".into()));
        }
        if let Err(error) = self.writer.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(target: "hookaido", err = %error, "checkpoint_failed");
        }
    }
}
