//! What the trend of a backlog says: numbers, alerts, and what to do about them.

use std::time::Duration;

use hookaido_model::UnixMillis;
use hookaido_model::config::TrendSignals;
use serde_json::{Map, Value, json};

use crate::go_duration::show;
use crate::state::Point;

/// Judges samples of one window, the oldest first.
pub(crate) fn evaluate(points: &[Point], rules: &TrendSignals, window: Duration, until: UnixMillis) -> Value {
    let numbers = Numbers::of(points, window, until);
    let alerts = numbers.alerts(rules);
    let mut signals = Map::new();
    let mut set = |name: &str, value: Value| signals.insert(name.to_owned(), value);
    for (name, alert) in [
        ("sustained_growth", Alert::SustainedGrowth),
        ("recent_surge", Alert::RecentSurge),
        ("dead_share_high", Alert::DeadShareHigh),
        ("queued_pressure", Alert::QueuedPressure),
        ("sampling_stale", Alert::SamplingStale),
    ] {
        set(name, alerts.contains(&alert).into());
    }
    if let Some(latest) = points.last() {
        set("latest_captured_at", latest.at.to_string().into());
    }
    let latest = numbers.latest.counts;
    for (name, value) in [
        ("latest_queued", latest.queued),
        ("latest_leased", latest.leased),
        ("latest_dead", latest.dead),
        ("latest_total", latest.total()),
        ("baseline_total", numbers.baseline),
        ("sample_count", points.len() as u64),
        ("consecutive_increases", numbers.increases),
        ("freshness_seconds", numbers.freshness.as_secs()),
    ] {
        set(name, value.into());
    }
    set("delta_total", numbers.delta.into());
    for (name, value) in [
        ("delta_percent", numbers.delta_percent()),
        ("growth_rate_per_minute", numbers.growth_per_minute),
        ("dead_share_percent", percent(latest.dead, latest.total())),
        ("queued_share_percent", percent(latest.queued, latest.total())),
    ] {
        set(name, json!((value * 100.0).round() / 100.0));
    }
    set("since", until.minus(window).to_string().into());
    set("until", until.to_string().into());
    set("window", show(window).into());
    set("expected_capture_interval", show(rules.expected_capture_interval).into());
    set("truncated", false.into());
    set("status", if alerts.is_empty() { "ok" } else { "warn" }.into());
    set("active_alerts", alerts.iter().map(|alert| Value::from(alert.as_str())).collect());
    set("operator_actions", alerts.iter().map(|alert| alert.action()).collect());
    Value::Object(signals)
}

/// What the samples come to.
struct Numbers {
    latest: Point,
    baseline: u64,
    delta: i64,
    /// From the sample before the latest one to that.
    step: u64,
    before: u64,
    increases: u64,
    growth_per_minute: f64,
    freshness: Duration,
    samples: usize,
}

impl Numbers {
    fn of(points: &[Point], window: Duration, until: UnixMillis) -> Self {
        let none = Point { at: until, counts: crate::state::Counts::default() };
        let (first, latest) = (*points.first().unwrap_or(&none), *points.last().unwrap_or(&none));
        let totals: Vec<u64> = points.iter().map(|point| point.counts.total()).collect();
        let rising =
            totals.iter().rev().zip(totals.iter().rev().skip(1)).take_while(|(later, earlier)| later > earlier);
        let before = totals.iter().rev().nth(1).copied().unwrap_or(latest.counts.total());
        let delta = signed(latest.counts.total()) - signed(first.counts.total());
        let minutes = latest.at.since(first.at).as_secs_f64() / 60.0;
        let freshness = if points.is_empty() { window } else { until.since(latest.at) };
        Self {
            latest,
            baseline: first.counts.total(),
            delta,
            step: latest.counts.total().saturating_sub(before),
            before,
            increases: rising.count() as u64,
            growth_per_minute: if minutes > 0.0 { float(delta.unsigned_abs()) * sign(delta) / minutes } else { 0.0 },
            freshness,
            samples: points.len(),
        }
    }

    fn delta_percent(&self) -> f64 {
        match self.baseline {
            0 if self.delta > 0 => 100.0,
            0 => 0.0,
            baseline => float(self.delta.unsigned_abs()) * sign(self.delta) / float(baseline) * 100.0,
        }
    }

