//! Whether a queue file is sound: what SQLite can say about its pages and indexes, and what only we know about its rows.
//!
//! The rows are read once, in order, as one snapshot; memory does not grow with their number.

use std::collections::HashMap;
use std::path::Path;

use hookaido_model::{Seq, State};
use rusqlite::{Connection, Row};

use super::error::ToolError;
use super::open::reading;
use super::{Progress, Unit, Watch};
use crate::lanes::Lanes;
use crate::{bundle, fault};

/// Problems that are told; more are not looked for.
const MOST: usize = 100;
/// Messages between two reports of progress.
const EVERY: u64 = 4096;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// What is wrong, in words; empty if nothing is. At most a hundred.
    pub problems: Vec<String>,
    /// Schema of the file.
    pub schema_version: i64,
    /// Messages read.
    pub messages: u64,
    /// Attempts counted.
    pub attempts: u64,
    /// Lanes.
    pub lanes: u64,
}

impl Check {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn add(&mut self, problem: impl Into<String>) {
        if self.problems.len() < MOST {
            self.problems.push(problem.into());
        }
    }
}

/// Checks a queue file; a damaged one is an answer, not an error.
///
/// # Errors
/// The file is not there, not a queue, or the disk fails while it is read.
pub fn check(path: &Path, watch: Watch<'_>) -> Result<Check, ToolError> {
    let open = reading(path)?;
    let mut found = Check { schema_version: open.version, ..Check::default() };
    let mut done = pages(&open.conn, &mut found, watch);
    if done.is_ok() {
        done = rows(&open.conn, &mut found, watch);
    }
    match done {
        Ok(()) => {}
        // What cannot be read because of damage is part of the answer.
        Err(error) if !fault::stops_writing(&error) => found.add(format!("cannot be read to its end: {error}")),
        Err(error) => return Err(ToolError::sqlite(path, error)),
    }
    Ok(found)
}

/// What SQLite knows: pages, free pages, order of keys, indexes against tables, types.
fn pages(conn: &Connection, found: &mut Check, watch: Watch<'_>) -> rusqlite::Result<()> {
    watch(Progress { doing: "checking pages and indexes", done: 0, total: 0, unit: Unit::Rows });
    let mut statement = conn.prepare(&format!("PRAGMA integrity_check({MOST})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        if text != "ok" {
            found.add(text);
        }
    }
    Ok(())
}

fn rows(conn: &Connection, found: &mut Check, watch: Watch<'_>) -> rusqlite::Result<()> {
    let _snapshot = conn.unchecked_transaction()?;
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map(|n| n.max(0).cast_unsigned());
    let lanes = match Lanes::load(conn) {
        Ok(lanes) => lanes,
        Err(rusqlite::Error::IntegralValueOutOfRange(_, id)) => {
            found.add(format!("lanes are not numbered from 1 without gaps: {id}"));
            Lanes::default()
        }
        Err(error) => return Err(error),
    };
    found.lanes = u64::try_from(lanes.len()).unwrap_or(0);
    let tallied = lanes.all().iter().flat_map(|lane| lane.counts()).sum();
    let mut walk = Walk { found, counts: HashMap::new(), contents: 0, shared: 0, open: HashMap::new() };
    walk.messages(conn, tallied, watch)?;
    walk.bundles(conn)?;
    walk.compare(&lanes);
    for (what, stored, needed) in [
        ("contents", number("SELECT count(*) FROM content WHERE id >= 0")?, walk.contents),
        ("shared contents", number("SELECT count(*) FROM shared_content")?, walk.shared),
    ] {
        if stored != needed {
            found.add(format!("{stored} {what} are stored, {needed} are needed by messages"));
        }
    }
    attempts(conn, found)
}

fn attempts(conn: &Connection, found: &mut Check) -> rusqlite::Result<()> {
    let (count, span): (i64, i64) =
        conn.query_row("SELECT count(*), coalesce(max(id) - min(id) + 1, 0) FROM attempt", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    found.attempts = count.max(0).cast_unsigned();
    if count != span {
        found.add(format!("numbers of attempts have gaps: {count} attempts, {span} numbers"));
    }
    let lost = "SELECT count(*) FROM attempt WHERE lane NOT IN (SELECT id FROM lane)";
    let lost: i64 = conn.query_row(lost, [], |row| row.get(0))?;
    if lost != 0 {
        found.add(format!("{lost} attempts belong to lanes that do not exist"));
    }
    Ok(())
}

/// One way through all messages.
struct Walk<'f> {
    found: &'f mut Check,
    /// Messages by lane and state.
    counts: HashMap<i64, [u64; 5]>,
    /// Contents that some message needs.
    contents: u64,
    /// Of these, contents of a fan-out.
    shared: u64,
    /// Contents of a fan-out some of whose messages were not met yet: how many, by id.
    open: HashMap<i64, i64>,
}

