//! Applications and endpoints as the configuration labels its routes.

use std::collections::BTreeMap;

use hookaido_http::Response;
use hookaido_model::config::Managed;
use serde_json::{Map, Value, json};

use crate::Table;
use crate::error::{Fault, Refusal};
use crate::json;
use crate::table::RouteEntry;

/// Everything at once.
pub(crate) fn model(table: &Table) -> Response {
    let applications = by_application(table).into_iter().map(|(name, endpoints)| {
        let shown: Value = endpoints.iter().map(|(name, route)| named(name, route)).collect();
        json!({ "name": name, "endpoint_count": endpoints.len(), "endpoints": shown })
    });
    let applications: Vec<Value> = applications.collect();
    json::ok(&json!({
        "route_count": table.routes.len(),
        "application_count": applications.len(),
        "endpoint_count": table.managed.len(),
        "applications": applications,
    }))
}

/// Names of the applications.
pub(crate) fn applications(table: &Table) -> Response {
    let applications = by_application(table);
    let items: Value = applications
        .iter()
        .map(|(name, endpoints)| json!({ "name": name, "endpoint_count": endpoints.len() }))
        .collect();
    json::ok(&json!({
        "application_count": applications.len(),
        "endpoint_count": table.managed.len(),
        "items": items,
    }))
}

/// The endpoints of one application.
pub(crate) fn endpoints(table: &Table, application: &str) -> Result<Response, Refusal> {
    let applications = by_application(table);
    let endpoints = applications.get(application).ok_or_else(|| Fault::NotFound.because("no such application"))?;
    let items: Value = endpoints.iter().map(|(name, route)| named(name, route)).collect();
    Ok(json::ok(&json!({ "application": application, "endpoint_count": endpoints.len(), "items": items })))
}

/// One endpoint.
pub(crate) fn endpoint(table: &Table, labels: &Managed) -> Result<Response, Refusal> {
    let route = table.endpoint(labels);
    let route = route.ok_or_else(|| Fault::ManagementEndpointNotFound.because("no such endpoint"))?;
    let mut shown = shown(route);
    shown.insert("application".to_owned(), labels.application.as_str().into());
    shown.insert("endpoint_name".to_owned(), labels.endpoint.as_str().into());
    Ok(json::ok(&Value::Object(shown)))
}

/// Applications and their endpoints, in order of their names.
fn by_application(table: &Table) -> BTreeMap<&str, Vec<(&str, &RouteEntry)>> {
    let mut applications: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for labels in table.managed.keys() {
        if let Some(route) = table.endpoint(labels) {
            applications.entry(&labels.application).or_default().push((labels.endpoint.as_str(), route));
        }
    }
    applications
}

fn named(name: &str, route: &RouteEntry) -> Value {
    let mut shown = shown(route);
    shown.insert("name".to_owned(), name.into());
    Value::Object(shown)
}

fn shown(route: &RouteEntry) -> Map<String, Value> {
    let targets: Value = route.lanes.iter().map(|(target, _)| Value::from(&**target)).collect();
    let policy = json!({
        "enabled": route.publish.enabled,
        "direct_enabled": route.publish.direct,
        "managed_enabled": route.publish.managed,
    });
    let mode = if route.pulled { "pull" } else { "deliver" };
    let members =
        [("route", Value::from(&*route.path)), ("mode", mode.into()), ("targets", targets), ("publish_policy", policy)];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
