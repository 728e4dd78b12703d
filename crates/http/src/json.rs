//! Bodies that are one JSON object, read strictly: an API that ignores what it does not understand does what nobody asked for.
//!
//! Member names are exact. Repeated members are refused, unknown ones too where the type says `#[serde(deny_unknown_fields)]`; so are
//! arrays in place of an object, `null` in place of the document, and anything after it. What is wrong with a member is said with its name.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Reads a body.
///
/// # Errors
/// It is not one JSON object of this shape; the message says where and, for a member, which.
pub fn parse_object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice::<Object<T>>(body).map(|object| object.0)
}

/// A value that is written as an object, never as an array. For objects within the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapOnly<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for MapOnly<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(Named { map, name: "".into() })).map(Object)
            }
        }
        deserializer.deserialize_map(MapOnly(PhantomData))
    }
}

/// Members, of which the last one read is known by name.
struct Named<'de, A> {
    map: A,
    name: Cow<'de, str>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Named<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(Name(name)) = self.map.next_key()? else { return Ok(None) };
        self.name = name;
        seed.deserialize((&*self.name).into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed).map_err(|error| A::Error::custom(format_args!("`{}`: {error}", self.name)))
    }

    fn size_hint(&self) -> Option<usize> {
        self.map.size_hint()
    }
}

/// The name of a member, borrowed where it holds no escape.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a member")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Borrowed(text))
            }
            fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Text).map(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Body {
        count: Option<i64>,
        words: Vec<String>,
        items: Vec<Object<Item>>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Item {
        id: String,
    }

    fn complaint(body: &str) -> String {
        parse_object::<Body>(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn an_object_is_read() {
        let body = r#" { "co\u0075nt": 5, "words": ["a"], "items": [{"id": "x"}, {}] } "#;
        let want = Body {
            count: Some(5),
            words: vec!["a".to_owned()],
            items: vec![Object(Item { id: "x".to_owned() }), Object(Item::default())],
        };
        assert_eq!(parse_object::<Body>(body.as_bytes()).unwrap(), want);
        assert_eq!(parse_object::<Body>(b"{}").unwrap(), Body::default());
        assert_eq!(parse_object::<Body>(br#"{"count":null}"#).unwrap(), Body::default());
    }

    #[test]
    fn what_is_wrong_is_said_with_the_name_of_the_member() {
        for (body, name) in [
            (r#"{"count":"5"}"#, "`count`"),
            (r#"{"count":1.5}"#, "`count`"),
            (r#"{"words":[1]}"#, "`words`"),
            (r#"{"count":1,"count":2}"#, "`count`"),
            (r#"{"Count":1}"#, "`Count`"),
            (r#"{"items":[{"id":"a","x":1}]}"#, "`items`: unknown field `x`"),
            (r#"{"items":[{"id":5}]}"#, "`items`: `id`"),
        ] {
            let complaint = complaint(body);
            assert!(complaint.contains(name) && complaint.contains(" at line 1 column "), "{body}: {complaint}");
            assert_eq!(complaint.matches(" at line").count(), 1, "{complaint}");
        }
    }

    #[test]
    fn nothing_but_one_object_is_taken() {
        for body in ["", "null", "5", "[]", "[5,[]]", "{} {}", "{", "{}x", r#"{"items":[["x"]]}"#, "{\"count\":1,}"] {
            assert!(parse_object::<Body>(body.as_bytes()).is_err(), "{body}");
        }
    }
}
