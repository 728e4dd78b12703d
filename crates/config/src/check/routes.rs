//! Routes among each other: unique names, one backend, no route behind another.

use std::collections::HashMap;

use hookaido_model::config::{QueueBackend, RouteWork};
use hookaido_syntax::{Diagnostic, Span};

use super::Checked;
use crate::Context;
use crate::lower::{LoweredRoute, Lowering, is_unconstrained};

/// Checks routes against each other.
pub(super) fn check(lowering: &mut Lowering, checked: &Checked<'_>) {
    let written = checked.top.routes.iter().any(|(row, statement)| {
        row.opens == Some(Context::Route)
            || statement.args().next().is_some()
            || statement.block().is_some_and(|block| !block.items.is_empty())
    });
    if checked.routes.is_empty() && !written {
        let help = "add one, such as `/webhooks/github { pull { path /github } }`";
        lowering.error_help("E0701", Span::default(), "the file has no route", help);
    }
    let duplicates = unique_paths(lowering, checked.routes);
    shadows(lowering, checked.routes, &duplicates);
    unique_pull_paths(lowering, checked.routes);
    relative_pull_paths(lowering, checked);
    unique_endpoints(lowering, checked.routes);
    one_backend(lowering, checked.routes);
}

/// Names that must be unique among routes.
pub(super) fn names(lowering: &mut Lowering, routes: &[LoweredRoute]) {
    unique_paths(lowering, routes);
    unique_pull_paths(lowering, routes);
    unique_endpoints(lowering, routes);
}

/// Reports routes with the path of an earlier one; gives back their indices.
fn unique_paths(lowering: &mut Lowering, routes: &[LoweredRoute]) -> Vec<usize> {
    let mut first: HashMap<&str, Span> = HashMap::with_capacity(routes.len());
    let mut duplicates = Vec::new();
    for (at, route) in routes.iter().enumerate() {
        let path = &*route.route.path;
        match first.get(path) {
            None => {
                first.insert(path, route.path_span);
            }
            Some(&earlier) => {
                duplicates.push(at);
                lowering.report(
                    Diagnostic::error("E0702", route.path_span, format!("there are two routes `{path}`"))
                        .with_related(earlier, "first defined here")
                        .with_help("the path names the queue; choose another one, or merge the routes"),
                );
            }
        }
    }
    duplicates
}

/// Reports routes that no request can reach.
fn shadows(lowering: &mut Lowering, routes: &[LoweredRoute], duplicates: &[usize]) {
    let mut open: HashMap<&str, Span> = HashMap::new();
    let mut duplicates = duplicates.iter().copied().peekable();
    for (at, route) in routes.iter().enumerate() {
        let path = &*route.route.path;
        let duplicate = duplicates.next_if_eq(&at).is_some();
        if let Some((above, span)) = ancestors(path).find_map(|above| Some((above, *open.get(above)?))) {
            lowering.report(
                Diagnostic::error("E0703", route.path_span, format!("route `{path}` can never be reached"))
                    .with_related(span, format!("`{above}` comes first and takes every request below it"))
                    .with_help(format!("put `{path}` in front of `{above}`, or give `{above}` a `match`")),
            );
        }
        if !duplicate && is_unconstrained(&route.route.matches) {
            open.insert(path, route.path_span);
        }
    }
}

/// `/a/b/c` lies below `/a/b`, `/a` and `/`.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let parents = std::iter::successors(path.rfind('/').and_then(|slash| path.get(..slash)), |path| {
        path.rfind('/').and_then(|slash| path.get(..slash))
    });
    parents.map(|parent| if parent.is_empty() { "/" } else { parent }).filter(move |parent| *parent != path)
}

fn unique_pull_paths(lowering: &mut Lowering, routes: &[LoweredRoute]) {
    let mut first: HashMap<&str, &LoweredRoute> = HashMap::with_capacity(routes.len());
    for route in routes {
        let RouteWork::Pull(pull) = &route.route.work else { continue };
        if pull.path.is_empty() {
            continue;
        }
        match first.get(&*pull.path) {
            None => {
                first.insert(&pull.path, route);
            }
            Some(earlier) => {
                let span = route.pull_path_span.unwrap_or(route.path_span);
                let message = format!("pull path `{}` is used by two routes", pull.path);
                lowering.report(
                    Diagnostic::error("E0704", span, message)
                        .with_related(earlier.pull_path_span.unwrap_or(earlier.path_span), "first used here")
                        .with_help("workers could not tell the routes apart; choose another path"),
                );
            }
        }
    }
}

/// Pull paths are put behind the prefix, and hardly anybody means it twice.
fn relative_pull_paths(lowering: &mut Lowering, checked: &Checked<'_>) {
    let prefix = checked.pull_api.prefix.as_str();
    if prefix.is_empty() {
        return;
    }
    for route in checked.routes {
        let RouteWork::Pull(pull) = &route.route.work else { continue };
        if let Some(rest) = pull.path.strip_prefix(prefix).filter(|_| crate::is_below(&pull.path, prefix)) {
            let message = format!("pull path `{}` repeats the prefix `{prefix}` of `pull_api`", pull.path);
            let rest = if rest.is_empty() { "/..." } else { rest };
            lowering.error_help(
                "E0707",
                route.pull_path_span.unwrap_or(route.path_span),
                message,
                format!("write `path {rest}`, which is served as `{prefix}{rest}`"),
            );
        }
    }
}

fn unique_endpoints(lowering: &mut Lowering, routes: &[LoweredRoute]) {
    let mut first: HashMap<(&str, &str), Span> = HashMap::new();
    for route in routes {
        let Some(managed) = &route.route.managed else { continue };
        let span = route.endpoint_span.unwrap_or(route.path_span);
        match first.get(&(&*managed.application, &*managed.endpoint)) {
            None => {
                first.insert((&managed.application, &managed.endpoint), span);
            }
            Some(&earlier) => {
                let message = format!(
                    "endpoint `{}` of `{}` is a duplicate: two routes have it",
                    managed.endpoint, managed.application
                );
                lowering.report(
                    Diagnostic::error("E0705", span, message)
                        .with_related(earlier, "first used here")
                        .with_help("choose another `endpoint_name`"),
                );
            }
        }
    }
}

/// The process has one store.
fn one_backend(lowering: &mut Lowering, routes: &[LoweredRoute]) {
    let Some(first) = routes.first() else { return };
    let backend = first.route.backend;
    if let Some(other) = routes.iter().find(|route| route.route.backend != backend) {
        let name = |backend: QueueBackend| backend.as_str();
        let (mine, theirs) = (name(other.route.backend), name(backend));
        lowering.report(
            Diagnostic::error(
                "E0706",
                other.backend_span.unwrap_or(other.path_span),
                format!("this route keeps its messages in {mine}, another one in {theirs}"),
            )
            .with_related(first.backend_span.unwrap_or(first.path_span), format!("{theirs} here"))
            .with_help("one process has one store; write the same `queue` in every route"),
        );
    }
}