    fn alerts(&self, rules: &TrendSignals) -> Vec<Alert> {
        let counts = self.latest.counts;
        let total = counts.total();
        let growth = self.samples >= usize::try_from(rules.sustained_growth_min_samples).unwrap_or(usize::MAX)
            && self.increases >= u64::from(rules.sustained_growth_consecutive)
            && self.delta >= signed(rules.sustained_growth_min_delta);
        let surge = total >= rules.recent_surge_min_total
            && self.step > 0
            && self.step >= rules.recent_surge_min_delta
            && (self.before == 0 || percent(self.step, self.before) >= f64::from(rules.recent_surge_percent));
        let dead = total > 0
            && total >= rules.dead_share_high_min_total
            && percent(counts.dead, total) >= f64::from(rules.dead_share_high_percent);
        let pressure = total > 0
            && total >= rules.queued_pressure_min_total
            && percent(counts.queued, total) >= f64::from(rules.queued_pressure_percent)
            && counts.queued >= counts.leased.saturating_mul(u64::from(rules.queued_pressure_leased_multiplier));
        let grace = rules.expected_capture_interval.saturating_mul(rules.stale_grace_factor);
        let stale = self.samples == 0 || self.freshness > grace;
        [
            (growth, Alert::SustainedGrowth),
            (surge, Alert::RecentSurge),
            (dead, Alert::DeadShareHigh),
            (pressure, Alert::QueuedPressure),
            (stale, Alert::SamplingStale),
        ]
        .into_iter()
        .filter_map(|(holds, alert)| holds.then_some(alert))
        .collect()
    }
}

/// Something an operator should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alert {
    SustainedGrowth,
    RecentSurge,
    DeadShareHigh,
    QueuedPressure,
    SamplingStale,
}

impl Alert {
    fn as_str(self) -> &'static str {
        match self {
            Self::SustainedGrowth => "sustained_growth",
            Self::RecentSurge => "recent_surge",
            Self::DeadShareHigh => "dead_share_high",
            Self::QueuedPressure => "queued_pressure",
            Self::SamplingStale => "sampling_stale",
        }
    }

    /// What to do, for people and for tools.
    fn action(self) -> Value {
        let (id, severity, summary, playbook, endpoints, tools): (_, _, _, _, &[&str], &[&str]) = match self {
            Self::SustainedGrowth => (
                "sustained_growth_scale",
                "warning",
                "The backlog has grown with every sample of late.",
                "Find the routes that grow, then add workers or raise the concurrency of their targets.",
                &["/backlog/trends", "/backlog/top_queued"],
                &["backlog_trends", "backlog_top_queued"],
            ),
            Self::RecentSurge => (
                "recent_surge_inspect",
                "warning",
                "The backlog has jumped since the sample before.",
                "Look for a sender that repeats itself or a target that went away; limit the rate if need be.",
                &["/backlog/top_queued", "/backlog/oldest_queued"],
                &["backlog_top_queued", "backlog_oldest_queued"],
            ),
            Self::DeadShareHigh => (
                "dead_share_triage",
                "critical",
                "A large part of all messages is dead.",
                "Read the reasons of the dead letters, repair the cause, then requeue them in small portions.",
                &["/dlq", "/attempts"],
                &["dlq_list", "attempts_list"],
            ),
            Self::QueuedPressure => (
                "queued_pressure_drain",
                "warning",
                "Far more messages wait than are being worked on.",
                "See that workers are up and take messages, then add some where the oldest ones wait.",
                &["/backlog/aging_summary", "/backlog/oldest_queued"],
                &["backlog_aging_summary", "backlog_oldest_queued"],
            ),
            Self::SamplingStale => (
                "sampling_stale_recover",
                "critical",
                "No recent sample of the backlog is there, so its trend is unknown.",
                "See that the process is healthy and its store answers; trust trends again once samples arrive.",
                &["/healthz?details=1", "/backlog/trends"],
                &["admin_health", "instance_status", "instance_reload"],
            ),
        };
        json!({
            "id": id,
            "severity": severity,
            "summary": summary,
            "playbook": playbook,
            "alerts": [self.as_str()],
            "alert_routing_key": format!("hookaido.backlog.{}", self.as_str()),
            "admin_endpoints": endpoints,
            "mcp_tools": tools,
        })
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { float(part) / float(whole) * 100.0 }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn sign(number: i64) -> f64 {
    if number < 0 { -1.0 } else { 1.0 }
}

/// Counts of messages stay far below the 2^53 that a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "shown with two decimals; counts are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
