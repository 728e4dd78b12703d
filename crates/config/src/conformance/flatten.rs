//! A compiled configuration in the keys of the records.

mod routes;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use hookaido_model::config::{
    ClientAuth, Config, DropPolicy, EgressRule, LogOutput, PullApi, RateLimit, Retention, RouteWork, Tls, Tracing,
};
use hookaido_model::{RetryPolicy, SecretRef};
use serde_json::{Value, json};

use crate::Unused;

/// Values that the reference fills in at run time, and that are therefore not in the records unless they are written.
pub(super) const RUNTIME_DEFAULTS: &[(&str, Filled)] = &[
    ("AuthHMACSignatureHeader", Filled::Text("X-Signature")),
    ("AuthHMACTimestampHeader", Filled::Text("X-Timestamp")),
    ("AuthHMACNonceHeader", Filled::Text("X-Nonce")),
    ("AuthHMACTolerance", Filled::Nanos(300_000_000_000)),
    ("PullAPI.SSEKeepalive", Filled::Nanos(15_000_000_000)),
];

/// A value filled in.
pub(super) enum Filled {
    Text(&'static str),
    Nanos(u64),
}

impl Filled {
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Nanos(nanos) => json!(nanos),
        }
    }
}

/// Writes values under a prefix.
struct Keys {
    values: BTreeMap<String, Value>,
}

impl Keys {
    fn put(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.values.insert(key.into(), value.into());
    }

    fn duration(&mut self, key: impl Into<String>, value: Option<Duration>) {
        self.put(key, u64::try_from(value.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX));
    }

    fn secrets(&mut self, key: &str, secrets: &[SecretRef]) {
        for (at, secret) in secrets.iter().enumerate() {
            self.put(format!("{key}.{at}"), reference(secret));
        }
    }

    fn texts<'a>(&mut self, key: &str, texts: impl IntoIterator<Item = &'a String>) {
        for (at, text) in texts.into_iter().enumerate() {
            self.put(format!("{key}.{at}"), text.as_str());
        }
    }
}

fn reference(secret: &SecretRef) -> String {
    match secret {
        SecretRef::Raw(value) => format!("raw:{value}"),
        other => other.to_string(),
    }
}

/// All values of a configuration.
pub(super) fn flatten(config: &Config, unused: &Unused) -> BTreeMap<String, Value> {
    let mut keys = Keys { values: BTreeMap::new() };
    listeners(&mut keys, config, unused);
    storage(&mut keys, config);
    defaults(&mut keys, config, unused);
    observability(&mut keys, config, unused.tracing.as_ref());
    for (id, pool) in &config.secrets {
        routes::secret(&mut keys, id, pool);
    }
    for (name, value) in &config.vars {
        keys.put(format!("Vars.{name}"), value.as_str());
    }
    for (at, route) in config.routes.iter().enumerate() {
        routes::route(&mut keys, &format!("Routes.{at}"), route, unused);
    }
    keys.values
}

fn listeners(keys: &mut Keys, config: &Config, unused: &Unused) {
    let pulled = config.pull_api.is_some();
    let delivers = config.routes.iter().any(|route| matches!(route.work, RouteWork::Deliver { .. }));
    keys.put("HasPullRoutes", pulled);
    keys.put("HasDeliverRoutes", delivers);
    let (ingress, pull, admin) = (&config.ingress, &unused.pull_api, &config.admin_api);
    keys.put("IngressShared", (pulled && ingress.listen == pull.listen) || ingress.listen == admin.listen);
    keys.put("SharedListener", pulled && pull.listen == admin.listen);
    keys.put("Ingress.Listen", ingress.listen.as_str());
    tls(keys, "Ingress.TLS", ingress.tls.as_ref());
    rate_limit(keys, "Ingress.RateLimit", ingress.rate_limit.as_ref());
    pull_api(keys, pull);
    keys.put("AdminAPI.Listen", admin.listen.as_str());
    keys.put("AdminAPI.Prefix", admin.prefix.as_str());
    keys.secrets("AdminAPI.AuthTokens", &admin.auth_tokens);
    tls(keys, "AdminAPI.TLS", admin.tls.as_ref());
}

fn pull_api(keys: &mut Keys, pull: &PullApi) {
    keys.put("PullAPI.Listen", pull.listen.as_str());
    keys.put("PullAPI.Prefix", pull.prefix.as_str());
    keys.put("PullAPI.GRPCListen", pull.grpc_listen.clone().unwrap_or_default());
    keys.secrets("PullAPI.AuthTokens", &pull.auth_tokens);
    tls(keys, "PullAPI.TLS", pull.tls.as_ref());
    let limits = &pull.limits;
    keys.put("PullAPI.MaxBatch", limits.max_batch);
    keys.put("PullAPI.MaxLeaseBatch", limits.max_lease_batch);
    keys.duration("PullAPI.DefaultLeaseTTL", Some(limits.default_lease_ttl));
    keys.duration("PullAPI.MaxLeaseTTL", limits.max_lease_ttl);
    keys.duration("PullAPI.DefaultMaxWait", Some(limits.default_max_wait));
    keys.duration("PullAPI.MaxWait", limits.max_wait);
    keys.duration("PullAPI.SSEKeepalive", limits.sse_keepalive);
    keys.duration("PullAPI.SSEMaxConnection", limits.sse_max_connection);
}

