//! What a reload will do: every difference between two configurations, and whether it can be applied live.
//!
//! Destructures the compiled configuration exhaustively, so a field that nobody has classified does not compile. Pure; the
//! supervisor of `server` carries it out: in full, or not at all.

use hookaido_model::config::{AdminApi, Config, Front, Ingress, Observability, PullApi, PullLimits, Retentions, Route};

use crate::table::Reload;

/// What a reload will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Every difference, in the order of the reference.
    pub changes: Vec<Change>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The directive, as `block.directive`; routes as `route /path`.
    pub directive: String,
    /// Whether it can be applied without a restart.
    pub reload: Reload,
}

impl Plan {
    /// Whether both configurations mean the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The directives whose change needs a restart. While there is any, nothing may be applied.
    pub fn needs_restart(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().filter(|change| change.reload == Reload::Restart).map(|change| change.directive.as_str())
    }

    fn compare<T: PartialEq>(&mut self, directive: &str, old: &T, new: &T, reload: Reload) {
        if old != new {
            self.changes.push(Change { directive: directive.to_owned(), reload });
        }
    }

    fn live<T: PartialEq>(&mut self, directive: &str, old: &T, new: &T) {
        self.compare(directive, old, new, Reload::Live);
    }

    fn restart<T: PartialEq>(&mut self, directive: &str, old: &T, new: &T) {
        self.compare(directive, old, new, Reload::Restart);
    }
}

/// Compares the running configuration with a new one.
#[must_use]
pub fn plan(old: &Config, new: &Config) -> Plan {
    let mut plan = Plan::default();
    let Config {
        ingress,
        pull_api,
        admin_api,
        queue_limits,
        retentions,
        backend,
        egress,
        publish_policy,
        trend_signals,
        adaptive_backpressure,
        max_body,
        max_headers,
        observability,
        secrets,
        vars,
        routes,
    } = old;
    plan_ingress(&mut plan, ingress, &new.ingress);
    plan_pull_api(&mut plan, pull_api.as_ref(), new.pull_api.as_ref());
    plan_admin_api(&mut plan, admin_api, &new.admin_api);
    plan.restart("queue_limits", queue_limits, &new.queue_limits);
    plan_retentions(&mut plan, retentions, &new.retentions);
    plan.restart("queue.backend", backend, &new.backend);
    plan.live("secrets", secrets, &new.secrets);
    plan.live("vars", vars, &new.vars);
    plan.restart("defaults.max_body", max_body, &new.max_body);
    plan.restart("defaults.max_headers", max_headers, &new.max_headers);
    plan.live("defaults.egress", egress, &new.egress);
    plan.restart("defaults.publish_policy", publish_policy, &new.publish_policy);
    plan.live("defaults.trend_signals", trend_signals, &new.trend_signals);
    plan.live("defaults.adaptive_backpressure", adaptive_backpressure, &new.adaptive_backpressure);
    plan_observability(&mut plan, observability, &new.observability);
    plan_routes(&mut plan, routes, &new.routes);
    plan
}

fn plan_ingress(plan: &mut Plan, old: &Ingress, new: &Ingress) {
    let Ingress { listen, tls, rate_limit, client_limit, front } = old;
    plan.restart("ingress.listen", listen, &new.listen);
    plan.restart("ingress.tls", tls, &new.tls);
    plan.live("ingress.rate_limit", &(rate_limit, client_limit), &(&new.rate_limit, &new.client_limit));
    plan_front(plan, "ingress", front, &new.front);
}

fn plan_front(plan: &mut Plan, api: &str, old: &Front, new: &Front) {
    let Front { trusted_proxies, client_ip_header, proxy_protocol, max_connections, max_connections_per_ip } = old;
    plan.live(&format!("{api}.trusted_proxies"), trusted_proxies, &new.trusted_proxies);
    plan.live(&format!("{api}.client_ip_header"), client_ip_header, &new.client_ip_header);
    plan.live(&format!("{api}.proxy_protocol"), proxy_protocol, &new.proxy_protocol);
    plan.restart(&format!("{api}.max_connections"), max_connections, &new.max_connections);
    plan.live(&format!("{api}.max_connections_per_ip"), max_connections_per_ip, &new.max_connections_per_ip);
}

