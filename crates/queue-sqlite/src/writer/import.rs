//! Loading messages of every state at once, into a file that nobody serves: what `tool::import` writes with.
//!
//! One transaction from begin to commit, made of the writer's own operations, so that a loaded message is stored as any other.

use std::collections::HashMap;
use std::sync::Arc;

use hookaido_model::config::{DropPolicy, QueueLimits};
use hookaido_model::{Attempt, Content, DeadReason, Lane, State, UnixMillis};
use hookaido_queue::store::{Enqueue, NewMessage, StoreError};
use rusqlite::Connection;
use rusqlite::types::Null;

use super::batch::{create_lanes, finish};
use super::bundles::Kept;
use super::places::{Places, Random};
use super::sql::Statements;
use super::tx::{Changes, Fault, Tx};
use super::{enqueue, find, settle};
use crate::lanes::{LaneEntry, Lanes, Pair};

/// A message to load.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) lane: Arc<Lane>,
    pub(crate) id: Arc<str>,
    pub(crate) content: Content,
    pub(crate) received_at: UnixMillis,
    pub(crate) next_run_at: UnixMillis,
    pub(crate) attempt: u32,
    pub(crate) standing: Standing,
}

/// Where it stands.
#[derive(Debug)]
pub(crate) enum Standing {
    Queued,
    /// Nobody here can end the lease: it runs out, and the message is in the queue again.
    Leased {
        until: UnixMillis,
    },
    Delivered {
        at: UnixMillis,
    },
    Dead {
        at: UnixMillis,
        reason: Option<DeadReason>,
    },
    Canceled {
        at: UnixMillis,
    },
}

/// The transaction.
#[derive(Debug)]
pub(crate) struct Loader<'c> {
    conn: &'c Connection,
    sql: Statements<'c>,
    lanes: Vec<Arc<LaneEntry>>,
    by_pair: HashMap<Pair, Arc<Lane>>,
    places: Places,
    random: Random,
    kept: Kept,
    next_attempt: i64,
    changes: Changes,
}

impl<'c> Loader<'c> {
    /// Begins the transaction and makes sure of the lanes. After an error the caller rolls back.
    pub(crate) fn begin(conn: &'c Connection, pairs: &[Pair]) -> Result<Self, Fault> {
        conn.execute_batch("BEGIN IMMEDIATE")?;
        let last: Option<i64> = conn.query_row("SELECT max(id) FROM attempt", [], |row| row.get(0))?;
        let mut loader = Self {
            conn,
            sql: Statements::prepare(conn)?,
            lanes: Lanes::load(conn)?.all(),
            by_pair: HashMap::new(),
            places: Places::load(conn)?,
            random: Random::default(),
            kept: Kept::default(),
            next_attempt: last.unwrap_or(0) + 1,
            changes: Changes::default(),
        };
        let lanes = loader.with(|tx| create_lanes(tx, pairs))?;
        // The new ones are in the file only, so far.
        loader.changes = Changes::default();
        loader.lanes = Lanes::load(conn)?.all();
        loader.by_pair = pairs.iter().cloned().zip(lanes).collect();
        Ok(loader)
    }

    /// One of the lanes that it began with.
    pub(crate) fn lane(&self, pair: &Pair) -> Result<Arc<Lane>, Fault> {
        let lane = self.by_pair.get(pair).cloned();
        lane.ok_or_else(|| Fault::Refused(StoreError::Unavailable("no such lane".into())))
    }

    /// Stores a message as if it had gone all the way here. Refused when its id is taken.
    pub(crate) fn message(&mut self, loaded: Loaded) -> Result<(), Fault> {
        let Loaded { lane, id, content, received_at, next_run_at, attempt, standing } = loaded;
        let lane = lane.id;
        let message =
            NewMessage { lanes: [lane].into_iter().collect(), id: Some(id), content, received_at, next_run_at };
        let limits = QueueLimits { max_depth: None, drop_policy: DropPolicy::Reject };
        let op = Enqueue { messages: vec![message], limits, now: received_at };
        self.with(|tx| {
            let stored = enqueue::enqueue(tx, &op)?;
            let id = stored.done.ids.first().ok_or_else(not_stored)?;
            let seq = find::message(tx, id)?.ok_or_else(not_stored)?.seq;
            if attempt > 0 {
                tx.sql.queue_again.execute((seq.0, next_run_at.0, attempt, Null))?;
            }
            let state = match standing {
                Standing::Queued => return Ok(()),
                Standing::Leased { until } => {
                    let token = tx.random.next()?;
                    tx.sql.lease.execute((seq.0, attempt, token.cast_signed(), until.0))?;
                    State::Leased
                }
                Standing::Delivered { at } => {
                    tx.sql.deliver.execute((seq.0, at.0))?;
                    State::Delivered
                }
                Standing::Dead { at, reason } => {
                    tx.sql.bury.execute((seq.0, reason.as_ref().map(DeadReason::as_str), at.0))?;
                    State::Dead
                }
                Standing::Canceled { at } => {
                    tx.sql.cancel.execute((seq.0, at.0))?;
                    State::Canceled
                }
            };
            tx.changes.moved(lane, Some(State::Queued), Some(state));
            Ok(())
        })
    }

    /// Records a try to deliver; it gets the next number.
    pub(crate) fn attempt(&mut self, attempt: &Attempt) -> Result<(), Fault> {
        self.with(|tx| settle::record(tx, attempt))
    }

    /// Stores the counts and commits.
    pub(crate) fn commit(mut self) -> Result<(), Fault> {
        self.with(|tx| finish(tx).map_err(Fault::Sql))?;
        let conn = self.conn;
        drop(self);
        Ok(conn.execute_batch("COMMIT")?)
    }

    fn with<T>(&mut self, work: impl FnOnce(&mut Tx<'_, 'c>) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut tx = Tx {
            sql: &mut self.sql,
            lanes: &self.lanes,
            places: &mut self.places,
            random: &mut self.random,
            kept: &mut self.kept,
            committed_depth: 0,
            next_attempt: self.next_attempt,
            changes: std::mem::take(&mut self.changes),
        };
        let done = work(&mut tx);
        self.changes = tx.changes;
        done
    }
}

fn not_stored() -> Fault {
    Fault::Refused(StoreError::Unavailable("the message was not stored".into()))
}
