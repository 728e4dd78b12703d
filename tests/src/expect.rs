//! What a scenario expects of an answer, and in which words the differences are told.

use serde_json::{Map, Value};

use crate::matching::{diff, short, short_text};

/// What was seen: `status`, `headers`, `text`, `json` when the body is JSON, and what the step adds.
pub type Seen = Map<String, Value>;

/// What differs between an expectation and an answer.
pub fn diff_answer(want: &Value, seen: &Seen) -> Vec<String> {
    let Value::Object(want) = want else { return vec![] };
    let text = seen.get("text").and_then(Value::as_str).unwrap_or_default();
    let mut diffs: Vec<String> = want.iter().flat_map(|(key, value)| diff_member(key, value, seen, text)).collect();
    if diffs.iter().any(|line| line.starts_with("status:")) {
        diffs.push(format!("body was {}", short_text(text, 300)));
    }
    diffs
}

fn diff_member(key: &str, want: &Value, seen: &Seen, text: &str) -> Vec<String> {
    let millis = seen.get("ms").and_then(Value::as_u64).unwrap_or(0);
    let bound = want.as_u64().unwrap_or(0);
    match key {
        "headers" => diff_headers(want, seen.get("headers").unwrap_or(&Value::Null), "headers"),
        "min_ms" if millis < bound => vec![format!("took {millis} ms, want at least {bound}")],
        "max_ms" if millis > bound => vec![format!("took {millis} ms, want at most {bound}")],
        "min_ms" | "max_ms" => vec![],
        "json" if !seen.contains_key("json") => match serde_json::from_str::<Value>(text) {
            Ok(found) => diff(want, &found, "json"),
            Err(_) => vec![format!("json: body is not JSON: {}", short_text(text, 160))],
        },
        "text_has" => lacking(want, text)
            .map(|part| format!("text: {} not in {}", short_text(part, 160), short_text(text, 300)))
            .collect(),
        _ => diff(want, seen.get(key).unwrap_or(&Value::Null), key),
    }
}

/// Which of the expected parts a text lacks.
pub fn lacking<'a>(parts: &'a Value, text: &'a str) -> impl Iterator<Item = &'a str> {
    texts(parts).filter(move |part| !text.contains(part))
}

/// Which of the unwanted parts a text has.
pub fn containing<'a>(parts: &'a Value, text: &'a str) -> impl Iterator<Item = &'a str> {
    texts(parts).filter(move |part| text.contains(part))
}

fn texts(parts: &Value) -> impl Iterator<Item = &str> {
    parts.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// What differs between expected headers and those seen, whose names are in lower case. Of a content type only the
/// media type counts.
pub fn diff_headers(want: &Value, seen: &Value, at: &str) -> Vec<String> {
    let Value::Object(want) = want else { return vec![] };
    let mut diffs = vec![];
    for (name, value) in want {
        let name = name.to_lowercase();
        let got = seen.get(&name);
        match (got, value.as_str()) {
            (None, Some("$absent")) => {}
            (None, _) => diffs.push(format!("{at}.{name}: missing, want {}", short(value, 160))),
            (Some(got), Some(media)) if name == "content-type" && !media.starts_with('$') => {
                if media_type(media) != media_type(got.as_str().unwrap_or_default()) {
                    diffs.push(format!("{at}.{name}: want {media}, got {}", short(got, 160)));
                }
            }
            (Some(got), _) => diffs.extend(diff(value, got, &format!("{at}.{name}"))),
        }
    }
    diffs
}

/// `Text/Plain; charset=utf-8` as `text/plain`.
pub fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen() -> Seen {
        let json = json!({"status": 404, "headers": {"content-type": "text/plain; charset=x", "a": "1"}, "text": "no\n", "ms": 20});
        json.as_object().cloned().unwrap()
    }

    #[test]
    fn a_wrong_status_shows_the_body() {
        let diffs = diff_answer(&json!({"status": 200}), &seen());
        assert_eq!(diffs, ["status: want 200, got 404", "body was \"no\\n\""]);
    }

    #[test]
    fn times_texts_and_headers_are_compared() {
        let same = json!({"min_ms": 20, "max_ms": 20, "text_has": ["n"], "headers": {"Content-Type": "text/plain", "B": "$absent"}});
        assert_eq!(diff_answer(&same, &seen()), Vec::<String>::new());
        let other =
            json!({"min_ms": 21, "max_ms": 19, "text_has": ["x"], "json": {}, "headers": {"A": "2", "B": "$any"}});
        assert_eq!(diff_answer(&other, &seen()).len(), 6);
    }
}
