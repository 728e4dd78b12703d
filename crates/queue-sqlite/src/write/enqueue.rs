//! New messages.

use hookaido_model::{EnvelopeId, LaneId, Seq, State, UnixMillis};
use hookaido_queue::store::{Admission, Enqueue, Enqueued, NewMessage, StoreError};
use rusqlite::{OptionalExtension, params};

use super::Tx;
use crate::failure::Failure;

impl Tx<'_> {
    pub(super) fn enqueue(&mut self, op: &Enqueue) -> Result<Enqueued, Failure> {
        let incoming: usize = op.messages.iter().map(|message| message.lanes.len()).sum();
        let incoming = u64::try_from(incoming).unwrap_or(u64::MAX);
        self.check_ids(op)?;
        let dropped = match Admission::decide(op.limits, self.counters.depth(), incoming) {
            Admission::Admit => 0,
            Admission::MakeRoom(n) => self.drop_oldest(n)?,
            Admission::Refuse => return Err(StoreError::Full.into()),
        };
        let mut ids = Vec::with_capacity(op.messages.len());
        for message in &op.messages {
            self.insert(message, &mut ids)?;
        }
        Ok(Enqueued { ids, dropped })
    }

    /// Refuses ids that are in use, or that stand twice in the operation.
    fn check_ids(&self, op: &Enqueue) -> Result<(), Failure> {
        let mut given: Vec<&str> = op.messages.iter().filter_map(|message| message.id.as_deref()).collect();
        if given.is_empty() {
            return Ok(());
        }
        given.sort_unstable();
        let twice = given.windows(2).find(|pair| matches!(pair, [a, b] if a == b)).and_then(|pair| pair.first());
        if let Some(id) = twice {
            return Err(StoreError::Conflict(EnvelopeId::Given((*id).into())).into());
        }
        for id in given {
            if self.seq_of(&EnvelopeId::from(id))?.is_some() {
                return Err(StoreError::Conflict(EnvelopeId::Given(id.into())).into());
            }
        }
        Ok(())
    }

    /// The place of a message by its id.
    pub(super) fn seq_of(&self, id: &EnvelopeId) -> Result<Option<Seq>, Failure> {
        if let Some((seq, nonce)) = id.place() {
            let nonce = i64::try_from(nonce).unwrap_or(i64::MAX);
            let found = self
                .connection
                .prepare_cached("SELECT 1 FROM message WHERE seq = ?1 AND nonce = ?2 AND given_id IS NULL")?
                .query_row([seq.0, nonce], |_| Ok(()))
                .optional()?;
            if found.is_some() {
                return Ok(Some(seq));
            }
        }
        let seq = self
            .connection
            .prepare_cached("SELECT seq FROM message WHERE given_id = ?1")?
            .query_row([id.to_string()], |row| row.get(0).map(Seq))
            .optional()?;
        Ok(seq)
    }

    fn insert(&mut self, message: &NewMessage, ids: &mut Vec<EnvelopeId>) -> Result<(), Failure> {
        let mut content = None;
        for (index, lane) in message.lanes.iter().enumerate() {
            let seq = self.seqs.next(self.connection, message.received_at)?;
            if content.is_none() {
                self.insert_content(seq, message)?;
            }
            let nonce = self.random.next() >> 10;
            let given = message.id.as_deref().filter(|_| index == 0);
            self.connection
                .prepare_cached(
                    "INSERT INTO message (seq, lane, state, next_run_at, attempt, nonce, content, given_id)
                     VALUES (?1, ?2, 0, ?3, 0, ?4, ?5, ?6)",
                )?
                .execute(params![
                    seq.0,
                    lane.0,
                    message.next_run_at.0,
                    i64::try_from(nonce).unwrap_or(i64::MAX),
                    content,
                    given
                ])?;
            content.get_or_insert(seq.0);
            ids.push(given.map_or_else(|| EnvelopeId::made(seq, nonce), |id| EnvelopeId::Given(id.into())));
            self.counters.add(*lane, State::Queued, 1);
            self.note_queued(*lane, seq, message.next_run_at);
        }
        Ok(())
    }

    fn insert_content(&self, seq: Seq, message: &NewMessage) -> Result<(), Failure> {
        let content = &message.content;
        self.connection
            .prepare_cached("INSERT INTO content (id, refs, headers, trace, payload) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                seq.0,
                i64::try_from(message.lanes.len()).unwrap_or(i64::MAX),
                &**content.headers.as_bytes(),
                &**content.trace.as_bytes(),
                &*content.payload
            ])?;
        Ok(())
    }

    /// Removes the `n` oldest queued messages of all lanes; refuses, having removed nothing, when there are fewer.
    fn drop_oldest(&mut self, n: u64) -> Result<u64, Failure> {
        let mut oldest = Vec::new();
        {
            let mut statement = self.connection.prepare_cached(
                "SELECT seq, lane, content FROM message WHERE seq >= ?1 AND state = 0 ORDER BY seq LIMIT ?2",
            )?;
            let limit = i64::try_from(n).unwrap_or(i64::MAX);
            let mut rows = statement.query([self.oldest_queued.0, limit])?;
            while let Some(row) = rows.next()? {
                oldest.push((Seq(row.get(0)?), LaneId(row.get(1)?), row.get::<_, Option<i64>>(2)?));
            }
        }
        let found = u64::try_from(oldest.len()).unwrap_or(u64::MAX);
        if found < n {
            return Err(StoreError::Full.into());
        }
        if let Some((seq, ..)) = oldest.last() {
            *self.oldest_queued = *seq;
        }
        for (seq, lane, content) in oldest {
            self.remove_message(seq, content)?;
            self.counters.remove(lane, State::Queued, 1);
        }
        Ok(found)
    }

    /// Where a message is that would be ready next in a lane, behind `now`.
    pub(super) fn next_ready(&self, lane: LaneId) -> Result<Option<UnixMillis>, Failure> {
        let at = self
            .connection
            .prepare_cached(
                "SELECT next_run_at FROM message INDEXED BY message_ready
                 WHERE lane = ?1 AND state = 0 ORDER BY next_run_at LIMIT 1",
            )?
            .query_row([lane.0], |row| row.get(0).map(UnixMillis))
            .optional()?;
        Ok(at)
    }
}
