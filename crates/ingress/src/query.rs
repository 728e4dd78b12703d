//! Conditions on the query of a URL, read as a form (`application/x-www-form-urlencoded`).

use std::borrow::Cow;

/// Whether the query has a parameter of this name, with this value where one is given. Any of several is enough. Pairs that are not
/// well-formed, such as those with `;` or a broken escape, do not count.
pub(crate) fn has(query: &str, name: &str, value: Option<&str>) -> bool {
    query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')).any(|pair| {
        let (key, given) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(key), Some(given)) = (decode(key), decode(given)) else { return false };
        *key == *name.as_bytes() && value.is_none_or(|value| *given == *value.as_bytes())
    })
}

/// Undoes `+` and `%XX`; `None` where an escape is broken.
fn decode(text: &str) -> Option<Cow<'_, [u8]>> {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|b| matches!(b, b'%' | b'+')) {
        return Some(Cow::Borrowed(bytes));
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex(*rest.next()?)? << 4 | hex(*rest.next()?)?,
            other => *other,
        });
    }
    Some(Cow::Owned(decoded))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_count_exactly_after_decoding() {
        for (query, found) in [
            ("env=pro+d", true),
            ("env=pro%20d&x=1", true),
            ("env=a&env=pro%20d", true),
            ("%65nv=pro%20d", true),
            ("env=prod", false),
            ("Env=pro%20d", false),
            ("", false),
            ("env", false),
            ("env=pro%2", false),
            ("env=pro%zzd&env=pro+d", true),
            ("env=pro+d;x=1", false),
        ] {
            assert_eq!(has(query, "env", Some("pro d")), found, "{query}");
        }
    }

    #[test]
    fn a_name_without_value_is_there() {
        for (query, found) in
            [("token", true), ("token=", true), ("a=1&token=x", true), ("a=1;token=2", false), ("tok", false)]
        {
            assert_eq!(has(query, "token", None), found, "{query}");
        }
    }
}