fn tls(keys: &mut Keys, prefix: &str, tls: Option<&Tls>) {
    let Some(tls) = tls else { return };
    keys.put(format!("{prefix}.Enabled"), true);
    keys.put(format!("{prefix}.CertFile"), &*tls.cert_file);
    keys.put(format!("{prefix}.KeyFile"), &*tls.key_file);
    keys.put(format!("{prefix}.ClientCA"), tls.client_ca.as_deref().unwrap_or_default());
    let number = match tls.client_auth {
        ClientAuth::None => 0,
        ClientAuth::Request => 1,
        ClientAuth::RequireAny => 2,
        ClientAuth::VerifyIfGiven => 3,
        ClientAuth::RequireAndVerify => 4,
    };
    keys.put(format!("{prefix}.ClientAuth"), number);
}

fn rate_limit(keys: &mut Keys, prefix: &str, limit: Option<&RateLimit>) {
    let Some(limit) = limit else { return };
    keys.put(format!("{prefix}.Enabled"), true);
    keys.put(format!("{prefix}.RPS"), limit.rps);
    keys.put(format!("{prefix}.Burst"), limit.burst);
}

fn storage(keys: &mut Keys, config: &Config) {
    keys.put("QueueLimits.MaxDepth", config.queue_limits.max_depth.unwrap_or(0));
    let policy = match config.queue_limits.drop_policy {
        DropPolicy::Reject => "reject",
        DropPolicy::DropOldest => "drop_oldest",
    };
    keys.put("QueueLimits.DropPolicy", policy);
    let mut block = |name: &str, retention: &Retention, rows: Option<&str>| {
        keys.put(format!("{name}.Enabled"), retention.enabled);
        keys.duration(format!("{name}.MaxAge"), retention.max_age);
        if let Some(rows) = rows {
            keys.put(format!("{name}.{rows}"), retention.max_rows.unwrap_or(0));
        }
    };
    block("QueueRetention", &config.retentions.queued, None);
    block("DeliveredRetention", &config.retentions.delivered, None);
    block("DLQRetention", &config.retentions.dead, Some("MaxDepth"));
    block("AttemptsRetention", &config.retentions.attempts, Some("MaxRows"));
    keys.duration("QueueRetention.PruneInterval", Some(config.retentions.prune_interval));
}

fn defaults(keys: &mut Keys, config: &Config, unused: &Unused) {
    let defaults = &unused.defaults;
    keys.put("Defaults.MaxBodyBytes", config.max_body);
    keys.put("Defaults.MaxHeaderBytes", config.max_headers);
    keys.put("Defaults.DeliverConcurrency", defaults.concurrency);
    keys.duration("Defaults.DeliverTimeout", Some(defaults.timeout));
    retry(keys, "Defaults.DeliverRetry", &defaults.retry);
    let egress = &config.egress;
    keys.put("Defaults.EgressPolicy.HTTPSOnly", egress.https_only);
    keys.put("Defaults.EgressPolicy.Redirects", egress.redirects);
    keys.put("Defaults.EgressPolicy.DNSRebindProtection", egress.dns_rebind_protection);
    egress_rules(keys, "Defaults.EgressPolicy.Allow", &egress.allow);
    egress_rules(keys, "Defaults.EgressPolicy.Deny", &egress.deny);
    let policy = &config.publish_policy;
    for (name, value) in [
        ("DirectEnabled", policy.direct),
        ("ManagedEnabled", policy.managed),
        ("AllowPullRoutes", policy.allow_pull_routes),
        ("AllowDeliverRoutes", policy.allow_deliver_routes),
        ("RequireActor", policy.require_actor),
        ("RequireRequestID", policy.require_request_id),
        ("FailClosed", policy.fail_closed),
    ] {
        keys.put(format!("Defaults.PublishPolicy.{name}"), value);
    }
    keys.texts("Defaults.PublishPolicy.ActorAllowlist", &policy.actor_allow);
    keys.texts("Defaults.PublishPolicy.ActorPrefixes", &policy.actor_prefix);
    signals(keys, config);
}

