//! One example for every kind of block. Together they use every directive; a test compiles each.

use crate::Context;

/// A complete file that shows a kind of block.
#[must_use]
pub fn example(context: Context) -> &'static str {
    match context {
        Context::Top => TOP,
        Context::Ingress | Context::RateLimit | Context::ProxyProtocol => INGRESS,
        Context::PullApi => PULL_API,
        Context::AdminApi => ADMIN_API,
        Context::Tls => TLS,
        Context::QueueLimits
        | Context::QueueRetention
        | Context::DeliveredRetention
        | Context::DlqRetention
        | Context::AttemptsRetention => STORAGE,
        Context::Secrets | Context::Secret => SECRETS,
        Context::Vars => VARS,
        Context::Defaults | Context::Egress | Context::PublishPolicy | Context::DeliverDefaults => DEFAULTS,
        Context::TrendSignals | Context::AdaptiveBackpressure => SIGNALS,
        Context::Observability | Context::AccessLog | Context::RuntimeLog | Context::Metrics => OBSERVABILITY,
        Context::Tracing | Context::TracingTls | Context::TracingRetry => TRACING,
        Context::Channel => CHANNEL,
        Context::Route | Context::Publish | Context::Queue | Context::Pull => ROUTE,
        Context::Match => MATCH,
        Context::HmacAuth => HMAC_AUTH,
        Context::ForwardAuth => FORWARD_AUTH,
        Context::Deliver => DELIVER,
    }
}

const TOP: &str = include_str!("examples/top.conf");
const INGRESS: &str = include_str!("examples/ingress.conf");
const PULL_API: &str = include_str!("examples/pull_api.conf");
const ADMIN_API: &str = include_str!("examples/admin_api.conf");
const TLS: &str = include_str!("examples/tls.conf");
const STORAGE: &str = include_str!("examples/storage.conf");
const SECRETS: &str = include_str!("examples/secrets.conf");
const VARS: &str = include_str!("examples/vars.conf");
const DEFAULTS: &str = include_str!("examples/defaults.conf");
const SIGNALS: &str = include_str!("examples/signals.conf");
const OBSERVABILITY: &str = include_str!("examples/observability.conf");
const TRACING: &str = include_str!("examples/tracing.conf");
const CHANNEL: &str = include_str!("examples/channel.conf");
const ROUTE: &str = include_str!("examples/route.conf");
const MATCH: &str = include_str!("examples/match.conf");
const HMAC_AUTH: &str = include_str!("examples/hmac_auth.conf");
const FORWARD_AUTH: &str = include_str!("examples/forward_auth.conf");
const DELIVER: &str = include_str!("examples/deliver.conf");
