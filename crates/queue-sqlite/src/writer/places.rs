//! Numbers the writer gives out: places of messages, and random bits of ids and leases.

use hookaido_model::{Seq, UnixMillis};
use rusqlite::Connection;

use super::sql::Statements;
use super::tx::Fault;
use crate::bundle::SPAN;

/// Milliseconds whose last place is remembered. Messages of one batch differ by a few.
const REMEMBERED: usize = 256;

/// Gives out places.
#[derive(Debug)]
pub(crate) struct Places {
    /// No message lies behind it.
    top: Seq,
    /// The last place of some milliseconds, by their number modulo [`REMEMBERED`].
    last: Box<[Seq]>,
    /// No queued message that has a row lies before it.
    pub(crate) oldest_queued: Seq,
}

impl Places {
    /// Reads where the messages end.
    pub(crate) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let top: Option<i64> = conn.query_row(
            "SELECT max(place) FROM (SELECT max(seq) AS place FROM message UNION ALL SELECT max(id) FROM content
             UNION ALL SELECT max(last) FROM bundle WHERE seq >= (SELECT max(seq) FROM bundle) - ?1)",
            (SPAN,),
            |row| row.get(0),
        )?;
        let last = vec![Seq(-1); REMEMBERED].into_boxed_slice();
        Ok(Self { top: Seq(top.unwrap_or(0)), last, oldest_queued: Seq(0) })
    }

    /// No place behind it was given out.
    pub(crate) fn top(&self) -> Seq {
        self.top
    }

    /// The next place for a message that was received at `at`, if that is known without asking the file.
    pub(crate) fn known(&mut self, at: UnixMillis) -> Option<Seq> {
        let first = Seq::first_at(at);
        if first > self.top {
            return Some(self.give(first));
        }
        let remembered = self.last.get(slot(first)).filter(|last| **last >= first);
        let next = remembered.and_then(|last| last.next()).filter(|next| *next <= first.last_of_millisecond())?;
        Some(self.give(next))
    }

    /// The next place in a millisecond that may have messages, or in the first later one with room. Everything given out before must be
    /// in the file.
    pub(crate) fn asked(&mut self, at: UnixMillis, sql: &mut Statements<'_>) -> Result<Seq, Fault> {
        let mut from = Seq::first_at(at);
        loop {
            let to = from.last_of_millisecond();
            let last: Option<i64> = sql.last_between.query_row((from.0, to.0, SPAN), |row| row.get(0))?;
            let Some(last) = last else { return Ok(self.give(from)) };
            let next = Seq(last).next().ok_or_else(|| Fault::Sql(rusqlite::Error::IntegralValueOutOfRange(0, last)))?;
            if next <= to {
                return Ok(self.give(next));
            }
            from = next;
        }
    }

    fn give(&mut self, seq: Seq) -> Seq {
        self.top = self.top.max(seq);
        if let Some(last) = self.last.get_mut(slot(seq)) {
            *last = seq;
        }
        seq
    }

    /// After a roll-back: what was learnt from it may be wrong.
    pub(crate) fn forget(&mut self) {
        self.oldest_queued = Seq(0);
    }

    /// A row at `seq` is in the queue now, or again.
    pub(crate) fn queued(&mut self, seq: Seq) {
        self.oldest_queued = self.oldest_queued.min(seq);
    }
}

fn slot(seq: Seq) -> usize {
    usize::try_from(seq.0 >> Seq::COUNTER_BITS).map_or(0, |millis| millis % REMEMBERED)
}

/// Unguessable numbers, fetched from the operating system some hundred at a time.
#[derive(Debug)]
pub(crate) struct Random {
    bytes: Box<[u8; 2048]>,
    used: usize,
}

impl Default for Random {
    fn default() -> Self {
        Self { bytes: Box::new([0; 2048]), used: 2048 }
    }
}

impl Random {
    /// The next number.
    pub(crate) fn next(&mut self) -> Result<u64, Fault> {
        if self.used >= self.bytes.len() {
            // Taken as a fault of the whole transaction: part of the operation may be written already.
            getrandom::fill(self.bytes.as_mut_slice())
                .map_err(|error| Fault::Sql(rusqlite::Error::ToSqlConversionFailure(error.into())))?;
            self.used = 0;
        }
        let number = self.bytes.get(self.used..self.used + 8).and_then(|bytes| bytes.try_into().ok());
        self.used += 8;
        Ok(u64::from_le_bytes(number.unwrap_or_default()))
    }
}