fn signals(keys: &mut Keys, config: &Config) {
    let trend = &config.trend_signals;
    keys.duration("Defaults.TrendSignals.Window", Some(trend.window));
    keys.duration("Defaults.TrendSignals.ExpectedCaptureInterval", Some(trend.expected_capture_interval));
    for (name, value) in [
        ("StaleGraceFactor", u64::from(trend.stale_grace_factor)),
        ("SustainedGrowthConsecutive", u64::from(trend.sustained_growth_consecutive)),
        ("SustainedGrowthMinSamples", u64::from(trend.sustained_growth_min_samples)),
        ("SustainedGrowthMinDelta", trend.sustained_growth_min_delta),
        ("RecentSurgeMinTotal", trend.recent_surge_min_total),
        ("RecentSurgeMinDelta", trend.recent_surge_min_delta),
        ("RecentSurgePercent", u64::from(trend.recent_surge_percent)),
        ("DeadShareHighMinTotal", trend.dead_share_high_min_total),
        ("DeadShareHighPercent", u64::from(trend.dead_share_high_percent)),
        ("QueuedPressureMinTotal", trend.queued_pressure_min_total),
        ("QueuedPressurePercent", u64::from(trend.queued_pressure_percent)),
        ("QueuedPressureLeasedMultiplier", u64::from(trend.queued_pressure_leased_multiplier)),
    ] {
        keys.put(format!("Defaults.TrendSignals.{name}"), value);
    }
    let adaptive = &config.adaptive_backpressure;
    keys.put("Defaults.AdaptiveBackpressure.Enabled", adaptive.enabled);
    keys.put("Defaults.AdaptiveBackpressure.MinTotal", adaptive.min_total);
    keys.put("Defaults.AdaptiveBackpressure.QueuedPercent", adaptive.queued_percent);
    keys.duration("Defaults.AdaptiveBackpressure.ReadyLag", Some(adaptive.ready_lag));
    keys.duration("Defaults.AdaptiveBackpressure.OldestQueuedAge", Some(adaptive.oldest_queued_age));
    keys.put("Defaults.AdaptiveBackpressure.SustainedGrowth", adaptive.sustained_growth);
}

fn egress_rules(keys: &mut Keys, prefix: &str, rules: &[EgressRule]) {
    for (at, rule) in rules.iter().enumerate() {
        match rule {
            EgressRule::Cidr(address, bits) => {
                keys.put(format!("{prefix}.{at}.CIDR"), network(*address, *bits));
                keys.put(format!("{prefix}.{at}.IsCIDR"), true);
            }
            EgressRule::Host { name, subdomains } => {
                keys.put(format!("{prefix}.{at}.Host"), name.as_str());
                keys.put(format!("{prefix}.{at}.Subdomains"), *subdomains);
            }
        }
    }
}

fn network(address: IpAddr, bits: u8) -> String {
    format!("{address}/{bits}")
}

fn observability(keys: &mut Keys, config: &Config, tracing: Option<&Tracing>) {
    let observability = &config.observability;
    let mut output = |name: &str, output: &LogOutput| {
        let (kind, path) = match output {
            LogOutput::Stderr => ("stderr", ""),
            LogOutput::Stdout => ("stdout", ""),
            LogOutput::File(path) => ("file", path.as_str()),
        };
        keys.put(format!("Observability.{name}Output"), kind);
        keys.put(format!("Observability.{name}Path"), path);
    };
    output("AccessLog", &observability.access_log.output);
    output("RuntimeLog", &observability.runtime_log.output);
    keys.put("Observability.AccessLogEnabled", observability.access_log.enabled);
    let level = observability.runtime_log.level.map(|level| format!("{level:?}").to_lowercase());
    keys.put("Observability.RuntimeLogSet", level.is_some());
    keys.put("Observability.RuntimeLogDisabled", level.as_deref() == Some("off"));
    keys.put("Observability.RuntimeLogLevel", level.unwrap_or_default());
    if let Some(metrics) = &observability.metrics {
        keys.put("Observability.Metrics.Enabled", true);
        keys.put("Observability.Metrics.Listen", metrics.listen.as_str());
        keys.put("Observability.Metrics.Prefix", metrics.prefix.as_str());
    }
    keys.put("Observability.TracingEnabled", observability.tracing.is_some());
    let Some(tracing) = tracing else { return };
    keys.put("Observability.TracingCollector", tracing.collector.as_str());
    keys.put("Observability.TracingURLPath", tracing.url_path.clone().unwrap_or_default());
    keys.duration("Observability.TracingTimeout", tracing.timeout);
    keys.put("Observability.TracingTimeoutSet", tracing.timeout.is_some());
    keys.put("Observability.TracingCompression", tracing.compression.clone().unwrap_or_default());
    keys.put("Observability.TracingInsecure", tracing.insecure);
    keys.put("Observability.TracingProxyURL", tracing.proxy_url.clone().unwrap_or_default());
    let tls = &tracing.tls;
    for (name, value) in [
        ("CAFile", &tls.ca_file),
        ("CertFile", &tls.cert_file),
        ("KeyFile", &tls.key_file),
        ("ServerName", &tls.server_name),
    ] {
        keys.put(format!("Observability.TracingTLS{name}"), value.clone().unwrap_or_default());
    }
    keys.put("Observability.TracingTLSInsecureSkipVerify", tls.insecure_skip_verify);
}

fn retry(keys: &mut Keys, prefix: &str, retry: &RetryPolicy) {
    keys.put(format!("{prefix}.Type"), "exponential");
    keys.put(format!("{prefix}.Max"), retry.max);
    keys.duration(format!("{prefix}.Base"), Some(retry.base));
    keys.duration(format!("{prefix}.Cap"), Some(retry.cap));
    keys.put(format!("{prefix}.Jitter"), retry.jitter);
}
