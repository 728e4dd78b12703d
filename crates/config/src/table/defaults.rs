//! Directives of `defaults`.

use super::{Kind, Row, Shape};
use crate::Context;

const COUNT: Kind = Kind::Int(1, 1_000_000_000);
const PERCENT: Kind = Kind::Int(1, 100);

pub(super) static DEFAULTS: &[Row] = &[
    Row::word("max_body", Kind::Size, "2mb", "Largest body of a request.").restart(),
    Row::word("max_headers", Kind::Size, "64kb", "Largest header of a request.").restart(),
    Row::block("egress", Context::Egress, "Where push may connect to."),
    Row::block("publish_policy", Context::PublishPolicy, "Who may publish through the admin API, and how."),
    Row::block("deliver", Context::DeliverDefaults, "What holds for every push target."),
    Row::block("trend_signals", Context::TrendSignals, "Thresholds of the signals about the backlog."),
    Row::block(
        "adaptive_backpressure",
        Context::AdaptiveBackpressure,
        "When ingress refuses before the queue is full.",
    ),
];

pub(super) static EGRESS: &[Row] = &[
    Row::new("allow", Shape::List, Kind::Text, "Hosts, `*.domain`, addresses or networks; only these if any is given.")
        .many(),
    Row::new("deny", Shape::List, Kind::Text, "Hosts, `*.domain`, addresses or networks; these never.").many(),
    Row::word("https_only", Kind::Switch, "on", "Only `https` targets."),
    Row::word("redirects", Kind::Switch, "off", "Follow redirects that keep method and body."),
    Row::word("dns_rebind_protection", Kind::Switch, "on", "Refuse names that resolve to private addresses."),
];

pub(super) static PUBLISH_POLICY: &[Row] = &[
    Row::word("direct", Kind::Switch, "on", "Publishing by route path.").restart(),
    Row::word("managed", Kind::Switch, "on", "Publishing by application and endpoint.").restart(),
    Row::word("allow_pull_routes", Kind::Switch, "on", "Publishing to pulled routes.").restart(),
    Row::word("allow_deliver_routes", Kind::Switch, "on", "Publishing to pushed routes.").restart(),
    Row::word("require_actor", Kind::Switch, "off", "The header that names the actor is required.").restart(),
    Row::word("require_request_id", Kind::Switch, "off", "The header with the request's id is required.").restart(),
    Row::word("fail_closed", Kind::Switch, "off", "Refuse when it is not certain who owns a managed route.").restart(),
    Row::new("actor_allow", Shape::List, Kind::Text, "Actors that may change managed endpoints.").many().restart(),
    Row::new("actor_prefix", Shape::List, Kind::Text, "Actors whose name starts so may, too.").many().restart(),
];

/// Rows that `deliver` in a route has, too.
pub(super) const RETRY: Row =
    Row::new("retry", Shape::Retry, Kind::None, "`exponential`, with `max`, `base`, `cap` and `jitter` in any order.")
        .by_default("exponential max 8 base 2s cap 2m jitter 0.2");
pub(super) const TIMEOUT: Row = Row::word("timeout", Kind::PositiveDuration, "10s", "Longest time of one try.");

pub(super) static DELIVER: &[Row] = &[
    RETRY,
    TIMEOUT,
    Row::word("concurrency", Kind::Int(1, i64::MAX), "20", "Most deliveries of one route at a time."),
];

pub(super) static TREND_SIGNALS: &[Row] = &[
    Row::word("window", Kind::PositiveDuration, "15m", "How far back samples count."),
    Row::word("expected_capture_interval", Kind::PositiveDuration, "1m", "Expected time between two samples."),
    Row::word(
        "stale_grace_factor",
        Kind::Int(1, 60),
        "3",
        "After so many intervals without a sample, signals are stale.",
    ),
    Row::word(
        "sustained_growth_consecutive",
        Kind::Int(1, 1000),
        "3",
        "Growing samples in a row that make growth sustained.",
    ),
    Row::word("sustained_growth_min_samples", Kind::Int(1, 1_000_000), "5", "Samples that growth needs in all."),
    Row::word("sustained_growth_min_delta", COUNT, "10", "Messages that must have come on top."),
    Row::word("recent_surge_min_total", COUNT, "20", "Fewer messages are never a surge."),
    Row::word("recent_surge_min_delta", COUNT, "10", "Messages that must have come on top."),
    Row::word("recent_surge_percent", Kind::Int(1, 10_000), "50", "Growth in per cent that is a surge."),
    Row::word("dead_share_high_min_total", COUNT, "10", "With fewer messages the share of dead ones does not count."),
    Row::word("dead_share_high_percent", PERCENT, "20", "Share of dead messages that is high."),
    Row::word("queued_pressure_min_total", COUNT, "20", "With fewer messages the share of queued ones does not count."),
    Row::word("queued_pressure_percent", PERCENT, "75", "Share of queued messages that is pressure."),
    Row::word(
        "queued_pressure_leased_multiplier",
        Kind::Int(1, 1_000_000),
        "2",
        "So many times more queued than leased is pressure.",
    ),
];

pub(super) static ADAPTIVE_BACKPRESSURE: &[Row] = &[
    Row::word("enabled", Kind::Switch, "off", "Whether ingress refuses at all before the queue is full."),
    Row::word("min_total", COUNT, "200", "With fewer messages nothing is refused."),
    Row::word("queued_percent", PERCENT, "80", "Share of queued messages from which on requests are refused."),
    Row::word(
        "ready_lag",
        Kind::PositiveDuration,
        "30s",
        "Lag of the earliest ready message from which on requests are refused.",
    ),
    Row::word(
        "oldest_queued_age",
        Kind::PositiveDuration,
        "60s",
        "Age of the oldest queued message from which on requests are refused.",
    ),
    Row::word("sustained_growth", Kind::Switch, "on", "Whether sustained growth of the backlog counts, too."),
];
