//! `docs/compatibility.md` names every deliberate difference and every scenario of our own, and no others.
#![expect(clippy::expect_used, reason = "tests may stop at the first surprise")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use e2e::scenario;
use serde_json::Value;

/// The page, without its line breaks.
fn page() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compatibility.md");
    fs::read_to_string(file).expect("docs/compatibility.md is there")
}

/// What stands between backticks.
fn quoted(page: &str) -> BTreeSet<&str> {
    page.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

fn data(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name);
    serde_json::from_str(&fs::read_to_string(file).expect("the file is there")).expect("it is JSON")
}

#[test]
fn every_pinned_difference_is_on_one_line_with_what_pins_it() {
    let (page, expected, reasons) = (page(), data("expected.json"), data("accept.json"));
    let differs = expected.get("differs").and_then(Value::as_object).expect("a list of differences");
    assert!(!differs.is_empty());
    for (recorded, ours) in differs {
        assert!(reasons.get(recorded).is_some(), "{recorded} has no reason");
        let ours = ours.as_str().expect("the name of a scenario");
        let together = page.lines().map(quoted).any(|words| words.contains(recorded.as_str()) && words.contains(ours));
        assert!(together, "docs/compatibility.md: no row names {recorded} and {ours}");
    }
}

#[test]
fn every_scenario_of_ours_is_named_and_every_name_exists() {
    let page = page();
    let named = quoted(&page);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let all = scenario::names(&folder).unwrap_or_else(|error| panic!("{}", error.0));
    for name in all.iter().filter(|name| name.starts_with("ours/")) {
        assert!(named.contains(name.as_str()), "docs/compatibility.md does not name {name}");
    }
    let areas: BTreeSet<&str> = all.iter().filter_map(|name| name.split_once('/')).map(|(area, _)| area).collect();
    let is_scenario = |word: &&&str| word.split_once('/').is_some_and(|(area, _)| areas.contains(area));
    for name in named.iter().filter(is_scenario).filter(|name| **name != "ours/NAME") {
        assert!(all.iter().any(|known| known == name), "docs/compatibility.md: there is no scenario {name}");
    }
}
