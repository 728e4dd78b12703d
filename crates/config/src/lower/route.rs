//! Routes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hookaido_model::config::{
    Channel, Managed, Match, PullRoute, QueueBackend, Route, RoutePublish, RouteWork, SecretPool,
};
use hookaido_syntax::{Diagnostic, Span};

use super::auth::route_auth;
use super::deliver::{Targets, delivery};
use super::listeners::{RateLimits, clamp, rate_limits, tokens};
use super::matching::route_match;
use super::redelivery::redelivery;
use super::values::{first, is_given};
use super::{Defaults, Lowering, Matchers};
use crate::placeholder::Resolver;
use crate::read::{Arg, Node, Section, each_route};
use crate::value::{self, trim};

/// A route, and where its parts stand for what is checked between routes.
pub(crate) struct LoweredRoute {
    pub(crate) route: Route,
    /// Its path.
    pub(crate) path_span: Span,
    /// The path of its pull endpoint, if it has one.
    pub(crate) pull_path_span: Option<Span>,
    /// Its conditions, if it has any.
    pub(crate) match_span: Option<Span>,
    /// Its backend, if it names one.
    pub(crate) backend_span: Option<Span>,
    /// Its endpoint name, if it has one.
    pub(crate) endpoint_span: Option<Span>,
    /// `pull` is written, right or wrong.
    pub(crate) pulled: bool,
}

/// What routes refer to.
pub(crate) struct Scope<'a> {
    pub(crate) defaults: &'a Defaults,
    pub(crate) matchers: &'a Matchers,
    pub(crate) secrets: &'a BTreeMap<String, SecretPool>,
    pub(crate) secret_ids: &'a BTreeSet<String>,
}

/// All routes, in the order of the file.
pub(crate) fn routes(
    lowering: &mut Lowering,
    top: &Section,
    scope: &Scope<'_>,
    resolver: &mut Resolver<'_>,
) -> Vec<LoweredRoute> {
    let mut routes = Vec::with_capacity(top.routes.len());
    for statement in &top.routes {
        let channel = match statement.0.name {
            "inbound" => Channel::Inbound,
            "outbound" => Channel::Outbound,
            "internal" => Channel::Internal,
            _ => Channel::Bare,
        };
        each_route(statement, resolver, |node| routes.extend(route(lowering, node, channel, scope)));
    }
    routes
}

fn route(lowering: &mut Lowering, node: &Node, channel: Channel, scope: &Scope<'_>) -> Option<LoweredRoute> {
    let name = first(node).unwrap_or(&node.name);
    let block = node.block.as_ref()?;
    let path = value::path(trim(&name.text));
    if path.is_none() {
        let message = if trim(&name.text).is_empty() {
            "the path of a route must not be empty"
        } else {
            "the path of a route must start with `/`"
        };
        let directive = crate::table::row(crate::Context::Top, &name.text).filter(|row| !row.is_pattern());
        let help = directive.map_or_else(
            || "write it like `/webhooks/github`".to_owned(),
            |row| format!("write the directive `{}` without quotes", row.name),
        );
        lowering.error_help("E0110", name.span, message, help);
    }
    let matches = route_match(lowering, block, scope.matchers);
    let auth = route_auth(lowering, block, scope.secret_ids);
    let RateLimits { overall: rate_limit, of_client: client_limit } = rate_limits(lowering, block);
    let backend = backend(lowering, block);
    let work = work(lowering, block, channel, scope, name);
    let publish = publish(lowering, block);
    let managed = managed(lowering, block);
    let max_body = lowering.size_given(block, "max_body").unwrap_or(scope.defaults.max_body);
    let max_headers = lowering.size_given(block, "max_headers").unwrap_or(scope.defaults.max_headers);
    channel_rules(lowering, block, channel);
    let route = Route {
        path: path?.into(),
        channel,
        matches,
        auth,
        rate_limit,
        client_limit,
        max_body,
        max_headers,
        publish,
        managed,
        backend,
        work,
    };
    Some(LoweredRoute {
        route,
        path_span: name.span,
        pull_path_span: block.section("pull").and_then(|pull| pull.find("path")).map(|path| path.span),
        match_span: block.find("match").map(|matches| matches.span),
        backend_span: block.find("queue").map(|queue| queue.span),
        endpoint_span: block.find("endpoint_name").map(|name| name.span),
        pulled: is_given(block, "pull"),
    })
}

