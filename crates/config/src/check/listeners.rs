//! Listeners: who shares an address with whom, and what that asks for.

use hookaido_model::config::{Front, RouteWork, Tls};
use hookaido_syntax::{Diagnostic, Span};

use super::Checked;
use crate::lower::Lowering;
use crate::read::Section;
use crate::value::BindAddress;

/// One of the three that may share.
struct Server<'a> {
    title: &'static str,
    listen: &'a str,
    /// Nothing for ingress, which serves whatever no API serves.
    prefix: Option<&'a str>,
    tls: Option<&'a Tls>,
    front: &'a Front,
    section: Option<&'a Section<'a>>,
}

impl Server<'_> {
    /// Where a directive of its block stands, or else the block.
    fn span(&self, directive: &str) -> Span {
        let section = self.section;
        section
            .and_then(|section| section.find(directive))
            .map(|node| node.span)
            .or(section.map(|s| s.span))
            .unwrap_or_default()
    }

    fn is_same_socket(&self, listen: &str) -> bool {
        self.listen == listen || BindAddress::parse(self.listen).is_same_socket(&BindAddress::parse(listen))
    }
}

/// Who shares what, and whether they may.
pub(super) fn check(lowering: &mut Lowering, checked: &Checked<'_>) {
    let servers = servers(checked);
    let [ingress, pull, admin] = &servers;
    let pulled = checked.pulled();
    let active: Vec<&Server<'_>> = if pulled { vec![ingress, pull, admin] } else { vec![ingress, admin] };
    for (at, first) in active.iter().enumerate() {
        for second in active.iter().skip(at + 1) {
            if first.listen == second.listen {
                shared(lowering, first, second);
            } else if first.is_same_socket(second.listen) {
                same_socket(lowering, first, second);
            }
        }
    }
    for api in active.iter().filter(|api| api.prefix.is_some()) {
        let partners: Vec<_> =
            active.iter().filter(|other| other.title != api.title && other.listen == api.listen).collect();
        if let Some(partner) = partners.first().filter(|_| api.prefix == Some("")) {
            let message =
                format!("`{}` shares {} with `{}` and needs a `prefix`", api.title, api.listen, partner.title);
            lowering.report(
                Diagnostic::error("E0602", api.span("listen"), message)
                    .with_related(partner.span("listen"), "the same address is used here")
                    .with_help("write `prefix /...`, or another `listen`"),
            );
        }
        if partners.iter().any(|partner| partner.prefix.is_none()) {
            collisions(lowering, checked, api);
        }
    }
    alone(lowering, checked, &servers);
}

fn servers<'a>(checked: &'a Checked<'_>) -> [Server<'a>; 3] {
    let section = |name: &str| checked.top.section(name);
    [
        Server {
            title: "ingress",
            listen: &checked.ingress.listen,
            prefix: None,
            tls: checked.ingress.tls.as_ref(),
            front: &checked.ingress.front,
            section: section("ingress"),
        },
        Server {
            title: "pull_api",
            listen: &checked.pull_api.listen,
            prefix: Some(&checked.pull_api.prefix),
            tls: checked.pull_api.tls.as_ref(),
            front: &checked.pull_api.front,
            section: section("pull_api"),
        },
        Server {
            title: "admin_api",
            listen: &checked.admin_api.listen,
            prefix: Some(&checked.admin_api.prefix),
            tls: checked.admin_api.tls.as_ref(),
            front: &checked.admin_api.front,
            section: section("admin_api"),
        },
    ]
}

/// Two on one address.
fn shared(lowering: &mut Lowering, first: &Server<'_>, second: &Server<'_>) {
    if first.tls != second.tls {
        let message =
            format!("`{}` and `{}` share {} and must have the same `tls`", first.title, second.title, first.listen);
        lowering.report(
            Diagnostic::error("E0603", second.span("tls"), message)
                .with_related(first.span("tls"), "to be compared with this")
                .with_help("write the same `tls` block in both, or in neither"),
        );
    }
    different_front(lowering, first, second);
    let (Some(a), Some(b)) = (first.prefix, second.prefix) else { return };
    if !a.is_empty() && !b.is_empty() && overlap(a, b) {
        let message = format!("the prefixes of `{}` and `{}` overlap on {}", first.title, second.title, first.listen);
        lowering.report(
            Diagnostic::error("E0604", second.span("prefix"), message)
                .with_related(first.span("prefix"), "the other prefix is here")
                .with_help("choose prefixes of which none lies below the other"),
        );
    }
}

