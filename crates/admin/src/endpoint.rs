//! `PUT` and `DELETE` of an endpoint: which route it stands for.

use std::sync::Arc;

use hookaido_http::Response;
use hookaido_model::PULL_TARGET;
use hookaido_model::config::Managed;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::audit::{Audit, Mutation};
use crate::body::{Text, parse};
use crate::change::targets;
use crate::error::{Fault, Refusal};
use crate::{EndpointAction, EndpointChange, EndpointChanged, Table, json};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PutBody<'a> {
    #[serde(borrow)]
    route: Text<'a>,
}

/// Puts an endpoint on the route that the body names.
pub(crate) async fn put(
    table: &Arc<Table>,
    labels: Managed,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Refusal> {
    let body: PutBody<'_> = parse(body)?;
    let route = body.route.given().ok_or_else(|| Fault::Body.because("`route` is missing"))?;
    if !route.starts_with('/') {
        return Err(Fault::Body.because("`route` starts with a slash"));
    }
    change(table, EndpointChange { labels, route: Some(route.to_owned()) }, headers).await
}

/// Takes an endpoint off its route.
pub(crate) async fn delete(table: &Arc<Table>, labels: Managed, headers: &HeaderMap) -> Result<Response, Refusal> {
    change(table, EndpointChange { labels, route: None }, headers).await
}

/// Asks for the change, and has it logged even if the caller does not wait.
async fn change(table: &Arc<Table>, change: EndpointChange, headers: &HeaderMap) -> Result<Response, Refusal> {
    let audit = Audit::read(headers)?;
    audit.allowed(table)?;
    let asked = Arc::clone(table);
    let task = table.tasks.spawn(async move {
        let labels = change.labels.clone();
        let changed = asked.endpoints.change(change).await?;
        let mutation = Mutation {
            operation: if changed.action == EndpointAction::Deleted { "delete_endpoint" } else { "upsert_endpoint" },
            labels: Some(&labels),
            route: &changed.route.path,
            matched: 1,
            changed: usize::from(changed.action != EndpointAction::Unchanged),
            ..Mutation::default()
        };
        mutation.log(&audit, asked.queue.clock().now());
        Ok(json::ok(&shown(&labels, &changed, &audit)))
    });
    task.await.unwrap_or_else(|_ended| Err(Fault::ManagementUnavailable.because("the server is about to end")))
}

fn shown(labels: &Managed, changed: &EndpointChanged, audit: &Audit) -> Value {
    let EndpointChanged { action, route } = changed;
    let (action, mode, targets) = match (action, targets(route)) {
        // A route that is no endpoint any more is not described as one.
        (EndpointAction::Deleted, _) => ("deleted", "", Value::Null),
        (action, targets) => {
            let action = match action {
                EndpointAction::Created => "created",
                EndpointAction::Updated => "updated",
                EndpointAction::Unchanged | EndpointAction::Deleted => "noop",
            };
            let mode = if targets.is_some() { "deliver" } else { "pull" };
            (action, mode, targets.unwrap_or_else(|| vec![PULL_TARGET]).into())
        }
    };
    let open = |open: bool| open || changed.action == EndpointAction::Deleted;
    let Managed { application, endpoint } = labels;
    json!({
        "applied": changed.action != EndpointAction::Unchanged,
        "action": action,
        "endpoint": {
            "application": application,
            "endpoint_name": endpoint,
            "route": &*route.path,
            "mode": mode,
            "targets": targets,
            "publish_policy": {
                "enabled": open(route.publish.enabled),
                "direct_enabled": open(route.publish.direct),
                "managed_enabled": open(route.publish.managed),
            },
        },
        "scope": { "application": application, "endpoint_name": endpoint, "route": &*route.path },
        "audit": audit.json(),
    })
}
