//! What the store tells the metrics.

use std::sync::Arc;
use std::time::Instant;

use hookaido_telemetry::{Backend, ErrorKind, StoreMetrics, StoreOp};

use super::table::Table;
use crate::store::StoreError;

/// Records operations, or nothing.
#[derive(Debug, Default)]
pub(super) struct Meter(Option<Arc<StoreMetrics>>);

impl Meter {
    pub(super) fn new(metrics: Arc<StoreMetrics>) -> Self {
        metrics.set_backend(Backend::Memory);
        Self(Some(metrics))
    }

    /// When an operation began.
    pub(super) fn start(&self) -> Option<Instant> {
        self.0.as_ref().map(|_| Instant::now())
    }

    /// An operation ended; the table is as it left it.
    pub(super) fn end(
        &self,
        op: Option<StoreOp>,
        started: Option<Instant>,
        table: &mut Table,
        error: Option<&StoreError>,
    ) {
        let evicted = std::mem::take(&mut table.evicted);
        let (Some(metrics), Some(started)) = (&self.0, started) else { return };
        for (reason, count) in evicted {
            metrics.evicted(reason, count);
        }
        let (items, bytes) = table.sizes();
        metrics.set_memory(items, bytes);
        let Some(op) = op else { return };
        metrics.count(op, 1);
        metrics.operation(op, started.elapsed());
        match error {
            None | Some(StoreError::Conflict(_)) => {}
            Some(StoreError::Full) => metrics.count(StoreOp::EnqueueReject, 1),
            Some(StoreError::Unavailable(why)) if op == StoreOp::Enqueue && why.starts_with("memory pressure") => {
                metrics.error(op, ErrorKind::MemoryPressure);
            }
            Some(_) => metrics.error(op, ErrorKind::Error),
        }
    }
}
