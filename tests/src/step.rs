//! One step of a scenario: its members by name, with their defaults.

use std::time::Duration;

use serde_json::{Map, Value};

/// One step, as written.
#[derive(Debug, Clone)]
pub struct Step {
    members: Map<String, Value>,
}

impl Step {
    /// A step with these members.
    pub fn new(members: Map<String, Value>) -> Self {
        Self { members }
    }

    /// All members.
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// What is done; a request unless the step says otherwise.
    pub fn kind(&self) -> &str {
        self.text("do").unwrap_or("request")
    }

    /// Which port it goes to.
    pub fn to(&self) -> &str {
        self.text("to").unwrap_or("ingress")
    }

    /// A member, if it is there and not null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.members.get(key).filter(|value| !value.is_null())
    }

    /// A text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// A switch: there and neither false, zero nor empty.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| !matches!(value, Value::Bool(false)) && value != 0 && value != "")
    }

    /// A count.
    pub fn count(&self, key: &str) -> Option<usize> {
        self.get(key).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok())
    }

    /// A time in milliseconds.
    pub fn millis(&self, key: &str, default: u64) -> Duration {
        let millis = self.get(key).and_then(Value::as_f64).map(|millis| Duration::from_secs_f64(millis.max(0.0) / 1e3));
        millis.unwrap_or(Duration::from_millis(default))
    }

    /// The step without what it expects, for the report.
    pub fn summary(&self) -> Value {
        let mut members = self.members.clone();
        members.remove("expect");
        Value::Object(members)
    }
}
