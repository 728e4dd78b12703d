//! The recorded texts: whatever the reference accepts parses and formats here.

use std::path::Path;

use serde_json::Value;

use crate::support::{formatted, is_sound, parsed};

struct Case {
    id: String,
    text: String,
    accepted: bool,
    /// Where the reference saw a problem of syntax, as `line:column`.
    at: Option<String>,
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/config.jsonl");
    let lines = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let case = |line: &str| {
        let case: Value = serde_json::from_str(line).expect("a JSON object per line");
        let string = |key: &str| case.get(key).and_then(Value::as_str).map(str::to_owned);
        Case {
            id: string("id").expect("an id"),
            text: string("text").expect("a text"),
            accepted: case.get("ok").and_then(Value::as_bool).expect("a verdict"),
            at: string("at"),
        }
    };
    lines.lines().map(case).collect()
}

#[test]
fn accepted_texts_parse_and_format() {
    let cases = cases();
    assert!(cases.len() > 1_600, "only {} recorded texts", cases.len());
    for case in cases {
        let (tree, diagnostics) = parsed(case.text.as_bytes());
        if case.accepted {
            assert_eq!(diagnostics, [], "{}: {}", case.id, case.text);
        }
        if is_sound(&diagnostics) {
            formatted(&tree);
        }
    }
}

#[test]
fn texts_refused_for_their_meaning_only_have_sound_syntax() {
    // Without a place, the reference read the whole text and disliked what it says. What we still report for such texts are the
    // checks of placeholders, and a file without any statement.
    let placeless = cases().into_iter().filter(|case| !case.accepted && case.at.is_none());
    for case in placeless {
        let (_, diagnostics) = parsed(case.text.as_bytes());
        for diagnostic in diagnostics {
            let expected = matches!(diagnostic.code, "E0002" | "E0003" | "E0010" | "E0011");
            assert!(expected, "{}: {diagnostic:?}\n{}", case.id, case.text);
        }
    }
}
