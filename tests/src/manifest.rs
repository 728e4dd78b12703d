//! Which scenarios have to hold.
//!
//! A scenario has to hold unless `data/expected.json` says otherwise. `not-yet` maps a scenario, or an area such as
//! `push/`, to the capability that it awaits; one that holds has to be taken off, so the list can only shrink. `pass`
//! names scenarios that hold although their area is listed. `data/accept.json` gives the reason why we differ from a
//! recorded behaviour on purpose; `differs` names the scenario of our own (`ours/...`) that pins what we do instead.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::fail::{Attempt, Fail};

/// What is asked of one scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It has to hold.
    Must,
    /// It awaits this capability, and by itself rather than with its area.
    NotYet(String),
    /// Its whole area awaits this capability.
    AreaNotYet(String),
    /// We differ on purpose, for this reason.
    Differs(String),
}

/// The lists.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    not_yet: BTreeMap<String, String>,
    pass: BTreeSet<String>,
    pinned_by: BTreeMap<String, String>,
    reasons: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads the lists from a folder.
    pub fn load(data: &Path) -> Attempt<Self> {
        Self::parse(&read(&data.join("expected.json"))?, &read(&data.join("accept.json"))?)
    }

    fn parse(expected: &Value, accept: &Value) -> Attempt<Self> {
        let known = ["not-yet", "pass", "differs"];
        if let Some(key) =
            expected.as_object().into_iter().flatten().map(|(key, _)| key).find(|key| !known.contains(&key.as_str()))
        {
            return Err(Fail(format!("expected.json: unknown list {key}")));
        }
        let texts = |value: Option<&Value>| -> BTreeMap<String, String> {
            let members = value.and_then(Value::as_object).into_iter().flatten();
            members.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
        };
        let pass = expected.get("pass").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        Ok(Self {
            not_yet: texts(expected.get("not-yet")),
            pass: pass.map(str::to_owned).collect(),
            pinned_by: texts(expected.get("differs")),
            reasons: texts(Some(accept)),
        })
    }

    /// What is asked of a scenario.
    pub fn standing(&self, name: &str) -> Standing {
        if let Some(reason) = self.reasons.get(name) {
            return Standing::Differs(reason.clone());
        }
        if self.pass.contains(name) {
            return Standing::Must;
        }
        if let Some(awaited) = self.not_yet.get(name) {
            return Standing::NotYet(awaited.clone());
        }
        let area = self.not_yet.iter().find(|(area, _)| area.ends_with('/') && name.starts_with(area.as_str()));
        area.map_or(Standing::Must, |(_, awaited)| Standing::AreaNotYet(awaited.clone()))
    }

    /// How many differences have no scenario of our own yet.
    pub fn unpinned(&self) -> usize {
        self.reasons.keys().filter(|name| !self.pinned_by.contains_key(*name)).count()
    }

    /// What is wrong with the lists themselves, given the names of all scenarios.
    pub fn problems(&self, names: &[String]) -> Vec<String> {
        let exists = |name: &String| names.contains(name);
        let matches = |entry: &String| {
            exists(entry) || (entry.ends_with('/') && names.iter().any(|name| name.starts_with(entry.as_str())))
        };
        let unknown = |list: &str, name: &String| format!("{list}: there is no scenario {name}");
        let mut problems = vec![];
        problems.extend(self.not_yet.keys().filter(|name| !matches(name)).map(|name| unknown("not-yet", name)));
        problems.extend(self.pass.iter().filter(|name| !exists(name)).map(|name| unknown("pass", name)));
        problems.extend(self.reasons.keys().filter(|name| !exists(name)).map(|name| unknown("accept.json", name)));
        for (name, ours) in &self.pinned_by {
            if !self.reasons.contains_key(name) {
                problems.push(format!("differs: {name} has no reason in accept.json"));
            }
            if !exists(ours) {
                problems.push(unknown("differs", ours));
            }
        }
        problems
    }

    /// Areas of which everything holds, given what holds by name.
    pub fn finished_areas(&self, holds: &BTreeMap<&str, bool>) -> Vec<String> {
        let done = |area: &&String| {
            let mut inside = holds.iter().filter(|(name, _)| name.starts_with(area.as_str())).peekable();
            area.ends_with('/') && inside.peek().is_some() && inside.all(|(_, holds)| *holds)
        };
        self.not_yet.keys().filter(done).cloned().collect()
    }
}

fn read(file: &Path) -> Attempt<Value> {
    serde_json::from_str(&fs::read_to_string(file)?).map_err(|error| Fail(format!("{}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest() -> Manifest {
        let expected = json!({
            "not-yet": {"push/": "push", "pull/a": "pull"}, "pass": ["push/b"], "differs": {"push/c": "ours/c"}
        });
        Manifest::parse(&expected, &json!({"push/c": "better"})).unwrap()
    }

    #[test]
    fn the_most_exact_entry_counts() {
        let manifest = manifest();
        assert_eq!(manifest.standing("push/a"), Standing::AreaNotYet("push".to_owned()));
        assert_eq!(manifest.standing("push/b"), Standing::Must);
        assert_eq!(manifest.standing("push/c"), Standing::Differs("better".to_owned()));
        assert_eq!(manifest.standing("pull/a"), Standing::NotYet("pull".to_owned()));
        assert_eq!(manifest.standing("pull/b"), Standing::Must);
    }

    #[test]
    fn entries_for_nothing_are_problems() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(manifest().problems(&names(&["push/b", "push/c", "pull/a", "ours/c"])).is_empty());
        assert_eq!(manifest().problems(&[]).len(), 5);
        assert!(Manifest::parse(&json!({"not_yet": {}}), &json!({})).is_err());
    }

    #[test]
    fn an_area_that_holds_is_finished() {
        let manifest = manifest();
        assert_eq!(manifest.finished_areas(&BTreeMap::from([("push/a", true), ("push/b", true)])), ["push/"]);
        assert!(manifest.finished_areas(&BTreeMap::from([("push/a", false), ("pull/a", true)])).is_empty());
    }
}
