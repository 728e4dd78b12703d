//! Placeholders: `{{ingress}}`, `{{dir}}`, `{{save:NAME}}` and the like in any text of a scenario.
//!
//! Owns the ports of a scenario and what its steps saved. Clones share what is saved, so the sink can answer with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use regex_lite::Regex;
use serde_json::{Map, Value};

use crate::clock;
use crate::fail::{Attempt, Fail, fail};
use crate::matching::short;
use crate::ports;

/// What a port can be called.
const PORTS: [&str; 8] = ["ingress", "pull", "admin", "metrics", "grpc", "sink", "down", "extra"];

/// What the placeholders of one scenario stand for.
#[derive(Debug, Clone)]
pub struct Names {
    dir: PathBuf,
    ports: BTreeMap<&'static str, u16>,
    started_at: i64,
    saved: Arc<Mutex<BTreeMap<String, Value>>>,
}

impl Names {
    /// Names for a scenario with this text, which runs in `dir`. Only the ports that it mentions are taken.
    pub fn new(scenario_text: &str, dir: &Path) -> Attempt<Self> {
        let mut found = BTreeMap::new();
        for name in PORTS {
            let always = matches!(name, "down" | "ingress" | "admin");
            if always || scenario_text.contains(&format!("{{{{{name}")) {
                found.insert(name, ports::free()?);
            }
        }
        Ok(Self { dir: dir.to_owned(), ports: found, started_at: clock::unix_now(), saved: Arc::default() })
    }

    /// The folder of the scenario.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The port with this name.
    pub fn port(&self, name: &str) -> Attempt<u16> {
        self.ports.get(name).copied().ok_or_else(|| Fail(format!("no {{{{{name}}}}} in this scenario")))
    }

    /// Keeps a value for `{{save:NAME}}`.
    pub fn save(&self, name: &str, value: Value) {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value);
    }

    /// Keeps what a step's `save` points at in `document`.
    pub fn save_from(&self, wanted: Option<&Value>, document: &Value) -> Attempt<()> {
        for (name, pointer) in wanted.and_then(Value::as_object).into_iter().flatten() {
            let pointer = self.expand(pointer.as_str().unwrap_or_default(), 0)?;
            match document.pointer(&pointer) {
                Some(value) => self.save(name, value.clone()),
                None => return fail(format!("save {name}: nothing at {pointer} in {}", short(document, 160))),
            }
        }
        Ok(())
    }

    /// A text with its placeholders replaced; `index` is what `{{i}}` stands for.
    pub fn expand(&self, text: &str, index: usize) -> Attempt<String> {
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        let form = Regex::new(r"\{\{([a-z_]+(?::[^{}]*)?)\}\}").map_err(|error| Fail(error.to_string()))?;
        let (mut out, mut from) = (String::with_capacity(text.len()), 0);
        for found in form.captures_iter(text) {
            let (Some(whole), Some(name)) = (found.get(0), found.get(1)) else { continue };
            out.push_str(text.get(from..whole.start()).unwrap_or_default());
            out.push_str(&self.value(name.as_str(), index)?);
            from = whole.end();
        }
        out.push_str(text.get(from..).unwrap_or_default());
        Ok(out)
    }

    /// The same for every text in a value, member names included; `{"fill": "a", "len": 3}` becomes `aaa`.
    pub fn deep(&self, value: &Value, index: usize) -> Attempt<Value> {
        Ok(match value {
            Value::String(text) => self.expand(text, index)?.into(),
            Value::Array(items) => items.iter().map(|item| self.deep(item, index)).collect::<Attempt<Vec<_>>>()?.into(),
            Value::Object(members) => match filled(members) {
                Some(text) => text.into(),
                None => {
                    let expanded =
                        |(key, item): (&String, &Value)| Ok((self.expand(key, index)?, self.deep(item, index)?));
                    Value::Object(members.iter().map(expanded).collect::<Attempt<Map<_, _>>>()?)
                }
            },
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    fn value(&self, name: &str, index: usize) -> Attempt<String> {
        if let Some(port) = self.ports.get(name) {
            return Ok(format!("127.0.0.1:{port}"));
        }
        if let Some(port) = name.strip_suffix("_port").and_then(|name| self.ports.get(name)) {
            return Ok(port.to_string());
        }
        let offset = |text: &str| text.parse::<i64>().map_err(|error| Fail(format!("{{{{{name}}}}}: {error}")));
        match (name, name.split_once(':')) {
            ("dir", _) => Ok(self.dir.to_string_lossy().into_owned()),
            ("i", _) => Ok(index.to_string()),
            (_, Some(("save", key))) => self.saved_text(key),
            (_, Some(("time", secs))) => Ok(clock::rfc3339(self.started_at + offset(secs)?)),
            (_, Some(("unix", secs))) => Ok((self.started_at + offset(secs)?).to_string()),
            _ => fail(format!("unknown placeholder {{{{{name}}}}}")),
        }
    }

    fn saved_text(&self, key: &str) -> Attempt<String> {
        let saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        saved.get(key).map(plain).ok_or_else(|| Fail(format!("nothing saved as {key}")))
    }
}

/// A text without quotes, any other value as JSON.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn filled(members: &Map<String, Value>) -> Option<String> {
    let (text, len) = (members.get("fill")?.as_str()?, members.get("len")?.as_u64()?);
    let wanted = usize::try_from(len).ok()?;
    (members.len() == 2).then(|| text.chars().cycle().take(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn placeholders_are_replaced() {
        let names = Names::new("{{pull}}", Path::new("/d")).unwrap();
        names.save_from(Some(&json!({"id": "/items/1/a~1b"})), &json!({"items": [0, {"a/b": "evt_1"}]})).unwrap();
        let port = names.port("pull").unwrap();
        let text = names.expand("{{pull}} {{pull_port}} {{dir}}/x {{i}} {{save:id}} {not} {{}}", 7).unwrap();
        assert_eq!(text, format!("127.0.0.1:{port} {port} /d/x 7 evt_1 {{not}} {{{{}}}}"));
        assert_eq!(names.deep(&json!([{"fill": "ab", "len": 3}]), 0).unwrap(), json!(["aba"]));
        let (now, later) = (names.expand("{{unix:+0}}", 0).unwrap(), names.expand("{{unix:-5}}", 0).unwrap());
        assert_eq!(now.parse::<i64>().unwrap() - 5, later.parse::<i64>().unwrap());
    }

    #[test]
    fn what_is_unknown_is_an_error() {
        let names = Names::new("", Path::new("/d")).unwrap();
        for text in ["{{pull}}", "{{save:x}}", "{{nonsense}}", "{{time:x}}"] {
            assert!(names.expand(text, 0).is_err(), "{text}");
        }
    }
}
