//! The operations inside a transaction. Each decides first and writes then, so that what it refuses has changed nothing.

mod attempts;
mod enqueue;
mod lease;
mod prune;
mod reclaim;
mod settle;
mod transition;

use std::sync::Arc;

use hookaido_model::{Lane, LaneId, Seq, UnixMillis};
use rusqlite::{Connection, params};

use crate::counters::Counters;
use crate::failure::Failure;
use crate::ops::{Done, Op};
use crate::random::Random;
use crate::seqs::Seqs;

/// The writer's view of the file while a transaction is open.
pub(crate) struct Tx<'w> {
    pub(crate) connection: &'w Connection,
    pub(crate) counters: &'w mut Counters,
    pub(crate) seqs: &'w mut Seqs,
    pub(crate) random: &'w mut Random,
    pub(crate) effects: &'w mut Effects,
    /// No message before this place is queued.
    pub(crate) oldest_queued: &'w mut Seq,
}

/// Whom to wake after the commit.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Lanes with the earliest time at which a message of theirs became ready.
    pub(crate) ready: Vec<(LaneId, UnixMillis)>,
    /// The earliest end of a lease that was given or moved.
    pub(crate) lease_ends: Option<UnixMillis>,
}

impl Effects {
    pub(crate) fn ready(&mut self, lane: LaneId, at: UnixMillis) {
        match self.ready.iter_mut().find(|(known, _)| *known == lane) {
            Some((_, earliest)) => *earliest = at.min(*earliest),
            None => self.ready.push((lane, at)),
        }
    }

    pub(crate) fn lease_ends(&mut self, at: UnixMillis) {
        self.lease_ends = Some(self.lease_ends.map_or(at, |known| known.min(at)));
    }

    pub(crate) fn clear(&mut self) {
        self.ready.clear();
        self.lease_ends = None;
    }
}

impl Tx<'_> {
    /// Applies one operation. The operation stays whole, so that it can be applied again after a roll-back.
    pub(crate) fn apply(&mut self, op: &Op) -> Result<Done, Failure> {
        match op {
            Op::Lanes(pairs, _) => self.lanes(pairs).map(Done::Lanes),
            Op::Enqueue(op, _) => self.enqueue(op).map(Done::Enqueued),
            Op::Lease(op, _) => self.lease(op).map(Done::Leased),
            Op::Settle(op, _) => self.settle(op).map(Done::Settled),
            Op::Release(settles, now) => self.release(settles, *now).map(|()| Done::Released),
            Op::Extend(op, _) => self.extend(op).map(Done::Extended),
            Op::Reclaim(now, max, _) => self.reclaim(*now, *max).map(Done::Reclaimed),
            Op::Transition(op, _) => self.transition(op).map(Done::Transitioned),
            Op::Prune(op, _) => self.prune(op).map(Done::Pruned),
            Op::Maintain(_) | Op::Close(_) => Ok(Done::Maintained),
        }
    }

    fn lanes(&mut self, pairs: &[(Arc<str>, Arc<str>)]) -> Result<Vec<Arc<Lane>>, Failure> {
        let mut lanes = Vec::with_capacity(pairs.len());
        for (route, target) in pairs {
            if let Some(lane) = self.counters.find(route, target) {
                lanes.push(Arc::clone(lane));
                continue;
            }
            self.connection
                .prepare_cached("INSERT INTO lane (route, target) VALUES (?1, ?2)")?
                .execute(params![&**route, &**target])?;
            let id = u32::try_from(self.connection.last_insert_rowid()).unwrap_or(u32::MAX);
            let lane = Lane { id: LaneId(id), route: Arc::clone(route), target: Arc::clone(target) };
            lanes.push(self.counters.add_lane(lane));
        }
        Ok(lanes)
    }

    /// Removes a message and, when it was the last that needs it, its content.
    fn remove_message(&self, seq: Seq, content: Option<i64>) -> Result<(), Failure> {
        self.connection.prepare_cached("DELETE FROM message WHERE seq = ?1")?.execute([seq.0])?;
        let id = content.unwrap_or(seq.0);
        let gone = self.connection.prepare_cached("DELETE FROM content WHERE id = ?1 AND refs <= 1")?.execute([id])?;
        if gone == 0 {
            self.connection.prepare_cached("UPDATE content SET refs = refs - 1 WHERE id = ?1")?.execute([id])?;
        }
        Ok(())
    }

    /// A message at `seq` is queued (again).
    fn note_queued(&mut self, lane: LaneId, seq: Seq, at: UnixMillis) {
        self.effects.ready(lane, at);
        *self.oldest_queued = (*self.oldest_queued).min(seq);
    }
}