/// What the channel of a route forbids. What it requires is checked where the work is lowered.
fn channel_rules(lowering: &mut Lowering, block: &Section, channel: Channel) {
    let (name, forbidden): (&str, &[&str]) = match channel {
        Channel::Bare | Channel::Inbound => return,
        Channel::Outbound => ("outbound", &["auth", "match", "rate_limit", "pull"]),
        Channel::Internal => ("internal", &["auth", "match", "rate_limit", "deliver"]),
    };
    for node in forbidden.iter().filter_map(|forbidden| block.find(forbidden)) {
        let directive = node.row.name;
        let help = match directive {
            "pull" => "write the route as `internal`, or bare, if workers shall pull",
            "deliver" => "write the route as `outbound`, or bare, if messages shall be pushed",
            _ => "no request from outside reaches this route; remove it, or write the route bare",
        };
        lowering.error_help("E0520", node.span, format!("`{directive}` is not allowed in an `{name}` route"), help);
    }
}

fn work(lowering: &mut Lowering, block: &Section, channel: Channel, scope: &Scope<'_>, name: &Arg) -> RouteWork {
    let (path, place) = (trim(&name.text), name.span);
    let mentioned = |name| block.mentions(name);
    let pull_node = block.find("pull");
    let deliver_node = block.find("deliver");
    let concurrency = lowering.int_given(block, "deliver_concurrency").map(clamp);
    match (channel, pull_node, deliver_node) {
        (Channel::Outbound, _, None) if !mentioned("deliver") => {
            let message = format!("`outbound` route `{path}` needs `deliver`");
            lowering.error_help("E0521", place, message, "write `deliver \"https://...\" { }` in it");
        }
        (Channel::Internal, None, _) if !mentioned("pull") => {
            let message = format!("`internal` route `{path}` needs `pull`");
            lowering.error_help("E0521", place, message, "write `pull { path /... }` in it");
        }
        (Channel::Bare | Channel::Inbound, None, None) if !mentioned("pull") && !mentioned("deliver") => {
            let help = "write `pull { path /... }` for workers that pull, or `deliver \"https://...\" { }` to push";
            lowering.error_help("E0522", place, format!("route `{path}` does nothing with its messages"), help);
        }
        (Channel::Bare | Channel::Inbound, Some(pull), Some(deliver)) => lowering.report(
            Diagnostic::error("E0523", deliver.span, format!("route `{path}` is pulled and pushed"))
                .with_related(pull.span, "it is pulled here")
                .with_help("a route is either pulled or pushed; remove one of them, or make two routes"),
        ),
        _ => {}
    }
    let pull = pull_node.and_then(|node| node.block.as_ref()).map(|pull| pull_route(lowering, pull, pull_node));
    let targets = targets(lowering, block, scope);
    if let Some(node) = block.find("deliver_concurrency").filter(|_| !mentioned("deliver")) {
        lowering.error_help(
            "E0524",
            node.span,
            "`deliver_concurrency` needs `deliver`",
            "remove it, or push the messages",
        );
    }
    match pull {
        Some(pull) => RouteWork::Pull(pull),
        None => RouteWork::Deliver { concurrency: concurrency.unwrap_or(scope.defaults.concurrency), targets },
    }
}

fn pull_route(lowering: &mut Lowering, block: &Section, node: Option<&Node>) -> PullRoute {
    let auth_tokens = tokens(lowering, block);
    let path = match block.find("path").and_then(|path| Some((path.row, path.args.first()?))) {
        None if is_given(block, "path") => None,
        None => {
            let span = node.map_or(block.span, |node| node.name.span);
            lowering.error_help("E0525", span, "`pull` needs `path`", "write `pull { path /name }`");
            None
        }
        Some((row, arg)) => lowering.not_empty(row, block.context, arg).map(value::path).and_then(|path| {
            if path.is_none() {
                lowering.wrong("E0211", row, block.context, arg, "a path that starts with `/`");
            }
            path
        }),
    };
    PullRoute { path: path.unwrap_or_default().into(), auth_tokens, redelivery: redelivery(lowering, block) }
}

