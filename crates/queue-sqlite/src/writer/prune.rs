//! Removing what retention no longer keeps, a slice at a time: bounded in rows, in bytes, and in what is looked at on the way.

use hookaido_model::config::Retention;
use hookaido_model::{Seq, State, UnixMillis};
use hookaido_queue::store::{Prune, Pruned};

use super::find::{self, Bounds, Doomed};
use super::tx::{Fault, Tx};

/// Bytes of content in one slice. Each large message is many pages to read and to let go of.
const SLICE_BYTES: u64 = 2 << 20;
/// Messages looked at in one slice: before the oldest queued one there may be millions that are kept for other reasons.
const SLICE_VISITS: u64 = 10_000;

/// Removes at most `max_rows` of each kind.
pub(crate) fn prune(tx: &mut Tx<'_, '_>, op: &Prune) -> Result<Pruned, Fault> {
    let mut pruned = Pruned::default();
    let keep = op.retentions;
    for (state, retention) in
        [(State::Queued, keep.queued), (State::Delivered, keep.delivered), (State::Dead, keep.dead)]
    {
        let (removed, more) = prune_messages(tx, state, retention, op)?;
        pruned.more |= more;
        match state {
            State::Queued => pruned.queued = removed,
            State::Delivered => pruned.delivered = removed,
            _ => pruned.dead = removed,
        }
    }
    pruned.attempts = prune_attempts(tx, keep.attempts, op)?;
    pruned.more |= pruned.attempts >= u64::from(op.max_rows) && pruned.attempts > 0;
    Ok(pruned)
}

/// Queued messages by age since their receipt; others by age since they ended, then by number. How many, and whether there is more.
fn prune_messages(tx: &mut Tx<'_, '_>, state: State, keep: Retention, op: &Prune) -> Result<(u64, bool), Fault> {
    let max = u64::from(op.max_rows);
    if !keep.enabled || max == 0 || tx.count(state) == 0 {
        return Ok((0, false));
    }
    let (mut removed, mut more) = (0, false);
    let bounds = |rows: u64| Bounds { rows, bytes: SLICE_BYTES, visits: SLICE_VISITS };
    if let Some(age) = keep.max_age {
        let end = op.now.minus(age);
        let old = match state {
            State::Queued => find::oldest_queued(tx, Seq::first_at(end), bounds(max))?,
            _ => find::oldest_done(tx, state, end, bounds(max))?,
        };
        removed += remove(tx, state, &old.doomed)?;
        more |= old.more;
    }
    let surplus = keep.max_rows.map_or(0, |most| tx.count(state).saturating_sub(most));
    if surplus > 0 && state != State::Queued {
        let rows = surplus.min(max.saturating_sub(removed));
        if rows > 0 {
            let old = find::oldest_done(tx, state, UnixMillis(i64::MAX), bounds(rows))?;
            removed += remove(tx, state, &old.doomed)?;
        }
        more |= keep.max_rows.is_some_and(|most| tx.count(state) > most);
    }
    more |= removed >= max;
    Ok((removed, more))
}

fn remove(tx: &mut Tx<'_, '_>, state: State, doomed: &[Doomed]) -> Result<u64, Fault> {
    for one in doomed {
        tx.remove(one.seq, one.lane, state, one.content)?;
    }
    Ok(u64::try_from(doomed.len()).unwrap_or(u64::MAX))
}

/// Attempts are numbered without gaps, so the first and the next number say how many there are.
fn prune_attempts(tx: &mut Tx<'_, '_>, keep: Retention, op: &Prune) -> Result<u64, Fault> {
    if !keep.enabled || op.max_rows == 0 {
        return Ok(0);
    }
    let next = tx.next_attempt + tx.changes.attempts;
    let keep_from = keep.max_rows.map_or(i64::MIN, |max| next.saturating_sub_unsigned(max));
    let cutoff = keep.max_age.map_or(UnixMillis(i64::MIN), |age| op.now.minus(age));
    let mut last = None;
    let mut removed = 0;
    let mut rows = tx.sql.oldest_attempts.query((op.max_rows,))?;
    while let Some(row) = rows.next()? {
        let (id, created_at) = (row.get::<_, i64>(0)?, UnixMillis(row.get(1)?));
        if id >= keep_from && created_at >= cutoff {
            break;
        }
        last = Some(id);
        removed += 1;
    }
    drop(rows);
    if let Some(last) = last {
        tx.sql.delete_attempts.execute((last,))?;
    }
    Ok(removed)
}
