//! Choosing what a lease hands out: ready rows and the front of the lane's bundles, merged by time and place.

use std::sync::Arc;

use bytes::Bytes;
use hookaido_model::{Content, Envelope, EnvelopeId, Lane, LaneId, Seq, State, UnixMillis};
use hookaido_queue::store::Lease;

use super::bundles::{self, Bundle, number};
use super::tx::{Fault, Tx};
use crate::{bundle, row};

/// A message that is to be leased.
#[derive(Debug)]
pub(crate) enum Picked {
    /// It has a row.
    Row { seq: Seq, content: Option<i64>, part: Option<i64>, envelope: Envelope },
    /// It gets its row now. The envelope has its content.
    Part { seq: Seq, nonce: i64, offset: i64, content: Option<i64>, envelope: Envelope },
}

/// A row that is ready.
struct Ready {
    seq: Seq,
    next_run_at: UnixMillis,
    size: u64,
    picked: Picked,
}

/// Chooses messages within the limits of number and size, and says when the one behind them is ready.
pub(crate) fn pick(
    tx: &mut Tx<'_, '_>,
    op: &Lease,
    lane: &Arc<Lane>,
) -> Result<(Vec<Picked>, Option<UnixMillis>), Fault> {
    let (bundled, rows) = tx.queued(op.lane)?;
    let (ready, next_ready_at) = if rows == 0 { (Vec::new(), None) } else { ready_rows(tx, op, lane)? };
    let mut front = Front { lane: op.lane, id: i64::MIN, at: None, left: bundled };
    let mut ready = ready.into_iter().peekable();
    let max = usize::try_from(op.max.max(1)).unwrap_or(usize::MAX);
    let mut picked = Vec::with_capacity(max.min(128));
    let mut bytes = 0_u64;
    let mut more = false;
    loop {
        let part = front.peek(tx)?;
        let row_first = match (ready.peek(), part) {
            (None, None) => break,
            (Some(row), Some((seq, _))) => (row.next_run_at, row.seq) <= (row::received_at(seq), seq),
            (row, _) => row.is_some(),
        };
        let size = if row_first { ready.peek().map(|row| row.size) } else { part.map(|(_, size)| size) };
        bytes = bytes.saturating_add(size.unwrap_or(0));
        if picked.len() >= max || (!picked.is_empty() && bytes > op.max_bytes) {
            more = true;
            break;
        }
        if row_first {
            picked.extend(ready.next().map(|row| row.picked));
        } else {
            picked.extend(front.take(op, lane));
        }
    }
    front.close(tx)?;
    if more {
        tx.changes.ready(op.lane, op.now);
    }
    Ok((picked, next_ready_at.filter(|_| !more)))
}

/// The rows that are ready, one more than wanted, and when the next one is.
fn ready_rows(tx: &mut Tx<'_, '_>, op: &Lease, lane: &Arc<Lane>) -> Result<(Vec<Ready>, Option<UnixMillis>), Fault> {
    let mut ready = Vec::new();
    let mut rows = tx.sql.ready.query((op.lane.0, i64::from(op.max.max(1)) + 1))?;
    while let Some(row) = rows.next()? {
        let next_run_at = UnixMillis(row.get(1)?);
        if next_run_at > op.now {
            return Ok((ready, Some(next_run_at)));
        }
        let seq = Seq(row.get(0)?);
        let given = row.get_ref(7)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        let received_at = row.get::<_, Option<i64>>(6)?.map_or_else(|| row::received_at(seq), UnixMillis);
        let attempt = row.get::<_, u32>(2)?.saturating_add(1);
        let id = row::id(seq, row.get(3)?, given);
        let envelope = Envelope { received_at, next_run_at, attempt, ..leased(op, lane, id) };
        let picked = Picked::Row { seq, content: row.get(5)?, part: row.get(8)?, envelope };
        ready.push(Ready { seq, next_run_at, size: row.get::<_, i64>(4)?.max(0).cast_unsigned(), picked });
    }
    Ok((ready, None))
}

fn leased(op: &Lease, lane: &Arc<Lane>, id: EnvelopeId) -> Envelope {
    Envelope {
        id,
        lane: Arc::clone(lane),
        state: State::Leased,
        received_at: UnixMillis(0),
        next_run_at: UnixMillis(0),
        attempt: 1,
        lease: None,
        lease_until: Some(op.until),
        dead_reason: None,
        content: None,
    }
}

/// The envelope with its content.
pub(crate) fn with_content(mut envelope: Envelope, content: Content) -> Envelope {
    envelope.content = Some(Arc::new(content));
    envelope
}

/// The front of a lane's bundles.
struct Front {
    lane: LaneId,
    /// The last bundle that was looked at.
    id: i64,
    at: Option<Open>,
    /// Messages in bundles that were not taken.
    left: u64,
}

/// The bundle at the front.
struct Open {
    bundle: Bundle,
    bytes: Bytes,
    /// Where the next message begins.
    offset: usize,
    /// Messages taken from it by this lease.
    taken: u32,
}

impl Front {
    /// Place and size of the next message.
    fn peek(&mut self, tx: &mut Tx<'_, '_>) -> Result<Option<(Seq, u64)>, Fault> {
        loop {
            if let Some(open) = &self.at {
                if let Some(part) = bundle::part_at(&open.bytes, open.offset) {
                    return Ok(Some((part.seq, u64::try_from(part.size()).unwrap_or(u64::MAX))));
                }
                self.close(tx)?;
            }
            if self.left == 0 {
                return Ok(None);
            }
            let Some(next) = bundles::next_of_lane(tx, self.lane, self.id)? else { return Ok(None) };
            let bytes = bundles::bytes(tx, next.id)?;
            let before = bundle::parts(&bytes).take(usize::try_from(next.taken).unwrap_or(usize::MAX)).last();
            let offset = before.map_or(0, |part| part.end());
            self.id = next.id;
            self.at = Some(Open { bundle: next, bytes, offset, taken: 0 });
        }
    }

    /// The message that was seen.
    fn take(&mut self, op: &Lease, lane: &Arc<Lane>) -> Option<Picked> {
        let open = self.at.as_mut()?;
        let part = bundle::part_at(&open.bytes, open.offset)?;
        let at = row::received_at(part.seq);
        let envelope = Envelope { received_at: at, next_run_at: at, ..leased(op, lane, part.id()) };
        open.offset = part.end();
        open.taken += 1;
        self.left = self.left.saturating_sub(1);
        let (nonce, offset) = (part.nonce, number(part.offset));
        let envelope = with_content(envelope, part.content());
        Some(Picked::Part { seq: part.seq, nonce, offset, content: open.bundle.content(), envelope })
    }

    /// Notes in the file what was taken from the bundle at the front.
    fn close(&mut self, tx: &mut Tx<'_, '_>) -> Result<(), Fault> {
        let Some(open) = self.at.take() else { return Ok(()) };
        let of = open.bundle;
        let next = bundle::part_at(&open.bytes, open.offset);
        if next.is_none() && of.taken + open.taken != of.count {
            return Err(bundles::damaged("a bundle ends before its last message"));
        }
        if open.taken == 0 {
            return Ok(());
        }
        bundles::share(tx, &of)?;
        tx.changes.bundled(of.lane, -i64::from(open.taken));
        match next {
            Some(next) => tx.sql.take_from_bundle.execute((of.id, next.seq.0, of.taken + open.taken))?,
            None => tx.sql.delete_bundle.execute((of.id,))?,
        };
        Ok(())
    }
}
