//! The page that Prometheus scrapes.

use std::time::Duration;

use hookaido_model::{DeadReason, UnixMillis};
use hookaido_telemetry::{
    Backend, ErrorKind, IngressReject, LogDrops, Metrics, Pressure, PublishReject, QueueGauges, StoreOp,
};

/// The value of a series, `None` where it is absent.
fn value(page: &str, series: &str) -> Option<String> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned))
}

#[test]
fn a_fresh_process_shows_every_family_at_zero() {
    let (metrics, exporter) = Metrics::new();
    metrics.set_process("1.2.3", UnixMillis(1_795_585_920_500));
    metrics.store.set_backend(Backend::Sqlite);
    let page = exporter.render();
    for (series, expected) in [
        ("hookaido_up", "1"),
        ("hookaido_build_info{version=\"1.2.3\"}", "1"),
        ("hookaido_metrics_schema_info{schema=\"1.3.0\"}", "1"),
        ("hookaido_start_time_seconds", "1795585920"),
        ("hookaido_tracing_enabled", "0"),
        ("hookaido_tracing_init_failures_total", "0"),
        ("hookaido_tracing_export_errors_total", "0"),
        ("hookaido_publish_accepted_total", "0"),
        ("hookaido_publish_rejected_managed_target_mismatch_total", "0"),
        ("hookaido_publish_scoped_rejected_total", "0"),
        ("hookaido_ingress_accepted_total", "0"),
        ("hookaido_ingress_rejected_by_reason_total{reason=\"memory_pressure\",status=\"503\"}", "0"),
        ("hookaido_ingress_rejected_by_reason_total{reason=\"other\",status=\"other\"}", "0"),
        ("hookaido_ingress_adaptive_backpressure_total{reason=\"sustained_growth\"}", "0"),
        ("hookaido_ingress_adaptive_backpressure_applied_total", "0"),
        ("hookaido_delivery_attempts_total", "0"),
        ("hookaido_delivery_dead_by_reason_total{reason=\"policy_denied\"}", "0"),
        ("hookaido_queue_depth{state=\"leased\"}", "0"),
        ("hookaido_queue_total", "0"),
        ("hookaido_store_operation_total{backend=\"sqlite\",operation=\"tx_commit\"}", "0"),
        ("hookaido_store_errors_total{backend=\"sqlite\",operation=\"begin_tx\",kind=\"busy\"}", "0"),
        ("hookaido_store_sqlite_checkpoint_seconds_bucket{le=\"0.001\"}", "0"),
        ("hookaido_store_sqlite_checkpoint_seconds_bucket{le=\"5\"}", "0"),
        ("hookaido_store_sqlite_checkpoint_seconds_bucket{le=\"+Inf\"}", "0"),
        ("hookaido_store_sqlite_checkpoint_seconds_count", "0"),
        ("hookaido_store_sqlite_busy_total", "0"),
    ] {
        assert_eq!(value(&page, series).as_deref(), Some(expected), "{series}");
    }
    assert!(page.contains("# TYPE hookaido_up gauge\n"), "{page}");
    assert!(page.contains("# TYPE hookaido_ingress_accepted_total counter\n"), "{page}");
    assert!(page.contains("# TYPE hookaido_store_sqlite_write_seconds histogram\n"), "{page}");
    assert!(!page.contains("hookaido_store_memory"), "{page}");
    assert!(!page.contains("hookaido_pull_acked_total"), "{page}");
}

#[test]
fn ingress_counts_by_reason_and_status() {
    let (metrics, exporter) = Metrics::new();
    metrics.ingress.accepted(1);
    metrics.ingress.accepted(2);
    for (reject, status) in [
        (IngressReject::NotFound, 404),
        (IngressReject::Method, 405),
        (IngressReject::Auth, 401),
        (IngressReject::BodyTooLarge, 413),
        (IngressReject::HeadersTooLarge, 413),
        (IngressReject::RateLimit, 429),
        (IngressReject::AdaptiveBackpressure(Pressure::ReadyLag), 503),
        (IngressReject::Store, 418),
    ] {
        metrics.ingress.rejected(reject, status);
    }
    let page = exporter.render();
    for (labels, expected) in [
        ("reason=\"not_found\",status=\"404\"", "1"),
        ("reason=\"not_found\",status=\"405\"", "1"),
        ("reason=\"auth\",status=\"401\"", "1"),
        ("reason=\"policy\",status=\"413\"", "2"),
        ("reason=\"rate_limit\",status=\"429\"", "1"),
        ("reason=\"adaptive_backpressure\",status=\"503\"", "1"),
        ("reason=\"other\",status=\"other\"", "1"),
    ] {
        let series = format!("hookaido_ingress_rejected_by_reason_total{{{labels}}}");
        assert_eq!(value(&page, &series).as_deref(), Some(expected), "{series}");
    }
    assert_eq!(value(&page, "hookaido_ingress_enqueued_total").as_deref(), Some("3"));
    let counts = metrics.ingress.snapshot();
    assert_eq!((counts.accepted, counts.enqueued, counts.rejected), (2, 3, 8));
    assert!(counts.rejected_by_reason.contains(&("policy", 2)), "{counts:?}");
    assert!(counts.pressure_by_reason.contains(&("ready_lag", 1)), "{counts:?}");
    assert_eq!(counts.pressure_applied, 1);
}