fn targets(lowering: &mut Lowering, block: &Section, scope: &Scope<'_>) -> Vec<hookaido_model::config::Delivery> {
    let context = Targets { defaults: scope.defaults, secrets: scope.secrets, secret_ids: scope.secret_ids };
    let mut targets: Vec<hookaido_model::config::Delivery> = Vec::new();
    let mut seen: BTreeMap<Arc<str>, Span> = BTreeMap::new();
    for node in block.all("deliver") {
        let Some(target) = delivery(lowering, node, &context) else { continue };
        match seen.get(&target.target) {
            Some(&first) => lowering.report(
                Diagnostic::error("E0526", node.span, format!("target `{}` is given twice", target.target))
                    .with_related(first, "first given here")
                    .with_help("messages are queued by target; remove one of them"),
            ),
            None => {
                seen.insert(Arc::clone(&target.target), node.span);
                targets.push(target);
            }
        }
    }
    targets
}

fn backend(lowering: &mut Lowering, block: &Section) -> QueueBackend {
    let Some(node) = block.find("queue") else { return QueueBackend::default() };
    let word = match (first(node), &node.block) {
        (Some(arg), _) => lowering.one_of_arg(node.row, block.context, arg),
        (None, Some(block)) => lowering.one_of(block, "backend"),
        (None, None) => None,
    };
    match word {
        Some("memory") => QueueBackend::Memory,
        Some("postgres") => QueueBackend::Postgres,
        _ => QueueBackend::Sqlite,
    }
}

fn publish(lowering: &mut Lowering, block: &Section) -> RoutePublish {
    let mut publish = RoutePublish {
        enabled: true,
        direct: lowering.switch(block, "publish.direct"),
        managed: lowering.switch(block, "publish.managed"),
    };
    let Some(node) = block.find("publish") else { return publish };
    publish_once(lowering, block, node);
    if let Some(arg) = first(node) {
        publish.enabled = lowering.switch_of(node.row, block.context, arg).unwrap_or(true);
    }
    let Some(inner) = &node.block else { return publish };
    publish.enabled = lowering.switch(inner, "enabled");
    for (name, field) in [("direct", &mut publish.direct), ("managed", &mut publish.managed)] {
        if inner.find(name).is_some() {
            *field = lowering.switch(inner, name);
        }
    }
    publish
}

/// The dotted forms may follow a block that says neither `enabled` nor the same; nothing may follow them.
fn publish_once(lowering: &mut Lowering, block: &Section, node: &Node) {
    let says = |name| node.block.as_ref().is_some_and(|inner| inner.find(name).is_some());
    for (name, dotted) in [("direct", "publish.direct"), ("managed", "publish.managed")] {
        let Some(other) = block.find(dotted) else { continue };
        let first = other.span.start < node.span.start;
        if first || node.block.is_none() || says("enabled") || says(name) {
            let (here, there) = if first { (node.span, other.span) } else { (other.span, node.span) };
            lowering.report(
                Diagnostic::error("E0527", here, format!("`publish` and `{dotted}` do not go together"))
                    .with_related(there, "publishing is settled here")
                    .with_help(format!("write one block: `publish {{ enabled on {name} off }}`")),
            );
        }
    }
}

fn managed(lowering: &mut Lowering, block: &Section) -> Option<Managed> {
    let mut label = |name: &str| {
        let node = block.find(name)?;
        let arg = node.args.first()?;
        let text = lowering.not_empty(node.row, block.context, arg)?;
        if !value::is_label(text) {
            let message = format!(
                "`{name}` must be 1 to 128 letters, digits, `.`, `_`, `:` or `-`, and start with a letter or digit"
            );
            lowering.error("E0212", arg.span, message);
            return None;
        }
        Some(text.to_owned())
    };
    let (application, endpoint) = (label("application"), label("endpoint_name"));
    for (name, other) in [("application", "endpoint_name"), ("endpoint_name", "application")] {
        if let Some(node) = block.find(name).filter(|_| !is_given(block, other)) {
            let message = format!("`{name}` needs `{other}`");
            lowering.error_help("E0528", node.span, message, format!("add `{other} NAME`, or remove `{name}`"));
        }
    }
    Some(Managed { application: application?, endpoint: endpoint? })
}

/// Whether a route takes any request to its path: it has no condition at all.
pub(crate) fn is_unconstrained(matches: &Match) -> bool {
    *matches == Match::default()
}