fn plan_pull_api(plan: &mut Plan, old: Option<&PullApi>, new: Option<&PullApi>) {
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (None, None) => return,
        // The first pulled route opens the listener, the last one closes it.
        _ => return plan.restart("pull_api", &old.is_some(), &new.is_some()),
    };
    let PullApi { listen, tls, prefix, grpc_listen, auth_tokens, limits, front } = old;
    plan_front(plan, "pull_api", front, &new.front);
    plan.restart("pull_api.listen", listen, &new.listen);
    plan.restart("pull_api.tls", tls, &new.tls);
    plan.restart("pull_api.prefix", prefix, &new.prefix);
    plan.restart("pull_api.grpc_listen", grpc_listen, &new.grpc_listen);
    plan.live("pull_api.auth", auth_tokens, &new.auth_tokens);
    // Only the settings of streams are live, as in the reference's own reload rules.
    let streams = |limits: &PullLimits| (limits.sse_keepalive, limits.sse_max_connection);
    plan.live("pull_api.sse", &streams(limits), &streams(&new.limits));
    let fixed = |limits: &PullLimits| PullLimits { sse_keepalive: None, sse_max_connection: None, ..limits.clone() };
    plan.restart("pull_api limits", &fixed(limits), &fixed(&new.limits));
}

fn plan_admin_api(plan: &mut Plan, old: &AdminApi, new: &AdminApi) {
    let AdminApi { listen, tls, prefix, auth_tokens, front } = old;
    plan_front(plan, "admin_api", front, &new.front);
    plan.restart("admin_api.listen", listen, &new.listen);
    plan.restart("admin_api.tls", tls, &new.tls);
    plan.restart("admin_api.prefix", prefix, &new.prefix);
    plan.live("admin_api.auth", auth_tokens, &new.auth_tokens);
}

fn plan_retentions(plan: &mut Plan, old: &Retentions, new: &Retentions) {
    let Retentions { queued, delivered, dead, attempts, prune_interval } = old;
    plan.restart("queue_retention.max_age", queued, &new.queued);
    plan.restart("queue_retention.prune_interval", prune_interval, &new.prune_interval);
    plan.restart("delivered_retention", delivered, &new.delivered);
    plan.restart("dlq_retention", dead, &new.dead);
    plan.restart("attempts_retention", attempts, &new.attempts);
}

fn plan_observability(plan: &mut Plan, old: &Observability, new: &Observability) {
    let Observability { access_log, runtime_log, metrics, tracing } = old;
    plan.restart("observability.access_log", access_log, &new.access_log);
    plan.restart("observability.runtime_log", runtime_log, &new.runtime_log);
    plan.restart("observability.metrics", metrics, &new.metrics);
    plan.restart("observability.tracing", tracing, &new.tracing);
}

