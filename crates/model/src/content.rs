//! What a message carries: body, headers, trace.
//!
//! Headers and trace are kept as the text of a JSON object from string to string, the form in which they are stored and
//! shown, so that handing a message to a worker parses nothing.

use bytes::Bytes;

/// Body and annotations of a message. Immutable; shared by all targets a route fans out to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The request body, byte for byte.
    pub payload: Bytes,
    /// Header names in canonical form (`Content-Type`); several values of one name are joined by `,`.
    pub headers: JsonMap,
    /// Where it came from (`path`, `remote_addr`, ...).
    pub trace: JsonMap,
}

/// The text of a JSON object whose values are strings. Empty maps are stored as no bytes at all.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct JsonMap(Bytes);

/// Bytes that are not a JSON object of strings.
#[derive(Debug, thiserror::Error)]
#[error("not a JSON object of strings: {0}")]
pub struct JsonMapError(#[from] serde_json::Error);

impl JsonMap {
    /// Writes the pairs in the order given. Names should be unique; nothing checks.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = Vec::with_capacity(256);
        for (name, value) in pairs {
            text.push(if text.is_empty() { b'{' } else { b',' });
            push_string(&mut text, name);
            text.push(b':');
            push_string(&mut text, value);
        }
        if !text.is_empty() {
            text.push(b'}');
        }
        Self(Bytes::from(text))
    }

    /// Takes bytes that [`JsonMap::as_bytes`] gave earlier, from a store. Does not check them.
    #[must_use]
    pub fn from_stored(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The stored form: no bytes for an empty map.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The JSON text; `{}` for an empty map.
    #[must_use]
    pub fn as_json(&self) -> &[u8] {
        if self.0.is_empty() { b"{}" } else { &self.0 }
    }

    /// The pairs, in stored order.
    ///
    /// # Errors
    /// The stored text is damaged.
    pub fn pairs(&self) -> Result<Vec<(String, String)>, JsonMapError> {
        if self.0.is_empty() {
            return Ok(Vec::new());
        }
        Ok(serde_json::from_slice::<Pairs>(&self.0)?.0)
    }

    /// The value of one name, compared byte for byte.
    ///
    /// # Errors
    /// The stored text is damaged.
    pub fn get(&self, name: &str) -> Result<Option<String>, JsonMapError> {
        Ok(self.pairs()?.into_iter().find(|(n, _)| n == name).map(|(_, v)| v))
    }
}

impl std::fmt::Debug for JsonMap {
    /// Header values may be credentials: shows the size only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JsonMap({} bytes)", self.0.len())
    }
}

/// Pairs in the order of the text, which a map type would lose.
struct Pairs(Vec<(String, String)>);

impl<'de> serde::Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Pairs;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of strings")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// Appends `text` as a JSON string. Plain ASCII, the usual case, is copied in one piece.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        out.extend_from_slice(text.as_bytes());
    } else {
        for c in text.chars() {
            match c {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                c if c < ' ' => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_read_back_in_order() {
        let pairs = [("X-B", "1"), ("A", "quote \" back \\ tab \t nul \0 ü"), ("", "")];
        let map = JsonMap::from_pairs(pairs);
        let back = map.pairs().unwrap();
        assert_eq!(back.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>(), pairs);
        assert_eq!(map.get("X-B").unwrap().as_deref(), Some("1"));
        assert!(serde_json::from_slice::<serde_json::Value>(map.as_json()).unwrap().is_object());
    }

    #[test]
    fn an_empty_map_takes_no_bytes() {
        let map = JsonMap::from_pairs([]);
        assert!(map.is_empty() && map.as_bytes().is_empty());
        assert_eq!(map.as_json(), b"{}");
        assert!(map.pairs().unwrap().is_empty());
    }

    #[test]
    fn damaged_text_is_an_error() {
        for text in ["{", "[]", "{\"a\":1}"] {
            assert!(JsonMap::from_stored(Bytes::from_static(text.as_bytes())).pairs().is_err());
        }
    }
}