/// What stands in front of an address is said once, or the same each time.
fn different_front(lowering: &mut Lowering, first: &Server<'_>, second: &Server<'_>) {
    let unsaid = Front::default();
    if *first.front == *second.front || *first.front == unsaid || *second.front == unsaid {
        return;
    }
    const DIRECTIVES: [&str; 5] =
        ["trusted_proxies", "client_ip_header", "proxy_protocol", "max_connections", "max_connections_per_ip"];
    let place = |server: &Server<'_>| {
        let written = DIRECTIVES.iter().find(|name| server.section.is_some_and(|section| section.mentions(name)));
        server.span(written.copied().unwrap_or_default())
    };
    let message = format!(
        "`{}` and `{}` share {} and must say the same of proxies and connections",
        first.title, second.title, first.listen
    );
    lowering.report(
        Diagnostic::error("E0651", place(second), message)
            .with_related(place(first), "to be compared with this")
            .with_help("write these directives in one of the blocks only"),
    );
}

fn same_socket(lowering: &mut Lowering, first: &Server<'_>, second: &Server<'_>) {
    let message = format!("`{}` and `{}` are the same address in two spellings", first.listen, second.listen);
    lowering.report(
        Diagnostic::error("E0605", second.span("listen"), message)
            .with_related(first.span("listen"), "the other spelling is here")
            .with_help(format!("write `{}` in both to share one listener, or use another port", first.listen)),
    );
}

/// Routes that lie under the prefix of an API on the address of ingress, or above it.
fn collisions(lowering: &mut Lowering, checked: &Checked<'_>, api: &Server<'_>) {
    let Some(prefix) = api.prefix.filter(|prefix| !prefix.is_empty()) else { return };
    for route in checked.routes {
        let path = &route.route.path;
        if overlap(path, prefix) {
            let message =
                format!("route `{path}` and the prefix `{prefix}` of `{}` share an address and overlap", api.title);
            lowering.report(
                Diagnostic::error("E0606", route.path_span, message)
                    .with_related(api.span("prefix"), "the prefix is here")
                    .with_help("choose another path or another prefix"),
            );
        }
    }
}

/// Whether one path lies at or below the other.
fn overlap(a: &str, b: &str) -> bool {
    crate::is_below(a, b) || crate::is_below(b, a)
}

/// gRPC and metrics share with nobody.
fn alone(lowering: &mut Lowering, checked: &Checked<'_>, servers: &[Server<'_>]) {
    let grpc = checked.pull_api.grpc_listen.as_deref();
    let pull_section = checked.top.section("pull_api");
    let grpc_span =
        pull_section.and_then(|section| section.find("grpc_listen")).map(|node| node.span).unwrap_or_default();
    let metrics_node = checked.top.section("observability").and_then(|section| section.find("metrics"));
    let metrics_listen = metrics_node.and_then(|node| node.block.as_ref()).and_then(|block| block.find("listen"));
    let metrics_span = metrics_listen.or(metrics_node).map(|node| node.span).unwrap_or_default();
    let mut lone = |what: &str, listen: &str, span: Span, other: &str, other_span: Span| {
        let message = format!("`{what}` needs an address of its own, and {listen} is that of `{other}`");
        let mut problem = Diagnostic::error("E0607", span, message).with_help("use another port");
        if other_span != Span::default() {
            problem = problem.with_related(other_span, "it is used here");
        }
        lowering.report(problem);
    };
    if let Some(grpc) = grpc {
        if let Some(other) = servers.iter().find(|server| server.is_same_socket(grpc)) {
            lone("grpc_listen", grpc, grpc_span, other.title, other.span("listen"));
        }
        if checked.metrics.is_some_and(|metrics| {
            metrics.listen == grpc || BindAddress::parse(&metrics.listen).is_same_socket(&BindAddress::parse(grpc))
        }) {
            lone("grpc_listen", grpc, grpc_span, "metrics", metrics_span);
        }
    }
    if let Some(metrics) = checked.metrics
        && let Some(other) = servers.iter().find(|server| server.is_same_socket(&metrics.listen))
    {
        lone("metrics", &metrics.listen, metrics_span, other.title, other.span("listen"));
    }
    if grpc.is_some() && !checked.pulled() {
        let message = "`grpc_listen` needs a route with `pull`";
        lowering.error_help(
            "E0608",
            grpc_span,
            message,
            "workers have nothing to pull; remove it, or add such a route",
        );
    }
}

