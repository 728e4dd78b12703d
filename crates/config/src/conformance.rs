//! Comparison with recorded verdicts and meanings of Hookaido 2.11.0 (`tests/data/config.jsonl`).
//!
//! Flattens a compiled configuration into the keys that the records use, so that any file of their form can be checked: by the test
//! of this crate and by `cargo xtask conformance`. Built only for those two.

mod flatten;

use std::collections::BTreeMap;

use hookaido_syntax::LineIndex;
use serde_json::Value;

use crate::{Compiled, FixedEnvironment, compile};

/// One record.
#[derive(Debug, serde::Deserialize)]
pub struct Record {
    /// Name of the record.
    pub id: String,
    /// A configuration file.
    pub text: String,
    /// Whether the reference accepts it.
    pub ok: bool,
    /// Values that differ from the defaults, if it is accepted; without them only the verdict counts.
    pub means: Option<BTreeMap<String, Value>>,
}

/// Values of a file with one pulled route, of a route, and of a target.
#[derive(Debug, serde::Deserialize)]
pub struct Defaults {
    globals: BTreeMap<String, Value>,
    route: BTreeMap<String, Value>,
    delivery: BTreeMap<String, Value>,
}

/// The environment in which the records were made.
#[must_use]
pub fn environment() -> FixedEnvironment {
    FixedEnvironment::with_vars([
        ("X", "x-value"),
        ("A", "a-value"),
        ("URL", "https://env.example/hook"),
        // Of whoever made the records; one of them uses it.
        ("HOME", "/tmp"),
    ])
}

/// What differs between a record and what this compiler says; empty if nothing does.
#[must_use]
pub fn differences(record: &Record, defaults: &Defaults) -> Vec<String> {
    let compiled = compile(record.text.as_bytes(), &environment());
    let mut found = Vec::new();
    match (record.ok, &compiled.config) {
        (false, None) => {}
        (true, None) => {
            found.push("accepted by the reference, refused here".to_owned());
            found.extend(problems(&compiled));
        }
        (false, Some(_)) => found.push("refused by the reference, accepted here".to_owned()),
        (true, Some(config)) => {
            if let Some((means, unused)) = record.means.as_ref().zip(compiled.unused.as_ref()) {
                found.extend(compare(means, defaults, &flatten::flatten(config, unused)));
            }
        }
    }
    found
}

/// The errors of a file, one a line.
fn problems(compiled: &Compiled) -> Vec<String> {
    let lines = LineIndex::new(compiled.tree.text());
    compiled.errors().map(|d| format!("{} {} {}", lines.position(d.span.start), d.code, d.message)).collect()
}

fn compare(means: &BTreeMap<String, Value>, defaults: &Defaults, ours: &BTreeMap<String, Value>) -> Vec<String> {
    let mut keys: Vec<&String> = ours.keys().chain(means.keys()).chain(defaults.globals.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut found = Vec::new();
    for key in keys {
        let mine = ours.get(key).unwrap_or(&Value::Null);
        let theirs = means.get(key).or_else(|| default_of(key, defaults)).unwrap_or(&Value::Null);
        // A list that is shorter than by default is recorded as nothing.
        let shorter = is_empty(mine)
            && !means.contains_key(key)
            && (key == "PullAPI.AuthTokens.0" || key.ends_with(".Pull.Path"));
        // What the reference fills in at run time only is recorded where it is written, even if as by default.
        let filled =
            flatten::RUNTIME_DEFAULTS.iter().any(|(name, value)| key.ends_with(name) && theirs == &value.to_json());
        let agree = same(mine, theirs) || shorter || (filled && is_empty(mine));
        if !agree {
            found.push(format!("{key}: reference {theirs}, here {mine}"));
        }
    }
    found
}

fn default_of<'a>(key: &str, defaults: &'a Defaults) -> Option<&'a Value> {
    let Some(rest) = key.strip_prefix("Routes.") else { return defaults.globals.get(key) };
    let (_, name) = rest.split_once('.')?;
    match name.strip_prefix("Deliveries.") {
        Some(rest) => rest.split_once('.').and_then(|(_, name)| defaults.delivery.get(name)),
        // The record's defaults are those of a pulled route called `/hooks/a`.
        None if name == "Path" => None,
        None => defaults.route.get(name),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || text == "0001-01-01T00:00:00Z",
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    if is_empty(a) && is_empty(b) {
        return true;
    }
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::String(a), Value::String(b)) => a == b || (instant(a).is_some() && instant(a) == instant(b)),
        _ => a == b,
    }
}

fn instant(text: &str) -> Option<hookaido_model::UnixMillis> {
    hookaido_model::UnixMillis::parse_rfc3339(text).ok()
}

#[cfg(test)]
mod tests;
