//! The value inside an answer: KV version 1 has the fields in `data`, version 2 in `data.data`.

use std::collections::BTreeMap;

use hookaido_auth::SecretValue;
use serde_json::value::RawValue;

/// The field that is meant where none is named.
const DEFAULT: &str = "value";

/// Values stay as written: a number keeps its digits.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// The text of a field. Without a name: of `value`, or of the only one.
///
/// # Errors
/// Why there is none. Names fields, shows no values.
pub(super) fn select(body: &[u8], field: Option<&str>) -> Result<SecretValue, String> {
    let answer: Fields<'_> = serde_json::from_slice(body)
        .map_err(|_invalid| "the answer is no JSON object: check HOOKAIDO_VAULT_ADDR".to_owned())?;
    let outer = answer.get("data").and_then(|data| fields(data));
    let outer =
        outer.ok_or_else(|| "the answer has no object `data`: check that the path is one of a KV engine".to_owned())?;
    let inner = outer.get("data").and_then(|data| fields(data));
    let newest = inner.as_ref().unwrap_or(&outer);
    let (name, value) = match field {
        Some(name) => (name, newest.get(name).or_else(|| outer.get(name))),
        None if newest.contains_key(DEFAULT) => (DEFAULT, newest.get(DEFAULT)),
        None if newest.len() == 1 => {
            newest.iter().next().map_or(("", None), |(name, value)| (name.as_str(), Some(value)))
        }
        None => {
            return Err(format!("{} fields are there and none is `{DEFAULT}`: name one with `#FIELD`", newest.len()));
        }
    };
    let value = value.ok_or_else(|| format!("there is no field `{name}`: name another, or add it to the vault"))?;
    scalar(value).ok_or_else(|| format!("the field `{name}` is no text, number or truth value: name one that is"))
}

fn fields(value: &RawValue) -> Option<Fields<'_>> {
    serde_json::from_str(value.get()).ok()
}

fn scalar(value: &RawValue) -> Option<SecretValue> {
    let text = value.get();
    match text.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(text).ok().map(SecretValue::new),
        b'{' | b'[' | b'n' => None,
        _ => Some(SecretValue::new(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, field: &str) -> Result<String, String> {
        let field = (!field.is_empty()).then_some(field);
        select(body.as_bytes(), field).map(|value| String::from_utf8(value.bytes().to_vec()).unwrap())
    }

    #[test]
    fn both_versions_and_every_scalar_are_read() {
        let one = r#"{"data": {"token": "a\"b", "n": 1.50, "big": 12345678901234567890123, "on": true}}"#;
        let two = r#"{"data": {"data": {"token": "x", "metadata": "mine"}, "metadata": {"version": 1}, "other": "y"}}"#;
        assert_eq!(read(one, "token").unwrap(), "a\"b");
        assert_eq!(read(one, "n").unwrap(), "1.50");
        assert_eq!(read(one, "big").unwrap(), "12345678901234567890123");
        assert_eq!(read(one, "on").unwrap(), "true");
        assert_eq!(read(two, "token").unwrap(), "x");
        assert_eq!(read(two, "metadata").unwrap(), "mine");
        assert_eq!(read(two, "other").unwrap(), "y");
    }

    #[test]
    fn a_default_is_value_or_the_only_field() {
        assert_eq!(read(r#"{"data": {"value": "v", "b": "w"}}"#, "").unwrap(), "v");
        assert_eq!(read(r#"{"data": {"data": {"value": "v", "b": "w"}}}"#, "").unwrap(), "v");
        assert_eq!(read(r#"{"data": {"only": "o"}}"#, "").unwrap(), "o");
        assert_eq!(read(r#"{"data": {"data": "text"}}"#, "").unwrap(), "text");
        assert!(read(r#"{"data": {"a": "s3", "b": "s3"}}"#, "").unwrap_err().starts_with("2 fields are there"));
        assert!(read(r#"{"data": {}}"#, "").unwrap_err().starts_with("0 fields are there"));
    }

    #[test]
    fn what_is_no_scalar_or_not_there_is_named_and_not_shown() {
        let body = r#"{"data": {"o": {"k": "s3cret"}, "l": ["s3cret"], "z": null}}"#;
        for field in ["o", "l", "z"] {
            let error = read(body, field).unwrap_err();
            assert!(
                error.starts_with(&format!("the field `{field}` is no text")) && !error.contains("s3cret"),
                "{error}"
            );
        }
        assert!(read(body, "nope").unwrap_err().contains("no field `nope`"));
        let deleted = r#"{"data": {"data": null, "metadata": {}}}"#;
        assert!(read(deleted, "a").is_err() && read(deleted, "").is_err());
        for other in ["not json", "[]", "7", r#"{"x": 1}"#, r#"{"data": "text"}"#, r#"{"data": null}"#] {
            assert!(read(other, "").is_err(), "{other}");
        }
    }
}