impl Walk<'_> {
    fn messages(&mut self, conn: &Connection, total: u64, watch: Watch<'_>) -> rusqlite::Result<()> {
        let mut statement = conn.prepare(
            "SELECT m.seq, m.lane, m.state, m.token IS NOT NULL, m.lease_until IS NOT NULL, m.ended_at IS NOT NULL, m.size, m.content,
                    length(c.headers) + length(c.trace) + length(c.payload), s.refs, m.nonce, m.part,
                    CASE WHEN m.part IS NOT NULL THEN c.payload END
             FROM message m LEFT JOIN content c ON c.id = coalesce(m.content, m.seq) LEFT JOIN shared_content s ON s.id = m.content
             ORDER BY m.seq",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if self.found.messages.is_multiple_of(EVERY) {
                let done = self.found.messages;
                watch(Progress { doing: "checking messages", done, total, unit: Unit::Rows });
            }
            self.found.messages += 1;
            self.message(row)?;
        }
        Ok(())
    }

    fn message(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        let (seq, lane, code): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (token, until, ended): (bool, bool, bool) = (row.get(3)?, row.get(4)?, row.get(5)?);
        let Some(state) = State::from_code(code) else {
            self.found.add(format!("message {seq} is in state {code}, which does not exist"));
            return Ok(());
        };
        self.count(lane, state, 1);
        let leased = state == State::Leased;
        if (token, until) != (leased, leased) {
            self.found.add(format!("message {seq} is {state} but its lease says otherwise"));
        }
        if ended != (state >= State::Delivered) {
            self.found.add(format!("message {seq} is {state} but the time of its end says otherwise"));
        }
        match (row.get::<_, Option<i64>>(8)?, row.get::<_, Option<i64>>(11)?) {
            (None, _) => self.found.add(format!("message {seq} has no content")),
            (Some(_), Some(offset)) if !is_in_bundle(row, seq, offset)? => {
                self.found.add(format!("message {seq} is not where its bundle should have it"));
            }
            (Some(size), None) if size != row.get::<_, i64>(6)? => {
                self.found.add(format!("message {seq} has the wrong size on record"));
            }
            _ => {}
        }
        self.content(seq, row.get(7)?, row.get(9)?);
        Ok(())
    }

    fn count(&mut self, lane: i64, state: State, by: u64) {
        if let Some(count) = self.counts.entry(lane).or_default().get_mut(usize::from(state.code())) {
            *count += by;
        }
    }

    /// Messages that have no row yet.
    fn bundles(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let mut statement = conn.prepare(
            "SELECT b.seq, b.lane, b.last, b.head, b.count, b.taken, c.payload, s.refs
             FROM bundle b LEFT JOIN content c ON c.id = b.seq LEFT JOIN shared_content s ON s.id = b.seq ORDER BY b.seq",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, lane): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (count, taken): (i64, i64) = (row.get(4)?, row.get(5)?);
            let left = count.saturating_sub(taken);
            if taken < 0 || left < 1 {
                self.found.add(format!("bundle {id} has {count} messages, {taken} of them taken"));
                continue;
            }
            self.found.messages += left.cast_unsigned();
            self.count(lane, State::Queued, left.cast_unsigned());
            match row.get_ref(6)?.as_blob_or_null()? {
                None => self.found.add(format!("bundle {id} has no content")),
                Some(bytes) if !is_whole(bytes, (id, row.get(3)?, row.get(2)?), (count, taken)) => {
                    self.found.add(format!("bundle {id} does not hold what it says"));
                }
                Some(_) => {}
            }
            if taken > 0 {
                self.shared(id, row.get(7)?, left);
            } else {
                self.contents += 1;
            }
        }
        Ok(())
    }

    /// Counts the content of a message; `refs` is how many messages are said to share it.
    fn content(&mut self, seq: i64, shared: Option<i64>, refs: Option<i64>) {
        match (shared, refs) {
            (None, _) => self.contents += 1,
            (Some(_), None) => self.found.add(format!("message {seq} shares a content that is not counted")),
            (Some(id), refs) => self.shared(id, refs, 1),
        }
    }

    /// So many messages share a content.
    fn shared(&mut self, id: i64, refs: Option<i64>, by: i64) {
        let left = self.open.entry(id).or_insert_with(|| {
            (self.contents, self.shared) = (self.contents + 1, self.shared + 1);
            refs.unwrap_or(0)
        });
        *left -= by;
        if *left == 0 {
            self.open.remove(&id);
        }
    }

    fn compare(&mut self, lanes: &Lanes) {
        for (id, left) in std::mem::take(&mut self.open) {
            self.found.add(format!("the content {id} is said to be shared by {left} messages more than there are"));
        }
        for entry in lanes.all() {
            let counted = self.counts.remove(&i64::from(entry.lane.id.0)).unwrap_or_default();
            for (state, (told, counted)) in State::ALL.into_iter().zip(entry.counts().into_iter().zip(counted)) {
                if told != counted {
                    let (route, target) = (&entry.lane.route, &entry.lane.target);
                    self.found
                        .add(format!("{route} to {target}: {counted} messages are {state}, the tally says {told}"));
                }
            }
        }
        for (lane, counts) in std::mem::take(&mut self.counts) {
            let count: u64 = counts.iter().sum();
            self.found.add(format!("{count} messages belong to the lane {lane}, which does not exist"));
        }
    }
}

/// Whether the message of a row is found in its bundle.
fn is_in_bundle(row: &Row<'_>, seq: i64, offset: i64) -> rusqlite::Result<bool> {
    let (size, nonce): (i64, i64) = (row.get(6)?, row.get(10)?);
    let bytes = row.get_ref(12)?.as_blob()?;
    let part = usize::try_from(offset).ok().and_then(|offset| bundle::part_at(bytes, offset));
    Ok(part.is_some_and(|part| part.seq == Seq(seq) && part.nonce == nonce && i64::try_from(part.size()) == Ok(size)))
}

/// Whether a bundle holds `count` messages in order, from the first to the last place, with the first that is left at `head`.
fn is_whole(bytes: &[u8], (first, head, last): (i64, i64, i64), (count, taken): (i64, i64)) -> bool {
    let places: Vec<i64> = bundle::parts(bytes).map(|part| part.seq.0).collect();
    let at = |index: i64| usize::try_from(index).ok().and_then(|index| places.get(index)).copied();
    i64::try_from(places.len()) == Ok(count)
        && places.is_sorted()
        && (at(0), at(taken), at(count - 1)) == (Some(first), Some(head), Some(last))
}
