//! The kinds of blocks: where a directive may stand.
//!
//! A block is known by the directive that opens it; the table says which. The file itself is a block, too.

/// A kind of block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    /// The file.
    Top,
    /// `ingress`.
    Ingress,
    /// `pull_api`.
    PullApi,
    /// `admin_api`.
    AdminApi,
    /// `tls` of a listener.
    Tls,
    /// `proxy_protocol` of a listener.
    ProxyProtocol,
    /// `rate_limit`, of ingress or of a route.
    RateLimit,
    /// `queue_limits`.
    QueueLimits,
    /// `queue_retention`.
    QueueRetention,
    /// `delivered_retention`.
    DeliveredRetention,
    /// `dlq_retention`.
    DlqRetention,
    /// `attempts_retention`.
    AttemptsRetention,
    /// `secrets`.
    Secrets,
    /// `secret` in `secrets`.
    Secret,
    /// `vars`.
    Vars,
    /// `defaults`.
    Defaults,
    /// `egress` in `defaults`.
    Egress,
    /// `publish_policy` in `defaults`.
    PublishPolicy,
    /// `deliver` in `defaults`.
    DeliverDefaults,
    /// `trend_signals` in `defaults`.
    TrendSignals,
    /// `adaptive_backpressure` in `defaults`.
    AdaptiveBackpressure,
    /// `observability`.
    Observability,
    /// `access_log` in `observability`.
    AccessLog,
    /// `runtime_log` in `observability`.
    RuntimeLog,
    /// `metrics` in `observability`.
    Metrics,
    /// `tracing` in `observability`.
    Tracing,
    /// `tls` in `tracing`.
    TracingTls,
    /// `retry` in `tracing`.
    TracingRetry,
    /// `inbound`, `outbound` or `internal` around routes.
    Channel,
    /// A route.
    Route,
    /// `match` of a route, or a named matcher.
    Match,
    /// `auth hmac` of a route.
    HmacAuth,
    /// `auth forward` of a route.
    ForwardAuth,
    /// `publish` of a route.
    Publish,
    /// `queue` of a route.
    Queue,
    /// `pull` of a route.
    Pull,
    /// `deliver` of a route.
    Deliver,
}

impl Context {
    /// Every kind of block, in the order of the reference.
    pub const ALL: [Self; 37] = [
        Self::Top,
        Self::Ingress,
        Self::PullApi,
        Self::AdminApi,
        Self::Tls,
        Self::ProxyProtocol,
        Self::RateLimit,
        Self::QueueLimits,
        Self::QueueRetention,
        Self::DeliveredRetention,
        Self::DlqRetention,
        Self::AttemptsRetention,
        Self::Secrets,
        Self::Secret,
        Self::Vars,
        Self::Defaults,
        Self::Egress,
        Self::PublishPolicy,
        Self::DeliverDefaults,
        Self::TrendSignals,
        Self::AdaptiveBackpressure,
        Self::Observability,
        Self::AccessLog,
        Self::RuntimeLog,
        Self::Metrics,
        Self::Tracing,
        Self::TracingTls,
        Self::TracingRetry,
        Self::Channel,
        Self::Route,
        Self::Match,
        Self::HmacAuth,
        Self::ForwardAuth,
        Self::Publish,
        Self::Queue,
        Self::Pull,
        Self::Deliver,
    ];

    /// The block as it is named in messages and in the reference.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Top => "the file",
            Self::Ingress => "ingress",
            Self::PullApi => "pull_api",
            Self::AdminApi => "admin_api",
            Self::Tls => "tls",
            Self::ProxyProtocol => "proxy_protocol",
            Self::RateLimit => "rate_limit",
            Self::QueueLimits => "queue_limits",
            Self::QueueRetention => "queue_retention",
            Self::DeliveredRetention => "delivered_retention",
            Self::DlqRetention => "dlq_retention",
            Self::AttemptsRetention => "attempts_retention",
            Self::Secrets => "secrets",
            Self::Secret => "secrets.secret",
            Self::Vars => "vars",
            Self::Defaults => "defaults",
            Self::Egress => "defaults.egress",
            Self::PublishPolicy => "defaults.publish_policy",
            Self::DeliverDefaults => "defaults.deliver",
            Self::TrendSignals => "defaults.trend_signals",
            Self::AdaptiveBackpressure => "defaults.adaptive_backpressure",
            Self::Observability => "observability",
            Self::AccessLog => "observability.access_log",
            Self::RuntimeLog => "observability.runtime_log",
            Self::Metrics => "observability.metrics",
            Self::Tracing => "observability.tracing",
            Self::TracingTls => "observability.tracing.tls",
            Self::TracingRetry => "observability.tracing.retry",
            Self::Channel => "inbound, outbound and internal",
            Self::Route => "route",
            Self::Match => "route.match",
            Self::HmacAuth => "route.auth hmac",
            Self::ForwardAuth => "route.auth forward",
            Self::Publish => "route.publish",
            Self::Queue => "route.queue",
            Self::Pull => "route.pull",
            Self::Deliver => "route.deliver",
        }
    }
}
