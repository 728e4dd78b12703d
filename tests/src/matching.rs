//! Compares what was seen with what a scenario expects: plain values, matchers such as `$int`, and array forms.
//!
//! An expected object lists the members that must match, others are fine; an expected array must have the same
//! length unless it says `{"$has": [..]}`. Every difference is one line that starts with where it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex_lite::Regex;
use serde_json::Value;

/// What differs between `want` and `got`; `at` says where in the document they are.
pub fn diff(want: &Value, got: &Value, at: &str) -> Vec<String> {
    let same = match want {
        Value::String(text) => return diff_text(text, got, at),
        Value::Object(_) => return diff_object(want, got, at),
        Value::Array(items) => return diff_array(items, got, at),
        Value::Number(_) => same_number(want, got),
        Value::Bool(_) | Value::Null => want == got,
    };
    if same { vec![] } else { vec![wanted(at, want, got)] }
}

/// A value as compact JSON, cut after `max` characters.
pub fn short(value: &Value, max: usize) -> String {
    cut(&value.to_string(), max)
}

/// A text as JSON, cut after `max` characters.
pub fn short_text(text: &str, max: usize) -> String {
    cut(&Value::from(text).to_string(), max)
}

fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn wanted(at: &str, want: &Value, got: &Value) -> String {
    format!("{at}: want {}, got {}", short(want, 160), short(got, 160))
}

fn same_number(want: &Value, got: &Value) -> bool {
    match (want.as_i64(), got.as_i64()) {
        (Some(want), Some(got)) => want == got,
        _ => got.is_number() && want.as_f64() == got.as_f64(),
    }
}

fn diff_object(want: &Value, got: &Value, at: &str) -> Vec<String> {
    let Value::Object(members) = want else { return vec![] };
    if members.len() == 1 {
        if let Some(Value::Array(items)) = members.get("$unordered") {
            return diff_unordered(items, got, at, true);
        }
        if let Some(Value::Array(items)) = members.get("$has") {
            return diff_unordered(items, got, at, false);
        }
    }
    let Value::Object(found) = got else {
        return vec![format!("{at}: want an object, got {}", short(got, 160))];
    };
    let mut diffs = vec![];
    for (key, value) in members {
        let inner = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        match found.get(key) {
            Some(got) => diffs.extend(diff(value, got, &inner)),
            None if value == "$absent" => {}
            None => diffs.push(format!("{inner}: missing, want {}", short(value, 160))),
        }
    }
    diffs
}

fn diff_array(want: &[Value], got: &Value, at: &str) -> Vec<String> {
    let Value::Array(found) = got else {
        return vec![format!("{at}: want an array, got {}", short(got, 160))];
    };
    if want.len() != found.len() {
        return vec![wrong_length(want.len(), found.len(), got, at)];
    }
    want.iter().zip(found).enumerate().flat_map(|(i, (want, got))| diff(want, got, &format!("{at}[{i}]"))).collect()
}

fn diff_unordered(want: &[Value], got: &Value, at: &str, all: bool) -> Vec<String> {
    let Value::Array(found) = got else {
        return vec![format!("{at}: want an array, got {}", short(got, 160))];
    };
    if all && want.len() != found.len() {
        return vec![wrong_length(want.len(), found.len(), got, at)];
    }
    let (mut left, mut diffs) = (found.clone(), vec![]);
    for item in want {
        match left.iter().position(|candidate| diff(item, candidate, "").is_empty()) {
            Some(i) => drop(left.remove(i)),
            None => diffs.push(format!(
                "{at}: no element matches {} in {}",
                short(item, 160),
                short(&Value::from(left.clone()), 300)
            )),
        }
    }
    diffs
}

fn wrong_length(want: usize, got: usize, found: &Value, at: &str) -> String {
    format!("{at}: want {want} elements, got {got}: {}", short(found, 300))
}

fn diff_text(want: &str, got: &Value, at: &str) -> Vec<String> {
    let text = got.as_str();
    let same = match want {
        "$any" => true,
        "$absent" => return vec![format!("{at}: want absent, got {}", short(got, 160))],
        "$string" => got.is_string(),
        "$nonempty" => !is_empty(got),
        "$int" => got.is_i64() || got.is_u64() || got.as_f64().is_some_and(|number| number.fract() == 0.0),
        "$number" => got.is_number(),
        "$bool" => got.is_boolean(),
        "$time" => text.is_some_and(is_time),
        "$id" => text.is_some_and(|text| !text.is_empty() && !text.contains(char::is_whitespace)),
        _ => match want.split_once(':') {
            Some(("$b64", plain)) => return diff_base64(plain, got, at),
            Some(("$re", pattern)) => text.is_some_and(|text| Regex::new(pattern).is_ok_and(|re| re.is_match(text))),
            Some(("$lit", literal)) => text == Some(literal),
            _ => text == Some(want),
        },
    };
    if same { vec![] } else { vec![wanted(at, &want.into(), got)] }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is_time(text: &str) -> bool {
    let form = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$";
    Regex::new(form).is_ok_and(|re| re.is_match(text))
}

fn diff_base64(want: &str, got: &Value, at: &str) -> Vec<String> {
    let Some(bytes) = got.as_str().and_then(|text| STANDARD.decode(text).ok()) else {
        return vec![format!("{at}: want base64 of {}, got {}", short_text(want, 160), short(got, 160))];
    };
    let plain = String::from_utf8_lossy(&bytes);
    if plain == want {
        return vec![];
    }
    vec![format!("{at}: want base64 of {}, got base64 of {}", short_text(want, 160), short_text(&plain, 160))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_matches() {
        for (want, got) in [
            (json!({"a": 1}), json!({"a": 1.0, "b": 2})),
            (json!({"a": "$absent"}), json!({})),
            (json!([1, "$any"]), json!([1, null])),
            (json!({"$has": [2]}), json!([1, 2])),
            (json!({"$unordered": [2, 1]}), json!([1, 2])),
            (json!("$int"), json!(3.0)),
            (json!("$time"), json!("2026-01-31T23:59:59.5+01:00")),
            (json!("$id"), json!("evt_1")),
            (json!("$b64:hi"), json!("aGk=")),
            (json!("$re:^\\d+$"), json!("12")),
            (json!("$lit:$any"), json!("$any")),
            (json!("$nonempty"), json!(0)),
        ] {
            assert_eq!(diff(&want, &got, ""), Vec::<String>::new(), "{want} {got}");
        }
    }

    #[test]
    fn what_does_not_match() {
        for (want, got) in [
            (json!({"a": 1}), json!({"a": true})),
            (json!({"a": "$absent"}), json!({"a": null})),
            (json!({"a": null}), json!({})),
            (json!([1]), json!([1, 2])),
            (json!({"$has": [1, 1]}), json!([1, 2])),
            (json!({"$unordered": [1]}), json!([1, 2])),
            (json!("$int"), json!(3.5)),
            (json!("$int"), json!("3")),
            (json!("$time"), json!("2026-01-31")),
            (json!("$id"), json!("a b")),
            (json!("$b64:hi"), json!("hi")),
            (json!("$re:^\\d+$"), json!(12)),
            (json!("$nonempty"), json!([])),
            (json!("x"), json!(null)),
        ] {
            assert_eq!(diff(&want, &got, "at").len(), 1, "{want} {got}");
        }
    }
}
