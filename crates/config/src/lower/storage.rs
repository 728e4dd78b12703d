//! `queue_limits` and the four retention blocks.

use hookaido_model::config::{DropPolicy, QueueLimits, Retention, Retentions};
use hookaido_syntax::Diagnostic;

use super::Lowering;
use crate::Context;
use crate::read::Section;

/// `queue_limits`.
pub(crate) fn queue_limits(lowering: &mut Lowering, section: &Section) -> QueueLimits {
    let max_depth = lowering.bound(section, "max_depth");
    let drop_policy = match lowering.one_of(section, "drop_policy") {
        Some("drop_oldest") => DropPolicy::DropOldest,
        _ => DropPolicy::Reject,
    };
    QueueLimits { max_depth, drop_policy }
}

/// The four retention blocks of the file.
pub(crate) fn retentions(lowering: &mut Lowering, top: &Section) -> Retentions {
    let absent = [
        Section::absent(Context::QueueRetention),
        Section::absent(Context::DeliveredRetention),
        Section::absent(Context::DlqRetention),
        Section::absent(Context::AttemptsRetention),
    ];
    let [queue, delivered, dead, attempts] = &absent;
    let queue = top.section("queue_retention").unwrap_or(queue);
    let prune_interval = lowering.duration(queue, "prune_interval");
    let queued = retention(lowering, queue, None);
    let delivered = retention(lowering, top.section("delivered_retention").unwrap_or(delivered), None);
    let dead = retention(lowering, top.section("dlq_retention").unwrap_or(dead), Some("max_depth"));
    let attempts = retention(lowering, top.section("attempts_retention").unwrap_or(attempts), Some("max_rows"));
    let retentions = Retentions { queued, delivered, dead, attempts, prune_interval };
    let any = [queued, delivered, dead, attempts].iter().any(|retention| retention.enabled);
    if any && prune_interval.is_zero() {
        let span = queue.find("prune_interval").map_or(queue.span, |node| node.span);
        let message = "`queue_retention.prune_interval` must be above zero while anything is pruned";
        lowering.report(
            Diagnostic::error("E0401", span, message)
                .with_help("give it a duration such as `5m`, or turn off every bound of the four retention blocks"),
        );
    }
    retentions
}

fn retention(lowering: &mut Lowering, section: &Section, rows: Option<&str>) -> Retention {
    let max_age = lowering.time_bound(section, "max_age");
    let max_rows = rows.and_then(|name| lowering.bound(section, name));
    Retention { enabled: max_age.is_some() || max_rows.is_some(), max_age, max_rows }
}
