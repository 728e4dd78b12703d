//! The bytes of a bundle: messages one behind the other, as they came.
//!
//! Each is a head of fixed size (place, random bits of the id, three lengths; little-endian) followed by headers, trace and payload.
//! Only messages that are ready at once, in the millisecond of their place, are bundled, so nothing else need be said of them.

use bytes::Bytes;
use hookaido_model::{Content, EnvelopeId, JsonMap, Seq};

use crate::row;

/// Bytes of content at which a bundle takes no further message. Little, because one message that stays keeps all of it.
pub(crate) const ENOUGH_BYTES: usize = 32 << 10;
/// Messages at which a bundle takes no further one.
pub(crate) const ENOUGH_MESSAGES: u32 = 256;
/// Places between the first and the last message, at most. Bounds the search for the bundle of a message.
pub(crate) const SPAN: i64 = 250 << Seq::COUNTER_BITS;

/// Bytes before each message.
const HEAD: usize = 28;

/// One message of a bundle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'b> {
    /// Where it begins.
    pub(crate) offset: usize,
    pub(crate) seq: Seq,
    /// Random bits of its id.
    pub(crate) nonce: i64,
    headers: &'b [u8],
    trace: &'b [u8],
    payload: &'b [u8],
}

impl Part<'_> {
    /// Its id.
    pub(crate) fn id(&self) -> EnvelopeId {
        row::id(self.seq, self.nonce, None)
    }

    /// Bytes of its content.
    pub(crate) fn size(&self) -> usize {
        self.headers.len() + self.trace.len() + self.payload.len()
    }

    /// Where the next message begins.
    pub(crate) fn end(&self) -> usize {
        self.offset + HEAD + self.size()
    }

    /// A copy of its content, in one allocation, that does not keep the bundle.
    pub(crate) fn content(&self) -> Content {
        let mut whole = Bytes::from([self.headers, self.trace, self.payload].concat());
        let headers = JsonMap::from_stored(whole.split_to(self.headers.len()));
        let trace = JsonMap::from_stored(whole.split_to(self.trace.len()));
        Content { payload: whole, headers, trace }
    }

    /// Headers, trace and payload as table `content` has them.
    pub(crate) fn columns(&self) -> (&[u8], &[u8], &[u8]) {
        (self.headers, self.trace, self.payload)
    }
}

/// Appends a message.
pub(crate) fn append(bytes: &mut Vec<u8>, seq: Seq, nonce: i64, content: &Content) {
    let parts = [content.headers.as_bytes(), content.trace.as_bytes(), content.payload.as_ref()];
    bytes.reserve(HEAD + parts.iter().map(|part| part.len()).sum::<usize>());
    bytes.extend_from_slice(&seq.0.to_le_bytes());
    bytes.extend_from_slice(&nonce.to_le_bytes());
    for part in parts {
        // Whatever is bundled is smaller than ENOUGH_BYTES.
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
    }
    for part in parts {
        bytes.extend_from_slice(part);
    }
}

/// The message that begins at `offset`; `None` at the end of the bundle, and where the bytes are damaged.
pub(crate) fn part_at(bytes: &[u8], offset: usize) -> Option<Part<'_>> {
    let (head, rest) = bytes.get(offset..)?.split_at_checked(HEAD)?;
    let number = |at: usize| head.get(at..at + 8)?.try_into().ok().map(i64::from_le_bytes);
    let length = |at: usize| usize::try_from(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?)).ok();
    let (headers, rest) = rest.split_at_checked(length(16)?)?;
    let (trace, rest) = rest.split_at_checked(length(20)?)?;
    let payload = rest.get(..length(24)?)?;
    Some(Part { offset, seq: Seq(number(0)?), nonce: number(8)?, headers, trace, payload })
}

/// All messages, in order of their places.
pub(crate) fn parts(bytes: &[u8]) -> impl Iterator<Item = Part<'_>> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let part = part_at(bytes, next)?;
        next = part.end();
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(payload: &[u8]) -> Content {
        Content { payload: Bytes::copy_from_slice(payload), headers: JsonMap::default(), trace: JsonMap::default() }
    }

    #[test]
    fn what_is_appended_is_read_in_order() {
        let mut bytes = Vec::new();
        for (at, payload) in ["one", "", "three"].iter().enumerate() {
            append(&mut bytes, Seq(i64::try_from(at).unwrap()), -7, &content(payload.as_bytes()));
        }
        let read: Vec<_> = parts(&bytes).map(|part| (part.seq.0, part.nonce, part.content().payload)).collect();
        assert_eq!(read, [(0, -7, "one".into()), (1, -7, "".into()), (2, -7, "three".into())]);
        let last = parts(&bytes).last().unwrap();
        assert_eq!(part_at(&bytes, last.offset).unwrap().content().payload, "three");
    }

    proptest! {
        #[test]
        fn damaged_bytes_end_the_bundle(bytes: Vec<u8>, offset in 0usize..64) {
            let total: usize = parts(&bytes).map(|part| part.size() + HEAD).sum();
            prop_assert!(total <= bytes.len());
            let _none_or_within = part_at(&bytes, offset);
        }
    }
}
