//! `/healthz`: a word for probes, details for operators.

use hookaido_http::{Body, Response};
use hookaido_model::config::TrendSignals;
use hookaido_model::{PULL_TARGET, State, UnixMillis};
use hookaido_queue::MemoryBounds;
use hookaido_queue::store::{Health, Stats, StoreError};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use crate::Table;
use crate::backlog::{Overview, rows};
use crate::error::Refusal;
use crate::query::Query;
use crate::{json, signals};

/// Lanes that the details list.
const TOP: usize = 10;

/// `ok`, or `503` while the process drains or cannot write.
pub(crate) fn alive(table: &Table) -> Response {
    let (status, text) = match is_well(table) {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable\n"),
    };
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn is_well(table: &Table) -> bool {
    !table.state.is_draining() && table.queue.health() == Health::Writable
}

/// What the parameter `details` asks for.
pub(crate) async fn details(table: &Table, query: &Query) -> Result<Response, Refusal> {
    if !query.flag("details")? {
        return Ok(alive(table));
    }
    let now = table.queue.clock().now();
    let stats = table.queue.stats().await;
    if let Ok(stats) = &stats {
        held(table, stats);
    }
    let ok = is_well(table) && stats.is_ok();
    let mut diagnostics = json!({
        "config": {
            "fingerprint": table.generation.fingerprint,
            "generation": table.generation.number,
            "loaded_at": table.generation.loaded_at.to_string(),
        },
        "queue": queue(table, &stats, now),
        "ingress": ingress(table),
        "publish": publish(table),
        "delivery": delivery(table),
        "pull": pull(table),
        "tracing": tracing(table),
    });
    if let (Value::Object(members), "memory", Ok(stats)) = (&mut diagnostics, table.queue.backend(), &stats) {
        members.insert("store".to_owned(), memory(table, stats));
    }
    let mut body = json!({ "ok": ok, "time": now.to_string(), "diagnostics": diagnostics }).to_string();
    body.push('\n');
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(json::respond(status, body.into_bytes()))
}

/// Corrects the number of leases that workers hold: cancels end leases, and restarts forget them.
fn held(table: &Table, stats: &Stats) {
    for lane in stats.lanes.iter().filter(|lane| *lane.lane.target == *PULL_TARGET) {
        let leased = lane.counts.get(usize::from(State::Leased.code())).copied().unwrap_or(0);
        table.metrics.pull.route(&lane.lane.route).set_lease_active(leased);
    }
}

fn queue(table: &Table, stats: &Result<Stats, StoreError>, now: UnixMillis) -> Value {
    let health = table.queue.health();
    let stats = match (stats, &health) {
        (Err(error), _) => return json!({ "ok": false, "error": error.to_string() }),
        (Ok(stats), _) => stats,
    };
    let overview = Overview::of(stats);
    let by_state = State::ALL.map(|state| (state.as_str().to_owned(), overview.count(state).into()));
    let mut queue = Map::new();
    queue.insert("ok".to_owned(), (health == Health::Writable).into());
    if let Health::ReadOnly { reason } = &health {
        queue.insert("error".to_owned(), (**reason).into());
    }
    queue.insert("total".to_owned(), overview.total().into());
    queue.insert("by_state".to_owned(), Value::Object(by_state.into_iter().collect()));
    overview.ages(now, &mut queue);
    queue.insert("top_queued".to_owned(), rows(stats, now, |_lane| true).into_iter().take(TOP).collect());
    queue.insert("trend_signals".to_owned(), trend(table, &table.trends, now));
    Value::Object(queue)
}

fn trend(table: &Table, rules: &TrendSignals, now: UnixMillis) -> Value {
    let since = now.minus(rules.window);
    let points = table.state.points(since, now, None, None);
    signals::evaluate(&points, rules, rules.window, now)
}

fn counts(pairs: &[(&'static str, u64)]) -> Value {
    Value::Object(pairs.iter().map(|(name, count)| ((*name).to_owned(), (*count).into())).collect())
}

fn ingress(table: &Table) -> Value {
    let ingress = table.metrics.ingress.snapshot();
    json!({
        "accepted_total": ingress.accepted,
        "enqueued_total": ingress.enqueued,
        "rejected_total": ingress.rejected,
        "rejected_by_reason": counts(&ingress.rejected_by_reason),
        "adaptive_backpressure_applied_total": ingress.pressure_applied,
        "adaptive_backpressure_by_reason": counts(&ingress.pressure_by_reason),
    })
}

fn publish(table: &Table) -> Value {
    let publish = table.metrics.publish.snapshot();
    json!({
        "accepted_total": publish.accepted,
        "scoped_accepted_total": publish.scoped_accepted,
        "rejected_total": publish.rejected,
        "scoped_rejected_total": publish.scoped_rejected,
        "rejected_validation_total": publish.rejected_validation,
        "rejected_policy_total": publish.rejected_policy,
        "rejected_managed_target_mismatch_total": publish.rejected_managed_target_mismatch,
        "rejected_managed_resolver_missing_total": publish.rejected_managed_resolver_missing,
        "rejected_conflict_total": publish.rejected_conflict,
        "rejected_queue_full_total": publish.rejected_queue_full,
        "rejected_store_total": publish.rejected_store,
    })
}

fn delivery(table: &Table) -> Value {
    let delivery = table.metrics.delivery.snapshot();
    json!({
        "attempt_total": delivery.attempts,
        "acked_total": delivery.acked,
        "retry_total": delivery.retry,
        "dead_total": delivery.dead,
        "dead_by_reason": counts(&delivery.dead_by_reason),
    })
}

fn pull(table: &Table) -> Value {
    let pull = table.metrics.pull.snapshot();
    let shown = std::iter::once(&pull.total).chain(pull.by_route.values()).map(|route| {
        json!({
            "dequeue_total": counts(&route.dequeue),
            "acked_total": route.acked,
            "nacked_total": route.nacked,
            "ack_conflict_total": route.ack_conflict,
            "nack_conflict_total": route.nack_conflict,
            "lease_active": route.lease_active,
            "lease_expired_total": route.lease_expired,
            "dead_by_reason": counts(&route.dead),
        })
    });
    let mut shown = shown.collect::<Vec<_>>().into_iter();
    let total = shown.next();
    let by_route = pull.by_route.keys().map(ToString::to_string).zip(shown);
    json!({ "total": total, "by_route": Value::Object(by_route.collect()) })
}

fn tracing(table: &Table) -> Value {
    let tracing = table.metrics.tracing();
    json!({
        "enabled": tracing.enabled,
        "init_failures_total": tracing.init_failures,
        "export_errors_total": tracing.export_errors,
    })
}

/// What the memory store holds, and how near it is to its bounds.
fn memory(table: &Table, stats: &Stats) -> Value {
    let store = table.metrics.store.snapshot();
    let overview = Overview::of(stats);
    let shown = [State::Queued, State::Leased, State::Delivered, State::Dead];
    let items = shown.map(|state| (state.as_str(), overview.count(state)));
    let bytes_of = |state: State| {
        let bytes = store.memory_bytes.iter().find(|(name, _)| *name == state.as_str());
        bytes.map_or(0, |(_, bytes)| *bytes)
    };
    let total: u64 = store.memory_bytes.iter().map(|(_, bytes)| bytes).sum();
    let retained = bytes_of(State::Delivered) + bytes_of(State::Dead);
    let kept = [State::Delivered, State::Dead, State::Canceled].map(|state| overview.count(state)).iter().sum::<u64>();
    let rejected = table.metrics.ingress.snapshot().rejected_by_reason;
    let rejected = rejected.iter().find(|(reason, _)| *reason == "memory_pressure").map_or(0, |(_, count)| *count);
    let evictions: Vec<_> = store.memory_evictions.iter().copied().filter(|(_, count)| *count > 0).collect();
    let bytes = shown.map(|state| (state.as_str(), bytes_of(state)));
    let bounds = MemoryBounds::beside(table.queue.settings().limits.max_depth);
    let reason = match bounds.ended {
        Some(limit) if kept >= limit => "retained_items",
        _ if retained >= bounds.ended_bytes => "retained_bytes",
        _ => "",
    };
    json!({
        "backend": "memory",
        "items_by_state": counts(&items),
        "retained_bytes_by_state": counts(&bytes),
        "retained_bytes_total": total,
        "evictions_total": counts(&evictions),
        "memory_pressure": {
            "active": !reason.is_empty(),
            "reason": reason,
            "retained_items": kept,
            "retained_bytes": retained,
            "retained_item_limit": bounds.ended.unwrap_or(0),
            "retained_bytes_limit": bounds.ended_bytes,
            "rejected_total": rejected,
        },
    })
}
