//! Runtime secrets: which versions a pool has, one more, one less. No value is ever answered or logged.

use std::sync::Arc;

use hookaido_auth::runtime::MAX_SECRET;
use hookaido_auth::{NewVersion, SecretValue};
use hookaido_http::{Body, Response};
use hookaido_model::UnixMillis;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::audit::Audit;
use crate::body::{Text, parse};
use crate::error::{Fault, Refusal};
use crate::query::label;
use crate::{Table, json};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AddBody<'a> {
    #[serde(borrow)]
    value: Text<'a>,
    #[serde(borrow)]
    not_before: Option<Text<'a>>,
    #[serde(borrow)]
    not_after: Option<Text<'a>>,
}

/// Whether there is such a pool.
pub(crate) fn known(table: &Table, pool: &str) -> Result<(), Refusal> {
    table.runtime_secrets.versions(pool).map(drop).ok_or_else(|| unknown(pool))
}

fn unknown(pool: &str) -> Refusal {
    match label("pool", pool) {
        Ok(()) => Fault::SecretPoolNotFound.because("no secret with `runtime true` has this name"),
        // No name that the paths of this API are made for.
        Err(_) => Fault::NotFound.because("nothing is at this path"),
    }
}

/// The versions of a pool.
pub(crate) fn list(table: &Table, pool: &str) -> Result<Response, Refusal> {
    let versions = table.runtime_secrets.versions(pool).ok_or_else(|| unknown(pool))?;
    let versions = versions.iter().map(|version| {
        let mut shown = Map::new();
        shown.insert("id".to_owned(), (*version.id).into());
        let times = [("not_before", version.valid_from), ("not_after", version.valid_until)];
        let given = times.into_iter().filter_map(|(name, at)| Some((name, at?)));
        shown.extend(given.map(|(name, at)| (name.to_owned(), at.to_string().into())));
        Value::Object(shown)
    });
    Ok(json::ok(&json!({ "name": pool, "versions": versions.collect::<Value>() })))
}

/// Adds the version that the body describes.
pub(crate) async fn add(
    table: &Arc<Table>,
    pool: String,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Refusal> {
    let now = table.queue.clock().now();
    let new = read(body, now)?;
    let audit = Audit::read(headers)?;
    audit.allowed(table)?;
    let asked = Arc::clone(table);
    let task = table.tasks.spawn_blocking(move || {
        let added = asked.runtime_secrets.add(&pool, &new, now)?;
        let window = (Some(added.not_before), added.not_after);
        log("add", (&pool, &added.id), window, &audit, now);
        let mut answer = Map::new();
        answer.insert("id".to_owned(), (*added.id).into());
        answer.insert("not_before".to_owned(), added.not_before.to_string().into());
        if let Some(at) = added.not_after {
            answer.insert("not_after".to_owned(), at.to_string().into());
        }
        answer.insert("created_at".to_owned(), added.created_at.to_string().into());
        let mut text = Value::Object(answer).to_string();
        text.push('\n');
        Ok(json::respond(StatusCode::CREATED, text.into_bytes()))
    });
    task.await.unwrap_or_else(|_ended| Err(Fault::SecretPersist.because("the server is about to end")))
}

/// Removes a version.
pub(crate) async fn delete(
    table: &Arc<Table>,
    pool: String,
    id: String,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    known(table, &pool)?;
    label("id", &id).map_err(|_refusal| Fault::NotFound.because("nothing is at this path"))?;
    let audit = Audit::read(headers)?;
    audit.allowed(table)?;
    let asked = Arc::clone(table);
    let task = table.tasks.spawn_blocking(move || {
        asked.runtime_secrets.remove(&pool, &id)?;
        log("delete", (&pool, &id), (None, None), &audit, asked.queue.clock().now());
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    });
    task.await.unwrap_or_else(|_ended| Err(Fault::SecretPersist.because("the server is about to end")))
}

/// Reads a body. What is wrong with it is not said in words of its own, which might be the secret.
fn read(body: &[u8], now: UnixMillis) -> Result<NewVersion, Refusal> {
    let form = "the body takes a JSON object with `value`, and perhaps `not_before` and `not_after` as RFC 3339 times";
    let body: AddBody<'_> = parse(body).map_err(|_refusal| Fault::Body.because(form))?;
    let time = |text: Option<Text<'_>>| {
        let time = text.map(|text| UnixMillis::parse_rfc3339(&text.0)).transpose();
        time.map_err(|_error| Fault::Body.because(form))
    };
    let (not_before, not_after) = (time(body.not_before)?, time(body.not_after)?);
    if body.value.given().is_none() {
        return Err(Fault::SecretValueEmpty.because("`value` is missing"));
    }
    if body.value.0.len() > MAX_SECRET {
        return Err(Fault::Body.because(format!("`value` takes at most {MAX_SECRET} bytes")));
    }
    if not_after.is_some_and(|end| end <= not_before.unwrap_or(now)) {
        return Err(Fault::SecretWindow.because("`not_after` must be after `not_before`"));
    }
    Ok(NewVersion { value: SecretValue::new(body.value.0.as_bytes()), not_before, not_after })
}

/// Writes the line.
fn log(
    operation: &'static str,
    (pool, id): (&str, &str),
    (not_before, not_after): (Option<UnixMillis>, Option<UnixMillis>),
    audit: &Audit,
    at: UnixMillis,
) {
    tracing::info!(
        target: "hookaido",
        operation,
        pool,
        secret_id = id,
        not_before = not_before.map(|at| at.to_string()),
        not_after = not_after.map(|at| at.to_string()),
        reason = audit.reason.as_str(),
        actor = audit.actor.as_str(),
        request_id = audit.request_id.as_str(),
        at = %at,
        "admin_secret_mutation"
    );
}
