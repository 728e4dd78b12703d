//! Who changes what, and why: the audit headers, the rules about them, and the line in the log.

use hookaido_model::UnixMillis;
use hookaido_model::config::Managed;
use http::HeaderMap;
use serde_json::{Map, Value};

use crate::Table;
use crate::error::{Fault, Refusal};

const REASON: &str = "x-hookaido-audit-reason";
const ACTOR: &str = "x-hookaido-audit-actor";
const REQUEST_ID: &str = "x-request-id";

/// What the headers of a change say, without blanks around it; empty where they say nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audit {
    pub(crate) reason: String,
    pub(crate) actor: String,
    pub(crate) request_id: String,
}

impl Audit {
    /// Reads the headers; every change needs a reason.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let audit = Self {
            reason: bounded(headers, REASON, 512)?,
            actor: bounded(headers, ACTOR, 256)?,
            request_id: bounded(headers, REQUEST_ID, 256)?,
        };
        if audit.reason.is_empty() {
            return Err(Fault::AuditReason.because("say why in the header X-Hookaido-Audit-Reason"));
        }
        Ok(audit)
    }

    /// The rules that hold for every publish and every change to managed routes.
    pub(crate) fn identified(&self, table: &Table) -> Result<(), Refusal> {
        if table.policy.require_actor && self.actor.is_empty() {
            return Err(Fault::ActorRequired.because("say who you are in the header X-Hookaido-Audit-Actor"));
        }
        if table.policy.require_request_id && self.request_id.is_empty() {
            return Err(Fault::RequestIdRequired.because("give the request an id in the header X-Request-ID"));
        }
        Ok(())
    }

    /// The rules that hold for changes to managed routes.
    pub(crate) fn allowed(&self, table: &Table) -> Result<(), Refusal> {
        self.identified(table)?;
        let policy = &table.policy;
        if policy.actor_allow.is_empty() && policy.actor_prefix.is_empty() {
            return Ok(());
        }
        if self.actor.is_empty() {
            return Err(Fault::ActorRequired.because("say who you are in the header X-Hookaido-Audit-Actor"));
        }
        let listed = policy.actor_allow.contains(&self.actor)
            || policy.actor_prefix.iter().any(|prefix| self.actor.starts_with(prefix.as_str()));
        if listed { Ok(()) } else { Err(Fault::ActorNotAllowed.because("this actor may not change managed endpoints")) }
    }

    /// As repeated in the answer.
    pub(crate) fn json(&self) -> Value {
        let pairs = [("reason", &self.reason), ("actor", &self.actor), ("request_id", &self.request_id)];
        let given = pairs.into_iter().filter(|(_, text)| !text.is_empty());
        Value::Object(given.map(|(name, text)| (name.to_owned(), text.as_str().into())).collect::<Map<_, _>>())
    }
}

/// Whether changes to managed routes have rules at all.
pub(crate) fn has_rules(table: &Table) -> bool {
    let policy = &table.policy;
    policy.require_actor
        || policy.require_request_id
        || !policy.actor_allow.is_empty()
        || !policy.actor_prefix.is_empty()
}

fn bounded(headers: &HeaderMap, name: &'static str, max: usize) -> Result<String, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(String::new()) };
    let text = String::from_utf8_lossy(value.as_bytes()).trim().to_owned();
    if text.len() > max {
        return Err(Fault::AuditReason.because(format!("the header {name} takes at most {max} bytes")));
    }
    Ok(text)
}

/// A change that was made, for the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mutation<'a> {
    pub(crate) operation: &'static str,
    /// The endpoint it was limited to.
    pub(crate) labels: Option<&'a Managed>,
    pub(crate) route: &'a str,
    pub(crate) target: &'a str,
    pub(crate) state: &'a str,
    pub(crate) limit: usize,
    pub(crate) preview_only: bool,
    pub(crate) matched: usize,
    pub(crate) changed: usize,
}

impl Mutation<'_> {
    /// Writes the line.
    pub(crate) fn log(&self, audit: &Audit, at: UnixMillis) {
        let labels = self.labels;
        tracing::info!(
            target: "hookaido",
            operation = self.operation,
            application = labels.map_or("", |labels| labels.application.as_str()),
            endpoint_name = labels.map_or("", |labels| labels.endpoint.as_str()),
            route = self.route,
            target = self.target,
            state = self.state,
            limit = self.limit as u64,
            preview_only = self.preview_only,
            matched = self.matched as u64,
            changed = self.changed as u64,
            reason = audit.reason.as_str(),
            actor = audit.actor.as_str(),
            request_id = audit.request_id.as_str(),
            at = %at,
            "admin_management_mutation"
        );
    }
}
