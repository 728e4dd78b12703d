//! Bytes of a file as text, without losing any of them.
//!
//! The language is UTF-8, but comments of old files may hold other bytes and such files must keep working. Each byte that is not UTF-8
//! becomes the character with its number (Latin-1, which is what such comments nearly always are) and its place is remembered.

/// Text of a file, and where it differs from the file's bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// The decoded text.
    pub(crate) text: String,
    /// Offsets in `text` of the two-byte characters that stand for one byte of the file; ascending.
    pub(crate) foreign: Vec<usize>,
}

/// Leaves out the text, which may hold secrets.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source {{ {} bytes }}", self.text.len())
    }
}

impl Source {
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(bytes.len());
        let mut foreign = Vec::new();
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            for &byte in chunk.invalid() {
                foreign.push(text.len());
                text.push(char::from(byte));
            }
        }
        Self { text, foreign }
    }

    /// The bytes of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.text.len());
        let mut foreign = self.foreign.iter().peekable();
        for (offset, c) in self.text.char_indices() {
            if foreign.next_if_eq(&&offset).is_some() {
                // A foreign character is always below 256, so nothing is lost here.
                bytes.extend(u8::try_from(c));
            } else {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        bytes
    }

    /// Offset in the file of an offset in the text.
    pub(crate) fn file_offset(&self, offset: usize) -> usize {
        offset - self.foreign.partition_point(|&at| at < offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_whatever_their_encoding() {
        for bytes in [&b""[..], b"a\xffb", b"\xc3\xa9 \xc3", b"\xed\xb2\x81", "\u{fffd}é".as_bytes()] {
            assert_eq!(Source::decode(bytes).encode(), bytes);
        }
        let source = Source::decode(b"a\xffb");
        assert_eq!((source.text.as_str(), source.file_offset(3)), ("aÿb", 2));
    }
}
