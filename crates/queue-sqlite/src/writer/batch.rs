//! One batch: apply, commit, make known, answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hookaido_model::{Lane, LaneId};
use hookaido_queue::store::StoreError;
use hookaido_telemetry::StoreOp;

use super::tx::{Fault, Tx};
use super::{Session, Writer, bundles, enqueue, idle, lease, prune, settle, transition};
use crate::fault;
use crate::inbox::{Job, Op};
use crate::lanes::Pair;

/// A sync above this is worth a transaction of its own for those who need not wait for it.
const SLOW_SYNC: Duration = Duration::from_micros(400);

/// Why a transaction was rolled back.
#[derive(Debug)]
struct Failed {
    /// The operation that was being applied; `None` for begin and commit.
    at: Option<usize>,
    error: rusqlite::Error,
}

impl Writer {
    /// Does all of `ops`; where a sync is slow, those that need none are answered before it.
    pub(super) fn batch(&mut self, session: &mut Session<'_>, ops: &mut Vec<Op>) {
        if let Some(Op::Close(job)) = ops.extract_if(.., |op| matches!(op, Op::Close(_))).next() {
            // The inbox takes nothing more; the session ends when it is empty.
            self.closing = Some(job);
        }
        if self.probe_at.is_none() && ops.iter().any(|op| matches!(op, Op::Enqueue(_))) {
            // Asked before every promise: a file that is no longer at its path is not found by the next start.
            self.in_place(session.conn);
        }
        self.refuse_new(ops);
        let chores: Vec<Op> = ops.extract_if(.., |op| matches!(op, Op::Maintain(_))).collect();
        if self.sync_takes > SLOW_SYNC && ops.iter().any(Op::is_durable) {
            let mut quick: Vec<Op> = ops.extract_if(.., |op| !op.is_durable()).collect();
            self.write(session, &mut quick);
        }
        self.write(session, ops);
        if !chores.is_empty() {
            self.maintain(session.conn);
            chores.into_iter().for_each(|op| drop(op.answer()));
        }
    }

    /// Does all of `ops` in one transaction.
    fn write(&mut self, session: &mut Session<'_>, ops: &mut Vec<Op>) {
        let mut may_start_over = true;
        // What failed by itself is answered at once and left out of the next try.
        while !ops.is_empty() {
            let begun = Instant::now();
            let Err(failed) = self.transaction(session, ops) else {
                self.publish(begun, ops);
                break;
            };
            self.roll_back(session);
            match failed.at {
                Some(at) if at < ops.len() && !fault::stops_writing(&failed.error) => {
                    tracing::error!(target: "hookaido", error = %failed.error, "queue_operation_failed");
                    self.shared.metrics.error(StoreOp::WriteTx, fault::kind(&failed.error));
                    ops.remove(at).fail(&fault::to_store_error(&failed.error));
                }
                _ => {
                    let full = matches!(fault::kind(&failed.error), hookaido_telemetry::ErrorKind::DiskFull);
                    let mut room = self.stop_writing(&failed.error);
                    if full && !room && std::mem::take(&mut may_start_over) {
                        // The log has a place already when it begins anew.
                        room = idle::start_over(session.conn, &self.shared.metrics).is_ok();
                    }
                    self.fail_all(&failed, ops, room);
                }
            }
        }
        self.answer(ops);
        self.changes.clear();
    }

    /// While writing does not work, new messages are answered at once; the rest is tried, because settling frees room.
    fn refuse_new(&self, ops: &mut Vec<Op>) {
        if self.probe_at.is_none() {
            return;
        }
        let error = self.unavailable();
        for op in ops.extract_if(.., |op| matches!(op, Op::Enqueue(_))) {
            op.fail(&error);
        }
    }

    fn transaction(&mut self, session: &mut Session<'_>, ops: &mut [Op]) -> Result<(), Failed> {
        self.changes.clear();
        let outside = |error| Failed { at: None, error };
        session.begin(ops).map_err(outside)?;
        let mut tx = Tx {
            sql: &mut session.sql,
            lanes: &self.lanes,
            places: &mut self.places,
            random: &mut self.random,
            kept: &mut self.kept,
            committed_depth: self.depth,
            next_attempt: self.next_attempt,
            changes: std::mem::take(&mut self.changes),
        };
        let mut failed = None;
        for (at, op) in ops.iter_mut().enumerate() {
            if let Err(error) = apply(&mut tx, op) {
                failed = Some(Failed { at: Some(at), error });
                break;
            }
        }
        let stored = if failed.is_none() { finish(&mut tx) } else { Ok(()) };
        self.changes = tx.changes;
        if let Some(failed) = failed {
            return Err(failed);
        }
        stored.map_err(outside)?;
        let begun = Instant::now();
        session.commit().map_err(outside)?;
        if session.full_sync {
            self.sync_takes = (self.sync_takes * 7 + begun.elapsed()) / 8;
        }
        Ok(())
    }

