//! Rows as the model's types.

use std::sync::Arc;

use bytes::Bytes;
use hookaido_model::{Content, EnvelopeId, JsonMap, Seq, UnixMillis};
use rusqlite::Row;

/// The time of receipt that a place carries.
pub(crate) fn received_at(seq: Seq) -> UnixMillis {
    UnixMillis(seq.0 >> Seq::COUNTER_BITS)
}

/// The id of a message.
pub(crate) fn envelope_id(seq: Seq, nonce: i64, given: Option<&str>) -> EnvelopeId {
    match given {
        Some(text) => EnvelopeId::Given(Arc::from(text)),
        None => EnvelopeId::made(seq, nonce.cast_unsigned()),
    }
}

/// How attempts name their message: 16 bytes for a made id, else the text.
pub(crate) fn event_key(id: &EnvelopeId) -> Vec<u8> {
    match id {
        EnvelopeId::Made(uuid) => uuid.as_bytes().to_vec(),
        // The first byte tells texts of 16 bytes from made ids: the version digit of those is never there.
        EnvelopeId::Given(text) => [b"=", text.as_bytes()].concat(),
    }
}

/// The id of [`event_key`].
pub(crate) fn event_of(key: &[u8]) -> EnvelopeId {
    match key {
        [b'=', text @ ..] if key.len() != 16 => EnvelopeId::Given(String::from_utf8_lossy(text).into()),
        _ => match <[u8; 16]>::try_from(key) {
            Ok(bytes) if bytes.get(6).is_some_and(|byte| byte >> 4 == 7) && bytes.first() != Some(&b'=') => {
                EnvelopeId::Made(uuid::Uuid::from_bytes(bytes))
            }
            _ => EnvelopeId::Given(String::from_utf8_lossy(key.strip_prefix(b"=").unwrap_or(key)).into()),
        },
    }
}

/// Payload, headers and trace from three columns.
pub(crate) fn content(row: &Row<'_>, first: usize) -> rusqlite::Result<Content> {
    let bytes = |column| row.get_ref(column).and_then(|v| Ok(Bytes::copy_from_slice(v.as_blob()?)));
    Ok(Content {
        payload: bytes(first)?,
        headers: JsonMap::from_stored(bytes(first + 1)?),
        trace: JsonMap::from_stored(bytes(first + 2)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_attempts_read_back() {
        let made = EnvelopeId::made(Seq::first_at(UnixMillis(1_790_000_000_000)), 7);
        for id in [made, EnvelopeId::from("p1"), EnvelopeId::from("fifteen-letters"), EnvelopeId::from("")] {
            assert_eq!(event_of(&event_key(&id)), id);
        }
    }
}