/// Conditions on client certificates need a listener that verifies them.
pub(super) fn client_certs(lowering: &mut Lowering, checked: &Checked<'_>) {
    let tls = checked.ingress.tls.as_ref();
    let section = checked.top.section("ingress");
    // A `tls` block that is there but wrong has been reported.
    let broken = tls.is_none() && section.is_some_and(|section| section.mentions("tls"));
    if broken || tls.is_some_and(|tls| tls.client_auth.verifies()) {
        return;
    }
    let wants = |route: &&crate::lower::LoweredRoute| {
        route.route.channel.served_at_ingress() && !route.route.matches.client_certs.is_empty()
    };
    let tls_span = section.and_then(|section| section.find("tls")).map(|node| node.span);
    for route in checked.routes.iter().filter(wants) {
        let message =
            format!("route `{}` asks for a client certificate, and `ingress` verifies none", route.route.path);
        let mut problem = Diagnostic::error("E0652", route.match_span.unwrap_or(route.path_span), message)
            .with_help("write `client_ca PATH` and `client_auth require_and_verify` (or `verify_if_given`) in the `tls` of `ingress`");
        if let Some(span) = tls_span {
            problem = problem.with_related(span, "clients are not verified here");
        }
        lowering.report(problem);
    }
}

/// Tokens that must be there.
pub(super) fn tokens(lowering: &mut Lowering, checked: &Checked<'_>) {
    let pull_block = checked.top.find("pull_api");
    let open_route = checked.routes.iter().find(|route| match &route.route.work {
        RouteWork::Pull(pull) => route.pulled && pull.auth_tokens.is_empty(),
        RouteWork::Deliver { .. } => false,
    });
    let pulled = checked.pulled();
    let token_help = "write `auth token env:NAME` in `pull_api`";
    match pull_block {
        None => {
            if let Some(route) = checked.routes.iter().find(|route| route.pulled) {
                let message = "a route with `pull` needs a `pull_api` block";
                lowering.error_help("E0601", route.path_span, message, "add `pull_api { auth token env:NAME }`");
            }
        }
        Some(node) => {
            // A token that is there but wrong has been reported.
            let written = node.block.as_ref().is_some_and(|block| block.find("auth").is_some());
            let needed = open_route.is_some() || !pulled;
            if needed && !written {
                let mut problem =
                    Diagnostic::error("E0609", node.name.span, "`pull_api` needs a token").with_help(token_help);
                if let Some(route) = open_route {
                    problem = problem.with_related(route.path_span, "this route has no token of its own");
                }
                lowering.report(problem);
            }
        }
    }
    admin_token(lowering, checked);
}

fn admin_token(lowering: &mut Lowering, checked: &Checked<'_>) {
    let node = checked.top.find("admin_api");
    let block = node.and_then(|node| node.block.as_ref());
    if !checked.admin_api.auth_tokens.is_empty() || block.is_some_and(|block| block.find("auth").is_some()) {
        return;
    }
    let listen = &checked.admin_api.listen;
    let why = if *listen == checked.ingress.listen {
        "it shares the address of ingress".to_owned()
    } else if !BindAddress::parse(listen).is_loopback() {
        format!("{listen} can be reached from other machines")
    } else {
        return;
    };
    let ingress = checked.top.section("ingress").and_then(|section| section.find("listen"));
    let span =
        block.and_then(|block| block.find("listen")).or(node).or(ingress).map(|node| node.span).unwrap_or_default();
    let message = format!("`admin_api` needs a token because {why}");
    lowering.error_help(
        "E0610",
        span,
        message,
        "write `auth token env:NAME` in `admin_api`, or `listen 127.0.0.1:2019`",
    );
}