    fn roll_back(&mut self, session: &Session<'_>) {
        self.shared.metrics.count(StoreOp::TxRollback, 1);
        if !session.conn.is_autocommit()
            && let Err(error) = session.conn.execute_batch("ROLLBACK")
        {
            tracing::error!(target: "hookaido", error = %error, "queue_rollback_failed");
        }
        self.places.forget();
        self.kept.clear();
        self.changes.clear();
    }

    /// Nothing of the batch was stored. If there is `room` now, leaves in `ops` what is no new message.
    fn fail_all(&self, failed: &Failed, ops: &mut Vec<Op>, room: bool) {
        self.shared.metrics.error(StoreOp::TxCommit, fault::kind(&failed.error));
        let error = StoreError::Unavailable(fault::reason(&failed.error, &self.shared.file.path));
        for op in ops.extract_if(.., |op| !room || matches!(op, Op::Enqueue(_))) {
            op.fail(&error);
        }
    }

    /// The commit succeeded: memory follows.
    fn publish(&mut self, begun: Instant, ops: &[Op]) {
        for lane in self.changes.created.drain(..) {
            self.shared.lanes.add(lane, [0; 5]);
        }
        if self.lanes.len() < self.shared.lanes.len() {
            self.lanes = self.shared.lanes.all();
        }
        self.depth = self.depth.saturating_add_signed(self.changes.depth());
        self.next_attempt += self.changes.attempts;
        for (at, change) in self.changes.touched() {
            let Some(entry) = self.lanes.get(at) else { continue };
            if change.counts_change() {
                entry.set_counts(change.apply(entry.counts()), change.bundled(entry));
                entry.set_mark(change.mark(entry));
            }
            if let Some(seq) = change.lowest {
                entry.queued_at(seq);
            }
        }
        ops.iter().for_each(|op| op.count(&self.shared.metrics));
        let leases_only = ops.iter().all(|op| matches!(op, Op::Lease(_)));
        self.count_commit(begun, leases_only);
        if self.probe_at.is_some() && self.changes.depth() < 0 {
            // Room was made: the next probe need not wait.
            self.probe_at = Some(Instant::now());
        }
    }

    /// Answers the callers, then wakes whoever waits for what became possible.
    fn answer(&mut self, ops: &mut Vec<Op>) {
        for op in ops.drain(..) {
            let unwanted = op.answer();
            if !unwanted.is_empty() {
                let _closed = self.shared.inbox.push(Op::Release(unwanted));
            }
        }
        for (at, change) in self.changes.touched() {
            if let (Some(ready_at), Some(entry)) = (change.ready_at, self.lanes.get(at)) {
                self.shared.tell_ready(entry.lane.id, ready_at);
            }
        }
        if let Some(at) = self.changes.lease_end {
            self.shared.tell_lease_ends(at);
        }
    }
}

impl Session<'_> {
    /// Begins a transaction with the durability that its operations need: what only concerns leases may be lost in a power cut, which
    /// then merely delivers again, and need not wait for the disk.
    fn begin(&mut self, ops: &[Op]) -> rusqlite::Result<()> {
        self.set_sync(ops.iter().any(Op::is_durable))?;
        self.sql.begin.execute([]).map(|_| ())
    }

    /// Whether commits wait for the disk.
    pub(super) fn set_sync(&mut self, full: bool) -> rusqlite::Result<()> {
        if full != self.full_sync {
            let pragma = if full { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            self.conn.execute_batch(pragma)?;
            self.full_sync = full;
        }
        Ok(())
    }

    fn commit(&mut self) -> rusqlite::Result<()> {
        self.sql.commit.execute([]).map(|_| ())
    }
}

