//! Process-wide policies: egress, publish, backpressure, trends.

use std::net::IpAddr;
use std::time::Duration;

/// `defaults { egress { ... } }`: where push may connect to.
#[derive(Clone, Debug, PartialEq)]
pub struct Egress {
    /// Only `https` targets.
    pub https_only: bool,
    /// Follow 307 and 308.
    pub redirects: bool,
    /// Refuse names that resolve to private or local addresses.
    pub dns_rebind_protection: bool,
    /// When not empty, only these.
    pub allow: Vec<EgressRule>,
    /// Never these; wins over `allow`.
    pub deny: Vec<EgressRule>,
}

/// One entry of an egress list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EgressRule {
    /// Addresses: network and prefix length.
    Cidr(IpAddr, u8),
    /// A host name, lower case.
    Host {
        /// The name, without `*.`.
        name: String,
        /// Written as `*.name`: subdomains, not the name itself.
        subdomains: bool,
    },
}

/// `defaults { publish_policy { ... } }`.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishPolicy {
    /// By route path.
    pub direct: bool,
    /// By application and endpoint.
    pub managed: bool,
    /// To pulled routes.
    pub allow_pull_routes: bool,
    /// To pushed routes.
    pub allow_deliver_routes: bool,
    /// An actor must be named.
    pub require_actor: bool,
    /// A request id must be given.
    pub require_request_id: bool,
    /// Refuse when the owner of a managed route is not sure.
    pub fail_closed: bool,
    /// When not empty (or a prefix is), only these actors.
    pub actor_allow: Vec<String>,
    /// Actors that start with one of these.
    pub actor_prefix: Vec<String>,
}

/// `defaults { adaptive_backpressure { ... } }`.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptiveBackpressure {
    /// Off by default.
    pub enabled: bool,
    /// Below this many messages nothing is refused.
    pub min_total: u64,
    /// Share of queued messages, in per cent.
    pub queued_percent: u32,
    /// Ready lag of the earliest runnable message.
    pub ready_lag: Duration,
    /// Age of the oldest queued message.
    pub oldest_queued_age: Duration,
    /// Whether a steadily growing backlog counts.
    pub sustained_growth: bool,
}

/// `defaults { trend_signals { ... } }`.
#[derive(Clone, Debug, PartialEq)]
pub struct TrendSignals {
    /// How far back samples count.
    pub window: Duration,
    /// Expected time between samples.
    pub expected_capture_interval: Duration,
    /// Samples older than this many intervals are stale.
    pub stale_grace_factor: u32,
    /// Sustained growth: samples needed.
    pub sustained_growth_consecutive: u32,
    /// Sustained growth: samples in the window.
    pub sustained_growth_min_samples: u32,
    /// Sustained growth: messages more than at its start.
    pub sustained_growth_min_delta: u64,
    /// Recent surge: messages in all.
    pub recent_surge_min_total: u64,
    /// Recent surge: messages more.
    pub recent_surge_min_delta: u64,
    /// Recent surge: growth in per cent.
    pub recent_surge_percent: u32,
    /// Dead share: messages in all.
    pub dead_share_high_min_total: u64,
    /// Dead share: per cent.
    pub dead_share_high_percent: u32,
    /// Queued pressure: messages in all.
    pub queued_pressure_min_total: u64,
    /// Queued pressure: per cent.
    pub queued_pressure_percent: u32,
    /// Queued pressure: queued is at least this many times leased.
    pub queued_pressure_leased_multiplier: u32,
}
