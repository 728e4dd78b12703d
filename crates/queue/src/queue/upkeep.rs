//! What must be done though nobody asks: leases that end, retention, idle work of the store.
//!
//! One cadence for every backend. The end of a lease is awaited, not looked for.

use std::time::Duration;

use hookaido_model::UnixMillis;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Inner, Queue};
use crate::store::{Prune, Reclaim};

/// Leases taken back in one transaction.
const RECLAIM_ROWS: u32 = 500;
/// Rows of each kind removed in one transaction.
const PRUNE_ROWS: u32 = 500;
/// For each part of its time that pruning takes, so many are left to others...
const REST: u32 = 8;
/// ...as long as a run takes no longer than this, or its interval: what comes faster than it goes must not pile up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two calls of [`crate::Store::maintain`].
const MAINTAIN_INTERVAL: Duration = Duration::from_secs(15);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest sleep between two looks at the clock, which may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

impl Queue {
    /// Takes back leases the moment they end, prunes by `prune_interval`, lets the store do its idle work. Runs until `shutdown`.
    pub async fn run_upkeep(self, shutdown: CancellationToken) {
        let queue = &*self.inner;
        let work = async { tokio::join!(reclaim(queue), prune(queue), maintain(queue)) };
        let _cancelled = shutdown.run_until_cancelled(work).await;
    }
}

async fn reclaim(queue: &Inner) {
    loop {
        let end = queue.board.next_lease_end();
        let now = queue.clock.now();
        match end {
            Some(end) if end <= now => reclaim_once(queue, end, now).await,
            Some(end) => {
                let sleep_for = end.since(now).clamp(Duration::from_millis(1), LONGEST_SLEEP);
                tokio::select! {
                    () = queue.board.lease_end_moved() => {}
                    () = sleep(sleep_for) => {}
                }
            }
            None => queue.board.lease_end_moved().await,
        }
    }
}

async fn reclaim_once(queue: &Inner, end: UnixMillis, now: UnixMillis) {
    use crate::store::Observer;
    queue.board.forget_lease_end();
    let rules = queue.rules.read().clone();
    match queue.store.reclaim(Reclaim { max: RECLAIM_ROWS, rules, now }).await {
        Ok(reclaimed) => {
            if let Some(next) = reclaimed.next_lease_end {
                queue.board.lease_ends(next);
            }
            if let Some(listener) = queue.reclaims.0.get() {
                reclaimed.lanes.iter().for_each(listener);
            }
        }
        Err(error) => {
            tracing::warn!(target: "hookaido", error = %error, "reclaim_failed");
            queue.board.lease_ends(end);
            sleep(PAUSE).await;
        }
    }
    tokio::task::yield_now().await;
}

async fn prune(queue: &Inner) {
    let mut last = Instant::now();
    loop {
        let interval = queue.settings.read().retentions.prune_interval;
        // changed settings start no new interval, they change its end
        let due = if interval.is_zero() { None } else { last.checked_add(interval) };
        let timer = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = queue.settings_changed.notified() => {}
            () = timer => {
                prune_all(queue).await;
                last = Instant::now();
            }
        }
    }
}

/// Slices until nothing is left; others get their turn in between.
async fn prune_all(queue: &Inner) {
    let began = Instant::now();
    loop {
        let slice = Instant::now();
        let retentions = queue.settings.read().retentions;
        let kept = [retentions.queued, retentions.delivered, retentions.dead, retentions.attempts];
        if !kept.iter().any(|retention| retention.enabled) {
            return;
        }
        match queue.store.prune(Prune { retentions, max_rows: PRUNE_ROWS, now: queue.clock.now() }).await {
            Ok(pruned) if pruned.more => {
                tokio::task::yield_now().await;
                if began.elapsed() < PATIENCE.max(retentions.prune_interval) {
                    sleep(slice.elapsed() * REST).await;
                }
            }
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(target: "hookaido", error = %error, "prune_failed");
                return;
            }
        }
    }
}

async fn maintain(queue: &Inner) {
    loop {
        sleep(MAINTAIN_INTERVAL).await;
        queue.repeats.forget(queue.clock.now());
        if let Err(error) = queue.store.maintain().await {
            tracing::warn!(target: "hookaido", error = %error, "maintenance_failed");
        }
    }
}
