//! What happens by the clock: leases run out, retention prunes, the store tidies up.
//!
//! One loop for every backend. Sleeps until the next lease ends, the next pruning is due, or something was asked of the queue.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hookaido_model::config::Retentions;
use hookaido_model::{LaneId, UnixMillis};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::queue::Inner;
use crate::store::Prune;
use crate::wait::until;

/// Messages taken back in one transaction.
const RECLAIM_ROWS: u32 = 500;

/// Rows of each kind pruned in one transaction: short enough that nobody behind it notices.
const PRUNE_ROWS: u32 = 500;

/// Time between two calls of `maintain`, and before a failed call is made again.
const TICK: Duration = Duration::from_secs(1);

/// Shortest time between two prunings.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

type Listener = Box<dyn Fn(LaneId, u64) + Send + Sync>;

/// Who is told about leases that ran out.
#[derive(Default)]
pub(crate) struct Reclaims(OnceLock<Listener>);

impl Reclaims {
    pub(crate) fn listen(&self, listener: Listener) {
        let _first_counts = self.0.set(listener);
    }

    fn tell(&self, lanes: &[(LaneId, u64)]) {
        if let Some(listener) = self.0.get() {
            for (lane, count) in lanes {
                listener(*lane, *count);
            }
        }
    }
}

impl fmt::Debug for Reclaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reclaims").field("listening", &self.0.get().is_some()).finish()
    }
}

/// Runs until `shutdown`.
pub(crate) async fn run(queue: &Arc<Inner>, shutdown: CancellationToken) {
    let alarm = &queue.watch.alarm;
    // A durable store may hold leases of an earlier run; nobody has told about those.
    alarm.set(queue.clock.now());
    let mut pruned = Instant::now();
    let mut due = pruned;
    let mut tick = pruned + TICK;
    loop {
        let lease_end = alarm.at().map(|at| Instant::now() + until(at, queue.clock.now()));
        let next = lease_end.map_or(tick, |at| at.min(tick)).min(due);
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = alarm.changed() => due = pruned + interval(queue),
            () = sleep_until(next) => {}
        }
        let work = async {
            if alarm.at().is_some_and(|at| at <= queue.clock.now()) {
                reclaim(queue).await;
            }
            if Instant::now() >= due {
                prune(queue).await;
                pruned = Instant::now();
                due = pruned + interval(queue);
            }
            if Instant::now() >= tick {
                if queue.watch.take_traffic()
                    && let Err(error) = queue.store.maintain().await
                {
                    tracing::warn!(target: "hookaido", err = %error, "queue_maintenance_failed");
                }
                tick = Instant::now() + TICK;
            }
        };
        if shutdown.run_until_cancelled(work).await.is_none() {
            return;
        }
    }
}

fn interval(queue: &Inner) -> Duration {
    queue.settings.read().retentions.prune_interval.clamp(SHORTEST_INTERVAL, Duration::from_secs(24 * 3600))
}

/// Takes back what has run out and sets the alarm to the next end.
async fn reclaim(queue: &Inner) {
    let alarm = &queue.watch.alarm;
    let _over = alarm.take();
    loop {
        let now = queue.clock.now();
        match queue.store.reclaim(now, RECLAIM_ROWS).await {
            Ok(reclaimed) => {
                queue.reclaims.tell(&reclaimed.lanes);
                let Some(next) = reclaimed.next_lease_end else { return };
                if next > now {
                    alarm.set(next);
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(target: "hookaido", err = %error, "lease_reclaim_failed");
                alarm.set(now.plus(TICK));
                return;
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Prunes in slices, so that others get their turn in between.
async fn prune(queue: &Inner) {
    loop {
        let retentions = queue.settings.read().retentions;
        if !keeps_anything(&retentions) {
            return;
        }
        let now: UnixMillis = queue.clock.now();
        match queue.store.prune(Prune { retentions, max_rows: PRUNE_ROWS, now }).await {
            Ok(pruned) if pruned.more => tokio::task::yield_now().await,
            Ok(_all) => return,
            Err(error) => {
                tracing::warn!(target: "hookaido", err = %error, "queue_prune_failed");
                return;
            }
        }
    }
}

/// Whether any retention block is on.
fn keeps_anything(retentions: &Retentions) -> bool {
    let Retentions { queued, delivered, dead, attempts, prune_interval: _ } = retentions;
    [queued, delivered, dead, attempts].into_iter().any(|retention| retention.enabled)
}