#[test]
fn a_pull_route_appears_with_its_first_use() {
    let (metrics, exporter) = Metrics::new();
    let used = metrics.pull.route("/hooks/a");
    let _idle = metrics.pull.route("/hooks/b");
    used.dequeue(200, 3);
    used.dequeue(401, 0);
    metrics.pull.route("/hooks/a").acked(1);
    let page = exporter.render();
    for (series, expected) in [
        ("hookaido_pull_dequeue_total{route=\"/hooks/a\",status=\"200\"}", "1"),
        ("hookaido_pull_dequeue_total{route=\"/hooks/a\",status=\"204\"}", "0"),
        ("hookaido_pull_dequeue_total{route=\"/hooks/a\",status=\"4xx\"}", "1"),
        ("hookaido_pull_acked_total{route=\"/hooks/a\"}", "1"),
        ("hookaido_pull_lease_active{route=\"/hooks/a\"}", "2"),
        ("hookaido_pull_sse_connection_active{route=\"/hooks/a\"}", "0"),
    ] {
        assert_eq!(value(&page, series).as_deref(), Some(expected), "{series}");
    }
    assert!(!page.contains("/hooks/b"), "{page}");
    used.nacked(5);
    let counts = metrics.pull.snapshot();
    assert_eq!(counts.total.lease_active, 0);
    assert_eq!(counts.total.dequeue, [("200", 1), ("204", 0), ("4xx", 1), ("5xx", 0)]);
    assert_eq!(counts.by_route.len(), 1);
}

#[test]
fn dead_letters_are_counted_by_a_closed_set_of_reasons() {
    let (metrics, _exporter) = Metrics::new();
    for reason in [DeadReason::MAX_RETRIES, DeadReason::NO_RETRY, DeadReason("".into()), DeadReason("bad input".into())]
    {
        metrics.delivery.dead(&reason);
    }
    let counts = metrics.delivery.snapshot();
    let expected = [("max_retries", 1), ("no_retry", 1), ("policy_denied", 0), ("unspecified", 1), ("other", 1)];
    assert_eq!(counts.dead_by_reason, expected);
    assert_eq!(counts.dead, 4);
}

#[test]
fn managed_refusals_count_as_policy_too() {
    let (metrics, _exporter) = Metrics::new();
    metrics.publish.accepted(3, true);
    metrics.publish.rejected(PublishReject::ManagedTargetMismatch, true);
    metrics.publish.rejected(PublishReject::Validation, false);
    let counts = metrics.publish.snapshot();
    assert_eq!((counts.accepted, counts.scoped_accepted), (3, 3));
    assert_eq!((counts.rejected, counts.scoped_rejected), (2, 1));
    assert_eq!((counts.rejected_policy, counts.rejected_managed_target_mismatch), (1, 1));
    assert_eq!(counts.rejected_validation, 1);
}

