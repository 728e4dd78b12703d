//! Looks at the queue at a steady pace, for the trend signals of health and for who decides by them.

use std::sync::Arc;
use std::time::Duration;

use hookaido_queue::Queue;
use tokio_util::sync::CancellationToken;

/// Time between two looks: the interval that trend signals expect by default.
const EVERY: Duration = Duration::from_secs(60);

/// Runs until `stop`. A look that fails is left out.
pub(crate) async fn run(queue: Queue, admin: Arc<hookaido_admin::State>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Ok(stats) = queue.stats().await {
            admin.sample(&stats, queue.clock().now());
        }
    }
}
