//! What operators do to messages.

use hookaido_model::{Move, State};
use hookaido_queue::store::{Step, Transition, Transitioned};

use super::find::{self, Found};
use super::tx::{Fault, Tx};
use super::{bundles, settle};

/// Moves or deletes the messages that may be.
pub(crate) fn transition(tx: &mut Tx<'_, '_>, op: &Transition) -> Result<Transitioned, Fault> {
    let mut changed = Vec::new();
    for id in &op.ids {
        let Some(found) = find::message(tx, id)? else { continue };
        if (op.only.is_empty() || op.only.contains(&found.state)) && apply(tx, &found, op)? {
            changed.push(id.clone());
        }
    }
    Ok(Transitioned { changed })
}

/// Whether the step was allowed and done.
fn apply(tx: &mut Tx<'_, '_>, found: &Found, op: &Transition) -> Result<bool, Fault> {
    let Step::Move(step) = op.step else {
        tx.remove(found.seq, found.lane, found.state, found.content)?;
        return Ok(true);
    };
    match (step, found.state.after(step)) {
        (Move::Cancel, Some(State::Canceled)) => {
            bundles::set_apart(tx, found.seq, found.content, found.part)?;
            tx.sql.cancel.execute((found.seq.0, op.now.0))?;
            tx.changes.moved(found.lane, Some(found.state), Some(State::Canceled));
        }
        (Move::Requeue | Move::Resume, Some(State::Queued)) => {
            settle::requeue(tx, found.state, (found.seq, found.lane), op.now)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
