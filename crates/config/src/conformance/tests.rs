//! Every record, through the real compiler.

use super::{Defaults, Record, differences};

/// Records on which we differ on purpose, with the reason. Each is listed in `docs/compatibility.md`, too.
const DELIBERATE: &[(&str, &str)] = &[];

#[test]
fn every_record_has_the_same_verdict_and_meaning() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data");
    let defaults: Defaults =
        serde_json::from_str(&std::fs::read_to_string(format!("{data}/defaults.json")).unwrap()).unwrap();
    let mut failures = Vec::new();
    let mut count = 0;
    for line in std::fs::read_to_string(format!("{data}/config.jsonl")).unwrap().lines() {
        let record: Record = serde_json::from_str(line).unwrap();
        count += 1;
        let found = differences(&record, &defaults);
        let deliberate = DELIBERATE.iter().any(|(id, _)| *id == record.id);
        if found.is_empty() == deliberate {
            failures.push(format!("{}: {found:?}\n{}", record.id, record.text));
        }
    }
    assert!(count > 1000, "{count} records");
    assert!(failures.is_empty(), "{} of {count} differ\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn accepted_texts_get_as_many_warnings_as_the_reference_gives() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data");
    for line in std::fs::read_to_string(format!("{data}/config.jsonl")).unwrap().lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = record["text"].as_str().unwrap();
        if record["ok"] == true {
            let compiled = crate::compile(text.as_bytes(), &super::environment());
            let theirs = usize::try_from(record["warnings"].as_u64().unwrap_or(0)).unwrap();
            assert_eq!(compiled.warnings().count(), theirs, "{text}");
        }
    }
}

/// The steps of recorded command-line scenarios that validate a file: same exit code, and the same words in the report.
#[test]
fn scenarios_that_validate_find_what_they_look_for() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/scenarios/cli");
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let scenario = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let scenario: serde_json::Value = serde_json::from_str(&scenario).unwrap();
        for step in scenario["steps"].as_array().unwrap() {
            let words = step["args"].as_array().map(Vec::as_slice).unwrap_or_default();
            let words: Vec<&str> = words.iter().filter_map(serde_json::Value::as_str).collect();
            let ["config", "validate", "--config", file, ..] = words.as_slice() else { continue };
            let Some(text) = scenario["files"][*file].as_str() else { continue };
            // Reading secrets is the business of the command.
            if words.contains(&"--strict-secrets") {
                continue;
            }
            let compiled = crate::compile(text.as_bytes(), &crate::FixedEnvironment::default());
            assert_eq!(step["expect"]["rc"].as_i64(), Some(i64::from(!compiled.is_valid())), "{text}");
            let report = crate::validate_json(&compiled, file).to_string();
            for wanted in step["expect"]["stderr_has"].as_array().map(Vec::as_slice).unwrap_or_default() {
                assert!(report.contains(wanted.as_str().unwrap()), "{wanted} is not in {report}");
            }
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}
