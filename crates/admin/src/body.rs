//! Bodies of requests: one JSON object, read strictly.
//!
//! Unknown and repeated members, trailing text, `null` and arrays in place of the object are refused.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use hookaido_http::json::parse_object;
use hookaido_http::{RequestBody, read_body};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::Table;
use crate::error::{Fault, Refusal};

/// Longest time for the body of a request.
const DEADLINE: Duration = Duration::from_secs(30);

/// Reads the whole body.
pub(crate) async fn read(table: &Table, body: RequestBody) -> Result<Bytes, Refusal> {
    Ok(read_body(body, table.max_body, DEADLINE, &table.bodies).await?)
}

/// Reads a body as one JSON object.
pub(crate) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    parse_object(body).map_err(|error| Fault::Body.because(format!("the body is not what this path takes: {error}")))
}

/// A string that is borrowed from the body where it has no escapes; `null` is the empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl Text<'_> {
    /// Without blanks around it.
    pub(crate) fn trimmed(&self) -> &str {
        self.0.trim()
    }

    /// The same; `None` when nothing is left.
    pub(crate) fn given(&self) -> Option<&str> {
        Some(self.trimmed()).filter(|text| !text.is_empty())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Borrowing<'a> {
            type Value = Text<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_unit<E: Error>(self) -> Result<Text<'a>, E> {
                Ok(Text::default())
            }
        }
        // `any`, so that a number or an object is an error of its own and `null` is seen.
        deserializer.deserialize_any(Borrowing(PhantomData))
    }
}

/// An object of strings, in order of the names; `null` is the empty one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs<'a>(pub(crate) Vec<(Text<'a>, Text<'a>)>);

impl Pairs<'_> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&*name.0, &*value.0))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Collect<'a> {
            type Value = Pairs<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }
            fn visit_unit<E: Error>(self) -> Result<Pairs<'a>, E> {
                Ok(Pairs::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'a>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry::<Text<'a>, Text<'a>>()? {
                    pairs.push(pair);
                }
                pairs.sort_unstable();
                let repeated = pairs.iter().zip(pairs.iter().skip(1)).find(|(a, b)| a.0 == b.0);
                match repeated {
                    Some(((name, _), _)) => Err(A::Error::custom(format_args!("`{}` is there twice", name.0))),
                    None => Ok(Pairs(pairs)),
                }
            }
        }
        deserializer.deserialize_any(Collect(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Sample<'a> {
        #[serde(borrow)]
        text: Text<'a>,
        #[serde(borrow)]
        map: Pairs<'a>,
    }

    #[test]
    fn plain_strings_are_borrowed_and_null_is_empty() {
        let sample: Sample<'_> = parse(br#"{"text":"plain","map":{"b":"2","a":"\n"}}"#).unwrap();
        assert!(matches!(sample.text.0, Cow::Borrowed("plain")));
        assert_eq!(sample.map.iter().collect::<Vec<_>>(), [("a", "\n"), ("b", "2")]);
        let sample: Sample<'_> = parse(br#" {"text":null,"map":null} "#).unwrap();
        assert!(sample.text.given().is_none() && sample.map.0.is_empty());
    }

    #[test]
    fn all_else_is_refused() {
        for body in [
            "",
            "null",
            "[]",
            r#"["x",{}]"#,
            r#"{"text":5}"#,
            r#"{"text":"a","text":"b"}"#,
            r#"{"Text":"a"}"#,
            r#"{"map":{"a":"1","a":"2"}}"#,
            r#"{"map":{"a":1}}"#,
            r#"{"map":[]}"#,
            r#"{"other":1}"#,
            "{} {}",
            "{",
        ] {
            assert!(parse::<Sample<'_>>(body.as_bytes()).is_err(), "{body}");
        }
    }
}