#[test]
fn store_operations_feed_the_common_and_the_own_families() {
    let (metrics, exporter) = Metrics::new();
    metrics.store.set_backend(Backend::Sqlite);
    metrics.store.operation(StoreOp::WriteTx, Duration::from_micros(1500));
    metrics.store.operation(StoreOp::Checkpoint, Duration::from_millis(3));
    metrics.store.count(StoreOp::TxCommit, 2);
    metrics.store.error(StoreOp::BeginTx, ErrorKind::Busy);
    exporter.upkeep();
    let page = exporter.render();
    for (series, expected) in [
        ("hookaido_store_operation_seconds_bucket{backend=\"sqlite\",operation=\"write_tx\",le=\"0.001\"}", "0"),
        ("hookaido_store_operation_seconds_bucket{backend=\"sqlite\",operation=\"write_tx\",le=\"0.002\"}", "1"),
        ("hookaido_store_operation_seconds_count{backend=\"sqlite\",operation=\"write_tx\"}", "1"),
        ("hookaido_store_sqlite_write_seconds_bucket{le=\"0.002\"}", "1"),
        ("hookaido_store_sqlite_write_seconds_sum", "0.0015"),
        ("hookaido_store_sqlite_checkpoint_total", "1"),
        ("hookaido_store_operation_total{backend=\"sqlite\",operation=\"checkpoint\"}", "1"),
        ("hookaido_store_operation_total{backend=\"sqlite\",operation=\"tx_commit\"}", "2"),
        ("hookaido_store_sqlite_tx_commit_total", "2"),
        ("hookaido_store_sqlite_busy_total", "1"),
        ("hookaido_store_errors_total{backend=\"sqlite\",operation=\"begin_tx\",kind=\"busy\"}", "1"),
    ] {
        assert_eq!(value(&page, series).as_deref(), Some(expected), "{series}\n{page}");
    }
}

#[test]
fn the_memory_store_shows_items_and_evictions_and_no_sqlite() {
    let (metrics, exporter) = Metrics::new();
    metrics.store.set_backend(Backend::Memory);
    metrics.store.set_memory([1, 1, 0, 0], [100, 65, 0, 0]);
    metrics.store.evicted("drop_oldest", 1);
    let page = exporter.render();
    for (series, expected) in [
        ("hookaido_store_memory_items{state=\"queued\"}", "1"),
        ("hookaido_store_memory_items{state=\"dead\"}", "0"),
        ("hookaido_store_memory_retained_bytes_total", "165"),
        ("hookaido_store_memory_evictions_total{reason=\"drop_oldest\"}", "1"),
        ("hookaido_store_operation_total{backend=\"memory\",operation=\"evict\"}", "1"),
        ("hookaido_store_operation_total{backend=\"memory\",operation=\"enqueue_reject\"}", "0"),
        ("hookaido_store_errors_total{backend=\"memory\",operation=\"enqueue\",kind=\"memory_pressure\"}", "0"),
    ] {
        assert_eq!(value(&page, series).as_deref(), Some(expected), "{series}");
    }
    assert!(!page.contains("sqlite"), "{page}");
    assert_eq!(metrics.store.snapshot().memory_evictions, [("drop_oldest", 1)]);
}

#[test]
fn gauges_follow_what_they_are_set_to() {
    let (metrics, exporter) = Metrics::new();
    metrics.set_queue(&QueueGauges {
        queued: 2,
        leased: 1,
        dead: 1,
        total: 5,
        oldest_queued_age: Duration::from_millis(1500),
        ready_lag: Duration::from_secs(3),
    });
    metrics.set_log_drops(LogDrops { access: 7, runtime: 0, failed: 1 });
    metrics.secrets_pruned("pool", 2);
    metrics.secrets_pruned("pool", 1);
    metrics.http.opened();
    let page = exporter.render();
    for (series, expected) in [
        ("hookaido_queue_depth{state=\"queued\"}", "2"),
        ("hookaido_queue_total", "5"),
        ("hookaido_queue_oldest_queued_age_seconds", "1.5"),
        ("hookaido_queue_ready_lag_seconds", "3"),
        ("hookaido_log_lines_dropped_total{reason=\"access\"}", "7"),
        ("hookaido_runtime_secret_gc_pruned_total{pool=\"pool\"}", "3"),
        ("hookaido_http_connections_active", "1"),
    ] {
        assert_eq!(value(&page, series).as_deref(), Some(expected), "{series}");
    }
}

#[test]
fn families_and_series_come_in_the_order_of_their_names() {
    let (metrics, exporter) = Metrics::new();
    metrics.store.set_backend(Backend::Sqlite);
    let page = exporter.render();
    let families: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert!(families.is_sorted(), "{families:?}");
    let buckets: Vec<f64> = page
        .lines()
        .filter_map(|line| line.strip_prefix("hookaido_store_sqlite_write_seconds_bucket{le=\""))
        .filter_map(|rest| rest.split('"').next()?.replace("+Inf", "inf").parse().ok())
        .collect();
    assert_eq!(buckets.len(), 13);
    assert!(buckets.is_sorted(), "{buckets:?}");
    assert_eq!(page, exporter.render());
}
