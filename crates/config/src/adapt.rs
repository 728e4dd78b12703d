//! The compiled configuration as JSON: what `config adapt` prints and other tools build on.
//!
//! Stable. Defaults are filled in; names are those of the language; durations are text (`1m30s`), sizes are bytes, "no bound" is `null`.
//! Secrets never appear: references keep their place (`env:NAME`), `raw:` values, passwords, header and environment values of targets
//! are `"***"`.

mod front;
mod route;

use std::time::Duration;

use hookaido_model::SecretRef;
use hookaido_model::config::{
    ClientAuth, Config, DropPolicy, EgressRule, LogLevel, LogOutput, Observability, PullApi, RateLimit, Retentions,
    SecretPool, SecretVersion, Tls, Tracing,
};
use serde_json::{Map, Value, json};

use self::front::front;
use self::route::route;
use crate::text::duration_text;

/// What stands in the place of a secret.
const HIDDEN: &str = "***";

/// A configuration as JSON.
#[must_use]
pub fn adapt(config: &Config) -> Value {
    let secrets: Map<String, Value> = config.secrets.iter().map(|(id, pool)| (id.clone(), secret(pool))).collect();
    json!({
        "ingress": {
            "listen": config.ingress.listen,
            "tls": config.ingress.tls.as_ref().map(tls),
            "rate_limit": config.ingress.rate_limit.as_ref().map(rate_limit),
            "client_limit": config.ingress.client_limit.as_ref().map(rate_limit),
            "front": front(&config.ingress.front),
        },
        "pull_api": config.pull_api.as_ref().map(pull_api),
        "admin_api": {
            "listen": config.admin_api.listen,
            "tls": config.admin_api.tls.as_ref().map(tls),
            "prefix": config.admin_api.prefix,
            "auth": references(&config.admin_api.auth_tokens),
            "front": front(&config.admin_api.front),
        },
        "queue": {"backend": config.backend.as_str()},
        "queue_limits": {
            "max_depth": config.queue_limits.max_depth,
            "drop_policy": match config.queue_limits.drop_policy {
                DropPolicy::Reject => "reject",
                DropPolicy::DropOldest => "drop_oldest",
            },
        },
        "retention": retention(&config.retentions),
        "defaults": defaults(config),
        "observability": observability(&config.observability),
        "secrets": secrets,
        "vars": config.vars.keys().collect::<Vec<_>>(),
        "routes": config.routes.iter().map(route).collect::<Vec<_>>(),
    })
}

fn time(duration: Duration) -> Value {
    duration_text(duration).into()
}

fn bound(duration: Option<Duration>) -> Value {
    duration.map_or(Value::Null, time)
}

fn references(secrets: &[SecretRef]) -> Vec<String> {
    secrets.iter().map(ToString::to_string).collect()
}

fn tls(tls: &Tls) -> Value {
    json!({
        "cert_file": &*tls.cert_file,
        "key_file": &*tls.key_file,
        "client_ca": tls.client_ca.as_deref(),
        "client_auth": match tls.client_auth {
            ClientAuth::None => "none",
            ClientAuth::Request => "request",
            ClientAuth::RequireAny => "require_any",
            ClientAuth::VerifyIfGiven => "verify_if_given",
            ClientAuth::RequireAndVerify => "require_and_verify",
        },
    })
}

fn rate_limit(limit: &RateLimit) -> Value {
    json!({"rps": limit.rps, "burst": limit.burst})
}

fn pull_api(api: &PullApi) -> Value {
    let limits = &api.limits;
    json!({
        "listen": api.listen,
        "tls": api.tls.as_ref().map(tls),
        "prefix": api.prefix,
        "grpc_listen": api.grpc_listen,
        "auth": references(&api.auth_tokens),
        "max_batch": limits.max_batch,
        "max_lease_batch": limits.max_lease_batch,
        "default_lease_ttl": time(limits.default_lease_ttl),
        "max_lease_ttl": bound(limits.max_lease_ttl),
        "default_max_wait": time(limits.default_max_wait),
        "max_wait": bound(limits.max_wait),
        "sse_keepalive": time(limits.sse_keepalive.unwrap_or(Duration::from_secs(15))),
        "sse_max_connection": bound(limits.sse_max_connection),
        "front": front(&api.front),
    })
}

