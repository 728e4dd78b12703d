//! Places for new messages: the next free one of the millisecond in which a message was received.

use hookaido_model::{Seq, UnixMillis};
use rusqlite::{Connection, OptionalExtension};

/// Remembers the last place of the present, so that the usual case asks nothing.
#[derive(Debug, Default)]
pub(crate) struct Seqs {
    last: Option<Seq>,
}

impl Seqs {
    /// Starts behind everything that is stored.
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let last = connection
            .query_row("SELECT seq FROM message ORDER BY seq DESC LIMIT 1", [], |row| row.get(0).map(Seq))
            .optional()?;
        Ok(Self { last })
    }

    /// A place for a message received at `at`. A millisecond that is used up flows over into the next one.
    pub(crate) fn next(&mut self, connection: &Connection, at: UnixMillis) -> rusqlite::Result<Seq> {
        let first = Seq::first_at(at);
        let seq = match self.last {
            None => first,
            Some(last) if last < first => first,
            Some(last) if last <= first.last_of_millisecond() => Seq(last.0 + 1),
            Some(_) => return free_at(connection, first),
        };
        self.last = Some(seq);
        Ok(seq)
    }
}

/// The place behind the last one in use from `first` on without a gap at the end of its millisecond.
fn free_at(connection: &Connection, first: Seq) -> rusqlite::Result<Seq> {
    let mut first = first;
    loop {
        let last = first.last_of_millisecond();
        let used: Option<i64> = connection
            .prepare_cached("SELECT seq FROM message WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq DESC LIMIT 1")?
            .query_row([first.0, last.0], |row| row.get(0))
            .optional()?;
        match used {
            None => return Ok(first),
            Some(used) if used < last.0 => return Ok(Seq(used + 1)),
            Some(_) => first = Seq(last.0 + 1),
        }
    }
}
