//! Identifiers: what they look like and what they carry.
//!
//! An [`EnvelopeId`] made here is a UUIDv7 whose counter is the envelope's place in the store, so that finding a message
//! by its id needs no index (RFC 9562, section 6.2, method 1: a dedicated counter behind the timestamp). A [`LeaseId`]
//! names the message it holds and a random token, so that settling needs none either.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

use crate::UnixMillis;
use crate::stack::Stack;

/// Place of a message in its store: 43 bits of milliseconds since the epoch (when it was received), 20 bits of counter.
/// Ordered by time of receipt; unique in one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub i64);

impl Seq {
    /// Bits of the counter within one millisecond.
    pub const COUNTER_BITS: u32 = 20;

    /// The first place of a millisecond. Instants before 1970 or after 2248 take the nearest end of the range.
    #[must_use]
    pub fn first_at(at: UnixMillis) -> Self {
        Self(at.0.clamp(0, (1 << 43) - 1) << Self::COUNTER_BITS)
    }

    /// The last place of the same millisecond.
    #[must_use]
    pub fn last_of_millisecond(self) -> Self {
        Self(self.0 | ((1 << Self::COUNTER_BITS) - 1))
    }

    /// The next place; `None` at the end of the range.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// Name of an envelope. Text form `evt_` and 32 hex digits when made here; a publisher may bring any other text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum EnvelopeId {
    /// Made by a store; carries the place.
    Made(Uuid),
    /// Brought by a publisher.
    Given(Arc<str>),
}

/// Random bits of a made id.
const NONCE_BITS: u32 = 54;

impl EnvelopeId {
    /// The id of the message at `seq`; the low 54 bits of `nonce` make it unguessable.
    #[must_use]
    pub fn made(seq: Seq, nonce: u64) -> Self {
        let seq = seq.0.unsigned_abs();
        let (millis, counter) =
            (u128::from(seq >> Seq::COUNTER_BITS), u128::from(seq & ((1 << Seq::COUNTER_BITS) - 1)));
        let nonce = u128::from(nonce & ((1 << NONCE_BITS) - 1));
        // 48 bits time, 4 version, 12 counter, 2 variant, 8 counter, 54 random
        let bits = (millis << 80)
            | (7 << 76)
            | ((counter >> 8) << 64)
            | (0b10 << 62)
            | ((counter & 0xff) << NONCE_BITS)
            | nonce;
        Self::Made(Uuid::from_u128(bits))
    }

    /// Place and random bits of a made id; `None` for a given one.
    #[must_use]
    pub fn place(&self) -> Option<(Seq, u64)> {
        let Self::Made(uuid) = self else { return None };
        let bits = uuid.as_u128();
        let millis = i64::try_from(bits >> 80).ok().filter(|m| *m < (1 << 43))?;
        let counter = (((bits >> 64) & 0xfff) << 8) | ((bits >> NONCE_BITS) & 0xff);
        let counter = i64::try_from(counter).ok()?;
        let nonce = u64::try_from(bits & ((1 << NONCE_BITS) - 1)).ok()?;
        Some((Seq((millis << Seq::COUNTER_BITS) | counter), nonce))
    }
}

/// Reads the text form. Never fails: what has not the form of a made id is a given one.
impl From<&str> for EnvelopeId {
    fn from(text: &str) -> Self {
        let made = text
            .strip_prefix("evt_")
            .filter(|hex| hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
            .and_then(|hex| Uuid::try_parse(hex).ok())
            .filter(|uuid| uuid.get_version_num() == 7);
        made.map_or_else(|| Self::Given(Arc::from(text)), Self::Made)
    }
}

impl fmt::Display for EnvelopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made(uuid) => {
                let (high, low) = uuid.as_u64_pair();
                Stack::<36>::new().push(b"evt_").hex(high).hex(low).write(f)
            }
            Self::Given(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for EnvelopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Proof that its holder may settle or extend one message. Text form `lease_` and 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseId {
    /// The message.
    pub seq: Seq,
    /// Random; a new one with every lease.
    pub token: u64,
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Stack::<38>::new().push(b"lease_").hex(self.seq.0.cast_unsigned()).hex(self.token).write(f)
    }
}

impl fmt::Debug for LeaseId {
    /// Shows the message only: the token is a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lease_{:016x}..", self.seq.0)
    }
}

/// Text that cannot be a lease of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a lease id")]
pub struct NotALeaseId;

impl FromStr for LeaseId {
    type Err = NotALeaseId;

    fn from_str(text: &str) -> Result<Self, NotALeaseId> {
        let hex = text
            .strip_prefix("lease_")
            .filter(|hex| hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        let bits = hex.and_then(|hex| u128::from_str_radix(hex, 16).ok()).ok_or(NotALeaseId)?;
        let seq = i64::try_from(bits >> 64).map_err(|_too_large| NotALeaseId)?;
        let token = u64::try_from(bits & u128::from(u64::MAX)).map_err(|_too_large| NotALeaseId)?;
        Ok(Self { seq: Seq(seq), token })
    }
}

/// Name of one delivery attempt: `att_` and 16 hex digits, counted up by the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub i64);

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "att_{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_id_carries_its_place() {
        for (millis, counter, nonce) in
            [(0, 0, 0), (1_790_000_000_000, 1_048_575, (1 << 54) - 1), ((1 << 43) - 1, 77, 12345)]
        {
            let seq = Seq((millis << 20) | counter);
            let id = EnvelopeId::made(seq, nonce);
            assert_eq!(id.place(), Some((seq, nonce)));
            let text = id.to_string();
            assert_eq!(text.len(), 36);
            assert_eq!(EnvelopeId::from(text.as_str()), id);
            let EnvelopeId::Made(uuid) = id else { panic!("made ids are UUIDs") };
            assert_eq!((uuid.get_version_num(), uuid.get_variant()), (7, uuid::Variant::RFC4122));
        }
    }

    #[test]
    fn made_ids_sort_by_place() {
        let ids: Vec<String> =
            (0..5000).step_by(13).map(|n| EnvelopeId::made(Seq((9 << 20) + n), 5).to_string()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn any_other_text_is_a_given_id() {
        for text in ["", "p1", "evt_1", "evt_0000000000004000800000000000000A", "EVT_00000000000070008000000000000000"]
        {
            assert_eq!(EnvelopeId::from(text).to_string(), text);
            assert_eq!(EnvelopeId::from(text).place(), None);
        }
    }

    #[test]
    fn lease_ids_read_back_and_hide_their_token() {
        let id = LeaseId { seq: Seq(42), token: u64::MAX };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(!format!("{id:?}").contains("ffff"));
        for text in [
            "",
            "lease_",
            "lease_xyz",
            "lease_ffffffffffffffff0000000000000000",
            "evt_00000000000000000000000000000000",
        ] {
            assert_eq!(text.parse::<LeaseId>(), Err(NotALeaseId), "{text}");
        }
    }
}
