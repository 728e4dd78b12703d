//! Scenario files: where they are, what one says, and whether it can be run at all.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::fail::{Attempt, Fail, fail};
use crate::step::Step;

/// Steps that prove nothing without an `expect`.
const CHECKING: [&str; 9] = ["request", "raw", "stream", "cli", "join", "metrics", "sink", "file", "log"];

/// One scenario file.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its path below the scenario folder, without the ending: `pull/nack`.
    pub name: String,
    /// The fact that it states.
    pub about: String,
    /// The file, for finding out which placeholders it uses.
    pub text: String,
    /// What is done, in order.
    pub steps: Vec<Step>,
    spec: Map<String, Value>,
}

impl Scenario {
    /// Reads `folder/name.json`.
    pub fn load(folder: &Path, name: &str) -> Attempt<Self> {
        let text = fs::read_to_string(folder.join(format!("{name}.json")))?;
        Self::parse(name, text)
    }

    fn parse(name: &str, text: String) -> Attempt<Self> {
        let spec: Map<String, Value> = serde_json::from_str(&text).map_err(|error| Fail(format!("{name}: {error}")))?;
        let Some(Value::Array(steps)) = spec.get("steps") else { return fail(format!("{name}: no steps")) };
        let steps: Vec<Step> = steps.iter().filter_map(Value::as_object).cloned().map(Step::new).collect();
        let blind = |step: &Step| {
            step.get("expect").is_none() && step.get("background").is_none() && CHECKING.contains(&step.kind())
        };
        if let Some(i) = steps.iter().position(blind) {
            return fail(format!("{name}: step {i} has no expect"));
        }
        let about = spec.get("about").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self { name: name.to_owned(), about, text, steps, spec })
    }

    /// A member of the file.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.spec.get(key)
    }

    /// A switch that is off unless the file says otherwise.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The server configuration before placeholders are replaced, if the scenario has one.
    pub fn config(&self) -> Option<String> {
        self.get("config").map(lines)
    }
}

/// A text that may be given as an array of lines.
pub fn lines(value: &Value) -> String {
    match value {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}

/// The names of all scenarios below `folder`, in order.
pub fn names(folder: &Path) -> Attempt<Vec<String>> {
    let (mut found, mut folders) = (vec![], vec![PathBuf::new()]);
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(folder.join(&inner))? {
            let entry = entry?;
            let path = inner.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "json") {
                found.push(path.with_extension("").to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_proves_nothing_is_refused() {
        let text = r#"{"steps": [{"do": "sleep", "ms": 1}, {"path": "/a"}]}"#;
        assert!(Scenario::parse("a", text.to_owned()).unwrap_err().0.contains("step 1 has no expect"));
        let text = r#"{"about": "x", "steps": [{"path": "/a", "background": "b"}]}"#;
        assert_eq!(Scenario::parse("a", text.to_owned()).unwrap().about, "x");
    }
}
