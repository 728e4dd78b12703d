//! `cargo xtask conformance FILE.jsonl`: recorded texts through the real compiler.
//!
//! Prints what differs, then `N passed, N failed`. The form of the records is described in `tests/data`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use hookaido_config::conformance::{Defaults, Record, differences};

/// Checks every record of `file` against the defaults in `tests/data` of the workspace.
pub(crate) fn run(root: &Path, file: &Path) -> Result<ExitCode> {
    let defaults = root.join("tests/data/defaults.json");
    let defaults = fs::read_to_string(&defaults).with_context(|| format!("cannot read {}", defaults.display()))?;
    let defaults: Defaults = serde_json::from_str(&defaults).context("defaults.json has another form")?;
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (mut passed, mut failed) = (0usize, 0usize);
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let record: Record = serde_json::from_str(line).with_context(|| format!("line {} is no record", at + 1))?;
        let found = differences(&record, &defaults);
        if found.is_empty() {
            passed += 1;
            continue;
        }
        failed += 1;
        println!("{}:\n{}", record.id, indented(&record.text));
        found.iter().for_each(|difference| println!("  => {difference}"));
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