fn retention(retentions: &Retentions) -> Value {
    let Retentions { queued, delivered, dead, attempts, prune_interval } = retentions;
    json!({
        "prune_interval": time(*prune_interval),
        "queued": {"max_age": bound(queued.max_age)},
        "delivered": {"max_age": bound(delivered.max_age)},
        "dead": {"max_age": bound(dead.max_age), "max_depth": dead.max_rows},
        "attempts": {"max_age": bound(attempts.max_age), "max_rows": attempts.max_rows},
    })
}

fn defaults(config: &Config) -> Value {
    let (egress, publish) = (&config.egress, &config.publish_policy);
    let adaptive = &config.adaptive_backpressure;
    json!({
        "max_body": config.max_body,
        "max_headers": config.max_headers,
        "egress": {
            "allow": egress.allow.iter().map(egress_rule).collect::<Vec<_>>(),
            "deny": egress.deny.iter().map(egress_rule).collect::<Vec<_>>(),
            "https_only": egress.https_only,
            "redirects": egress.redirects,
            "dns_rebind_protection": egress.dns_rebind_protection,
        },
        "publish_policy": {
            "direct": publish.direct,
            "managed": publish.managed,
            "allow_pull_routes": publish.allow_pull_routes,
            "allow_deliver_routes": publish.allow_deliver_routes,
            "require_actor": publish.require_actor,
            "require_request_id": publish.require_request_id,
            "fail_closed": publish.fail_closed,
            "actor_allow": publish.actor_allow,
            "actor_prefix": publish.actor_prefix,
        },
        "trend_signals": trend_signals(config),
        "adaptive_backpressure": {
            "enabled": adaptive.enabled,
            "min_total": adaptive.min_total,
            "queued_percent": adaptive.queued_percent,
            "ready_lag": time(adaptive.ready_lag),
            "oldest_queued_age": time(adaptive.oldest_queued_age),
            "sustained_growth": adaptive.sustained_growth,
        },
    })
}

fn trend_signals(config: &Config) -> Value {
    let trend = &config.trend_signals;
    json!({
        "window": time(trend.window),
        "expected_capture_interval": time(trend.expected_capture_interval),
        "stale_grace_factor": trend.stale_grace_factor,
        "sustained_growth_consecutive": trend.sustained_growth_consecutive,
        "sustained_growth_min_samples": trend.sustained_growth_min_samples,
        "sustained_growth_min_delta": trend.sustained_growth_min_delta,
        "recent_surge_min_total": trend.recent_surge_min_total,
        "recent_surge_min_delta": trend.recent_surge_min_delta,
        "recent_surge_percent": trend.recent_surge_percent,
        "dead_share_high_min_total": trend.dead_share_high_min_total,
        "dead_share_high_percent": trend.dead_share_high_percent,
        "queued_pressure_min_total": trend.queued_pressure_min_total,
        "queued_pressure_percent": trend.queued_pressure_percent,
        "queued_pressure_leased_multiplier": trend.queued_pressure_leased_multiplier,
    })
}

fn egress_rule(rule: &EgressRule) -> String {
    match rule {
        EgressRule::Cidr(address, bits) => format!("{address}/{bits}"),
        EgressRule::Host { name, subdomains: true } => format!("*.{name}"),
        EgressRule::Host { name, subdomains: false } => name.clone(),
    }
}

