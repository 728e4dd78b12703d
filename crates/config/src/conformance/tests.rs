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