/// Routes by path; everything about them is live. Their order counts, too.
fn plan_routes(plan: &mut Plan, old: &[Route], new: &[Route]) {
    let by_path = |routes: &'_ [Route]| -> std::collections::BTreeMap<_, _> {
        routes.iter().map(|route| (std::sync::Arc::clone(&route.path), route.clone())).collect()
    };
    let (before, after) = (by_path(old), by_path(new));
    let paths: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for path in paths {
        plan.live(&format!("route {path}"), &before.get(path), &after.get(path));
    }
    let kept = |routes: &'_ [Route], others: &std::collections::BTreeMap<_, _>| -> Vec<_> {
        routes.iter().map(|route| std::sync::Arc::clone(&route.path)).filter(|path| others.contains_key(path)).collect()
    };
    plan.live("order of routes", &kept(old, &after), &kept(new, &before));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, FixedEnvironment, compile};

    fn config(extra: &str, routes: &str) -> Config {
        let text = format!("pull_api {{ auth token raw:t }}\n{extra}\n{routes}");
        compile(text.as_bytes(), &FixedEnvironment::default()).config.expect(&text)
    }

    fn changes(extra: &str, routes: &str) -> String {
        let old = config("", "/a { pull { path /a } } /b { pull { path /b } }");
        let plan = plan(&old, &config(extra, routes));
        let shown = |change: &Change| format!("{}: {:?}", change.directive, change.reload);
        plan.changes.iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn every_change_is_classified() {
        let same = "/a { pull { path /a } } /b { pull { path /b } }";
        for (extra, routes, want) in [
            ("", same, ""),
            ("# comment", same, ""),
            ("ingress { listen :1 }", same, "ingress.listen: Restart"),
            ("queue_limits { max_depth 5 }", same, "queue_limits: Restart"),
            ("observability { access_log off }", same, "observability.access_log: Restart"),
            ("", "/b { pull { path /b } } /a { pull { path /a } }", "order of routes: Live"),
            ("", "/a { pull { path /x } } /c { pull { path /c } }", "route /a: Live, route /b: Live, route /c: Live"),
            ("", "/a { deliver https://h/ { } }", "pull_api: Restart, route /a: Live, route /b: Live"),
            (
                "",
                "/a { queue memory pull { path /a } } /b { queue memory pull { path /b } }",
                "queue.backend: Restart, route /a: Live, route /b: Live",
            ),
        ] {
            assert_eq!(changes(extra, routes), want, "{extra} {routes}");
        }
    }

    /// The table tells people what `plan` does.
    #[test]
    fn the_table_and_the_plan_agree() {
        let routes = "/a { pull { path /a } }";
        let before = config("", routes);
        let tls = "tls { cert_file a key_file b }";
        for (context, name, text) in [
            (Context::Ingress, "listen", "ingress { listen :1 }"),
            (Context::Ingress, "tls", &format!("ingress {{ {tls} }}")),
            (Context::Ingress, "rate_limit", "ingress { rate_limit { rps 1 } }"),
            (Context::RateLimit, "key", "ingress { rate_limit { key client_ip rps 1 } }"),
            (Context::Ingress, "trusted_proxies", "ingress { trusted_proxies ::1 }"),
            (Context::Ingress, "client_ip_header", "ingress { client_ip_header forwarded }"),
            (Context::ProxyProtocol, "from", "ingress { proxy_protocol { from ::1 } }"),
            (Context::Ingress, "max_connections", "ingress { max_connections 5 }"),
            (Context::AdminApi, "max_connections_per_ip", "admin_api { max_connections_per_ip 5 }"),
            (Context::AdminApi, "listen", "admin_api { listen 127.0.0.1:1 }"),
            (Context::AdminApi, "prefix", "admin_api { prefix /x }"),
            (Context::AdminApi, "auth", "admin_api { auth token raw:a }"),
            (Context::AdminApi, "tls", &format!("admin_api {{ {tls} }}")),
            (Context::QueueLimits, "max_depth", "queue_limits { max_depth 5 }"),
            (Context::QueueRetention, "prune_interval", "queue_retention { prune_interval 1s }"),
            (Context::DlqRetention, "max_depth", "dlq_retention { max_depth 5 }"),
            (Context::Secret, "value", "secrets { secret s { value env:A valid_from 2026-01-01T00:00:00Z } }"),
            (Context::Vars, "NAME", "vars { A x }"),
            (Context::Defaults, "max_body", "defaults { max_body 1kb }"),
            (Context::Egress, "redirects", "defaults { egress { redirects on } }"),
            (Context::PublishPolicy, "direct", "defaults { publish_policy { direct off } }"),
            (Context::TrendSignals, "window", "defaults { trend_signals { window 1m } }"),
            (Context::AdaptiveBackpressure, "enabled", "defaults { adaptive_backpressure { enabled on } }"),
            (Context::AccessLog, "enabled", "observability { access_log { enabled off } }"),
            (Context::RuntimeLog, "level", "observability { runtime_log { level warn } }"),
            (Context::Metrics, "listen", "observability { metrics { listen :1 } }"),
            (Context::Tracing, "enabled", "observability { tracing { enabled on } }"),
        ] {
            let mut changes = plan(&before, &config(text, routes)).changes;
            // Routes take over what `defaults` say.
            changes.retain(|change| !change.directive.starts_with("route "));
            let reload = crate::table::row(context, name).map(|row| row.reload);
            assert!(
                !changes.is_empty() && changes.iter().all(|change| Some(change.reload) == reload),
                "{text}: {changes:?}"
            );
        }
    }

    #[test]
    fn the_directives_that_need_a_restart_are_named() {
        let old = config("", "/a { pull { path /a } }");
        let new = config("ingress { listen :1 } admin_api { prefix /x }", "/a { pull { path /a } }");
        assert_eq!(plan(&old, &new).needs_restart().collect::<Vec<_>>(), ["ingress.listen", "admin_api.prefix"]);
    }
}