/// Does one operation and keeps its outcome. An error is one that the operation could not foresee.
fn apply(tx: &mut Tx<'_, '_>, op: &mut Op) -> rusqlite::Result<()> {
    match op {
        Op::Enqueue(job) => run(tx, job, enqueue::enqueue),
        Op::Lease(job) if job.reply.is_closed() => Ok(()),
        Op::Lease(job) => run(tx, job, lease::lease),
        Op::Settle(job) => run(tx, job, settle::settle),
        Op::Extend(job) => run(tx, job, lease::extend),
        Op::Reclaim(job) => run(tx, job, lease::reclaim),
        Op::Transition(job) => run(tx, job, transition::transition),
        Op::Prune(job) => run(tx, job, prune::prune),
        Op::Lanes(job) => run(tx, job, |tx, pairs| create_lanes(tx, pairs)),
        Op::Release(leases) => match settle::release(tx, leases) {
            Err(Fault::Sql(error)) => Err(error),
            Ok(()) | Err(Fault::Refused(_)) => Ok(()),
        },
        Op::Maintain(_) | Op::Close(_) => Ok(()),
        #[cfg(test)]
        Op::Poison(job) => run(tx, job, |tx, ()| {
            tx.sql.insert_lane.execute(("/poison", "written"))?;
            tx.sql.insert_lane.execute(("/poison", rusqlite::types::Null))?;
            Ok(())
        }),
    }
}

fn run<I, O>(
    tx: &mut Tx<'_, '_>,
    job: &mut Job<I, O>,
    work: impl FnOnce(&mut Tx<'_, '_>, &I) -> Result<O, Fault>,
) -> rusqlite::Result<()> {
    job.outcome = Some(match work(tx, &job.input) {
        Ok(done) => Ok(done),
        Err(Fault::Refused(error)) => Err(error),
        Err(Fault::Sql(error)) => return Err(error),
    });
    Ok(())
}

/// Writes what the operations left for the end.
pub(super) fn finish(tx: &mut Tx<'_, '_>) -> rusqlite::Result<()> {
    let written = bundles::write(tx).and_then(|()| tx.drop_released());
    match written {
        Ok(()) => store_tallies(tx),
        Err(Fault::Sql(error)) => Err(error),
        // Neither refuses anything; were it so, nothing must be committed.
        Err(Fault::Refused(error)) => Err(rusqlite::Error::ToSqlConversionFailure(error.into())),
    }
}

/// Writes the counts of every lane for which those in the file would not be true any more.
fn store_tallies(tx: &mut Tx<'_, '_>) -> rusqlite::Result<()> {
    let Tx { sql, lanes, changes, places, .. } = tx;
    let mut stored = Vec::new();
    for (at, change) in changes.touched().filter(|(_, change)| change.counts_change()) {
        let Some(entry) = lanes.get(at) else { continue };
        let Some(counts) = change.rows_to_store(entry) else { continue };
        let [queued, leased, delivered, dead, canceled] = counts.map(u64::cast_signed);
        let (bundled, to) = (change.bundled(entry).cast_signed(), places.top().0);
        sql.put_tally.execute((entry.lane.id.0, queued, leased, delivered, dead, canceled, bundled, to))?;
        stored.push(at);
    }
    stored.into_iter().for_each(|at| changes.counts_stored(at, places.top()));
    Ok(())
}

/// The lanes of the pairs; unknown ones are created.
pub(super) fn create_lanes(tx: &mut Tx<'_, '_>, pairs: &[Pair]) -> Result<Vec<Arc<Lane>>, Fault> {
    let mut lanes = Vec::with_capacity(pairs.len());
    for (route, target) in pairs {
        let same = |lane: &Lane| lane.route == *route && lane.target == *target;
        let known = tx.lanes.iter().map(|entry| entry.lane.as_ref()).chain(&tx.changes.created).find(|lane| same(lane));
        if let Some(lane) = known {
            lanes.push(Arc::new(lane.clone()));
            continue;
        }
        let id = tx.sql.insert_lane.insert((route.as_ref(), target.as_ref()))?;
        let id = u32::try_from(id).map_err(|_too_many| rusqlite::Error::IntegralValueOutOfRange(0, id))?;
        let lane = Lane { id: LaneId(id), route: Arc::clone(route), target: Arc::clone(target) };
        tx.changes.created.push(lane.clone());
        lanes.push(Arc::new(lane));
    }
    Ok(lanes)
}
