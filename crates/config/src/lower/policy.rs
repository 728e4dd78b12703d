//! `defaults`: limits, egress, publish policy, push defaults, backlog signals.

use std::time::Duration;

use hookaido_model::RetryPolicy;
use hookaido_model::config::{AdaptiveBackpressure, Egress, EgressRule, PublishPolicy, TrendSignals};

use super::Lowering;
use super::deliver::retry;
use super::listeners::clamp;
use crate::Context;
use crate::read::Section;
use crate::value;

/// `defaults`.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// Body limit in bytes.
    pub max_body: u64,
    /// Header limit in bytes.
    pub max_headers: u64,
    /// Retries of push targets.
    pub retry: RetryPolicy,
    /// Longest time of one push.
    pub timeout: Duration,
    /// Most pushes of a route at a time.
    pub concurrency: u32,
    /// Where push may connect to.
    pub egress: Egress,
    /// Who may publish.
    pub publish_policy: PublishPolicy,
    /// Thresholds of backlog signals.
    pub trend_signals: TrendSignals,
    /// When ingress refuses early.
    pub adaptive_backpressure: AdaptiveBackpressure,
}

/// `defaults`.
pub(crate) fn defaults(lowering: &mut Lowering, section: &Section) -> Defaults {
    let absent = [
        Section::absent(Context::Egress),
        Section::absent(Context::PublishPolicy),
        Section::absent(Context::DeliverDefaults),
        Section::absent(Context::TrendSignals),
        Section::absent(Context::AdaptiveBackpressure),
    ];
    let [egress_block, publish, deliver, trend, adaptive] = &absent;
    let deliver = section.section("deliver").unwrap_or(deliver);
    Defaults {
        max_body: lowering.size(section, "max_body"),
        max_headers: lowering.size(section, "max_headers"),
        retry: retry(lowering, deliver, None),
        timeout: lowering.duration(deliver, "timeout"),
        concurrency: clamp(lowering.int(deliver, "concurrency")),
        egress: egress(lowering, section.section("egress").unwrap_or(egress_block)),
        publish_policy: publish_policy(lowering, section.section("publish_policy").unwrap_or(publish)),
        trend_signals: trend_signals(lowering, section.section("trend_signals").unwrap_or(trend)),
        adaptive_backpressure: adaptive_backpressure(
            lowering,
            section.section("adaptive_backpressure").unwrap_or(adaptive),
        ),
    }
}

fn egress(lowering: &mut Lowering, section: &Section) -> Egress {
    Egress {
        https_only: lowering.switch(section, "https_only"),
        redirects: lowering.switch(section, "redirects"),
        dns_rebind_protection: lowering.switch(section, "dns_rebind_protection"),
        allow: egress_rules(lowering, section, "allow"),
        deny: egress_rules(lowering, section, "deny"),
    }
}

fn egress_rules(lowering: &mut Lowering, section: &Section, name: &str) -> Vec<EgressRule> {
    let mut rules = Vec::new();
    for entry in lowering.texts(section, name) {
        match value::egress_rule(&entry.value) {
            Some(rule) => rules.push(rule),
            None => {
                let message = format!("`defaults.egress.{name}` must be a host, `*.domain`, an address or a network");
                let help = "leave out scheme and path; `*` stands alone or in front of a domain as `*.`";
                lowering.error_help("E0216", entry.span.unwrap_or_default(), message, help);
            }
        }
    }
    rules
}

fn publish_policy(lowering: &mut Lowering, section: &Section) -> PublishPolicy {
    let mut actors = |name| {
        let mut actors: Vec<String> = Vec::new();
        for actor in lowering.texts(section, name) {
            if !actors.contains(&actor.value) {
                actors.push(actor.value);
            }
        }
        actors
    };
    let (actor_allow, actor_prefix) = (actors("actor_allow"), actors("actor_prefix"));
    PublishPolicy {
        direct: lowering.switch(section, "direct"),
        managed: lowering.switch(section, "managed"),
        allow_pull_routes: lowering.switch(section, "allow_pull_routes"),
        allow_deliver_routes: lowering.switch(section, "allow_deliver_routes"),
        require_actor: lowering.switch(section, "require_actor"),
        require_request_id: lowering.switch(section, "require_request_id"),
        fail_closed: lowering.switch(section, "fail_closed"),
        actor_allow,
        actor_prefix,
    }
}

fn trend_signals(lowering: &mut Lowering, section: &Section) -> TrendSignals {
    let window = lowering.duration(section, "window");
    let expected_capture_interval = lowering.duration(section, "expected_capture_interval");
    let mut count = |name| lowering.int(section, name);
    TrendSignals {
        window,
        expected_capture_interval,
        stale_grace_factor: clamp(count("stale_grace_factor")),
        sustained_growth_consecutive: clamp(count("sustained_growth_consecutive")),
        sustained_growth_min_samples: clamp(count("sustained_growth_min_samples")),
        sustained_growth_min_delta: count("sustained_growth_min_delta"),
        recent_surge_min_total: count("recent_surge_min_total"),
        recent_surge_min_delta: count("recent_surge_min_delta"),
        recent_surge_percent: clamp(count("recent_surge_percent")),
        dead_share_high_min_total: count("dead_share_high_min_total"),
        dead_share_high_percent: clamp(count("dead_share_high_percent")),
        queued_pressure_min_total: count("queued_pressure_min_total"),
        queued_pressure_percent: clamp(count("queued_pressure_percent")),
        queued_pressure_leased_multiplier: clamp(count("queued_pressure_leased_multiplier")),
    }
}

fn adaptive_backpressure(lowering: &mut Lowering, section: &Section) -> AdaptiveBackpressure {
    AdaptiveBackpressure {
        enabled: lowering.switch(section, "enabled"),
        min_total: lowering.int(section, "min_total"),
        queued_percent: clamp(lowering.int(section, "queued_percent")),
        ready_lag: lowering.duration(section, "ready_lag"),
        oldest_queued_age: lowering.duration(section, "oldest_queued_age"),
        sustained_growth: lowering.switch(section, "sustained_growth"),
    }
}