fn observability(observability: &Observability) -> Value {
    let output = |output: &LogOutput| match output {
        LogOutput::Stderr => json!({"output": "stderr", "format": "json"}),
        LogOutput::Stdout => json!({"output": "stdout", "format": "json"}),
        LogOutput::File(path) => json!({"output": "file", "path": path, "format": "json"}),
    };
    let with = |mut log: Value, name: &str, value: Value| {
        if let Some(members) = log.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
        log
    };
    let level = observability.runtime_log.level.map(|level| match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
        LogLevel::Off => "off",
    });
    json!({
        "access_log": with(output(&observability.access_log.output), "enabled", observability.access_log.enabled.into()),
        "runtime_log": with(output(&observability.runtime_log.output), "level", level.into()),
        "metrics": observability.metrics.as_ref().map(|metrics| json!({"listen": metrics.listen, "prefix": metrics.prefix})),
        "tracing": observability.tracing.as_ref().map(tracing),
    })
}

fn tracing(tracing: &Tracing) -> Value {
    let tls = &tracing.tls;
    json!({
        "collector": without_password(&tracing.collector),
        "url_path": tracing.url_path,
        "timeout": bound(tracing.timeout),
        "compression": tracing.compression,
        "insecure": tracing.insecure,
        "proxy_url": tracing.proxy_url.as_deref().map(without_password),
        "tls": {
            "ca_file": tls.ca_file,
            "cert_file": tls.cert_file,
            "key_file": tls.key_file,
            "server_name": tls.server_name,
            "insecure_skip_verify": tls.insecure_skip_verify,
        },
        "retry": tracing.retry.as_ref().map(|retry| json!({
            "enabled": retry.enabled,
            "initial_interval": bound(retry.initial_interval),
            "max_interval": bound(retry.max_interval),
            "max_elapsed_time": bound(retry.max_elapsed_time),
        })),
        "headers": hidden(tracing.headers.iter().map(|(name, _)| name)),
    })
}

/// Names whose values are not shown.
fn hidden<'a>(names: impl Iterator<Item = &'a String>) -> Map<String, Value> {
    names.map(|name| (name.clone(), HIDDEN.into())).collect()
}

/// A URL whose user and password, if it has any, are not shown.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.get(..end).and_then(|authority| authority.rfind('@')) {
        Some(at) => format!("{scheme}://{HIDDEN}{}", rest.get(at..).unwrap_or_default()),
        None => url.to_owned(),
    }
}

fn secret(pool: &SecretPool) -> Value {
    match pool {
        SecretPool::Static(version) => version_json(version),
        SecretPool::Runtime { initial, max_versions, .. } => {
            json!({"runtime": true, "max_versions": max_versions, "initial": initial.as_ref().map(version_json)})
        }
    }
}

fn version_json(version: &SecretVersion) -> Value {
    json!({
        "value": version.value.to_string(),
        "valid_from": version.valid_from.map(|at| at.to_string()),
        "valid_until": version.valid_until.map(|at| at.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FixedEnvironment, compile};

    #[test]
    fn secrets_never_appear() {
        let text = r#"pull_api { auth token raw:SECRET }
            admin_api { auth token env:ADMIN }
            secrets { secret s { value raw:SECRET valid_from 2026-01-01T00:00:00Z } }
            vars { V SECRET }
            /a { auth basic user SECRET pull { path /a } }
            /b { auth hmac raw:SECRET deliver https://u:SECRET@h/ { header Authorization SECRET sign hmac raw:SECRET } }
            /c { deliver exec /bin/x { env KEY SECRET } }"#;
        let config = compile(text.as_bytes(), &FixedEnvironment::default()).config.expect("valid");
        let json = adapt(&config);
        assert_eq!(json["routes"][1]["deliver"][0]["url"], "https://***@h/");
        assert!(!json.to_string().contains("SECRET"), "{json:#}");
        assert_eq!(json["admin_api"]["auth"], json!(["env:ADMIN"]));
        assert_eq!(json["routes"][1]["deliver"][0]["header"], json!({"Authorization": "***"}));
        assert_eq!(json["routes"][0]["auth"], json!({"kind": "basic", "users": {"user": "***"}}));
        assert_eq!((&json["queue_limits"]["max_depth"], &json["pull_api"]["max_wait"]), (&json!(10000), &Value::Null));
    }
}
