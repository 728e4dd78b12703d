//! A row of table `message` as an envelope.

use std::sync::Arc;

use hookaido_model::{DeadReason, Envelope, EnvelopeId, Lane, LeaseId, Seq, State, UnixMillis};
use rusqlite::Row;

/// Columns that [`envelope`] reads, in its order.
pub(crate) const ENVELOPE_COLUMNS: &str = "seq, lane, state, next_run_at, attempt, nonce, token, lease_until, received_at, given_id, dead_reason, content, part";
/// The last two of them: where the content is, if not under `seq`, and where in a bundle.
pub(crate) const CONTENT_COLUMN: usize = 11;

/// The id of a message.
pub(crate) fn id(seq: Seq, nonce: i64, given: Option<&str>) -> EnvelopeId {
    given.map_or_else(|| EnvelopeId::made(seq, nonce.cast_unsigned()), |text| EnvelopeId::Given(text.into()))
}

/// The time in a place.
pub(crate) fn received_at(seq: Seq) -> UnixMillis {
    UnixMillis(seq.0 >> Seq::COUNTER_BITS)
}

/// Reads [`ENVELOPE_COLUMNS`]; without content.
pub(crate) fn envelope(row: &Row<'_>, lane: Arc<Lane>) -> rusqlite::Result<Envelope> {
    let seq = Seq(row.get(0)?);
    let state = State::from_code(row.get(2)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(2, row.get(2)?))?;
    let token: Option<i64> = row.get(6)?;
    let dead_reason: Option<String> = row.get(10)?;
    Ok(Envelope {
        id: id(seq, row.get(5)?, row.get_ref(9)?.as_str_or_null()?),
        lane,
        state,
        received_at: row.get::<_, Option<i64>>(8)?.map_or_else(|| received_at(seq), UnixMillis),
        next_run_at: UnixMillis(row.get(3)?),
        attempt: row.get(4)?,
        lease: token.map(|token| LeaseId { seq, token: token.cast_unsigned() }),
        lease_until: row.get::<_, Option<i64>>(7)?.map(UnixMillis),
        // of a message that is not dead it is what the last worker said that gave it back
        dead_reason: dead_reason.filter(|_| state == State::Dead).map(|reason| DeadReason(reason.into())),
        content: None,
    })
}
