//! Leasing: a look into the store, then a place in line, and the task that serves the line.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::line::{ANSWER_BYTES, Line, Next, Place, Turn};
use super::until;
use crate::batch::LeasedBatch;
use crate::queue::{Inner, LeaseWish};
use crate::store::{Lease, Leased, StoreError};
use hookaido_model::{LaneId, UnixMillis};

/// Longest wait; longer ones end here. Keeps timers in their range.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl Inner {
    pub(crate) async fn lease(self: &Arc<Self>, wish: LeaseWish) -> Result<LeasedBatch, StoreError> {
        if wish.max_wait.is_zero() || self.no_more_waits.is_cancelled() {
            return Ok(self.look(wish).await?.0);
        }
        let deadline = Instant::now() + wish.max_wait.min(LONGEST);
        let line = self.watch.line(wish.lane);
        let looked = match line.turn() {
            Turn::Queue => None,
            Turn::Look(told) => {
                let (batch, due) = self.look(wish).await?;
                if !batch.envelopes().is_empty() {
                    return Ok(batch);
                }
                Some((told, due))
            }
        };
        let (place, unserved) = line.join(&wish, looked);
        if unserved {
            let (queue, lane) = (Arc::clone(self), wish.lane);
            self.tasks.spawn(None, async move { queue.serve(lane, &line).await });
        }
        self.wait(place, deadline).await
    }

    /// Takes what is there. Carried through when the caller goes away: what it brings is given back then.
    async fn look(self: &Arc<Self>, wish: LeaseWish) -> Result<(LeasedBatch, Option<UnixMillis>), StoreError> {
        let queue = Arc::clone(self);
        self.tasks
            .carry(async move {
                let leased = queue.ask(wish.lane, wish.max.max(1), ANSWER_BYTES, wish.ttl).await?;
                Ok((LeasedBatch::new(leased.envelopes, &queue), leased.next_ready_at))
            })
            .await
    }

    async fn ask(&self, lane: LaneId, max: u32, max_bytes: u64, ttl: Duration) -> Result<Leased, StoreError> {
        let now = self.clock.now();
        self.store.lease(Lease { lane, max, max_bytes, until: now.plus(ttl), now }).await
    }

    async fn wait(self: &Arc<Self>, mut place: Place, deadline: Instant) -> Result<LeasedBatch, StoreError> {
        let answer = tokio::select! {
            biased;
            answer = place.answer() => answer,
            () = sleep_until(deadline) => place.leave(),
        };
        answer.unwrap_or_else(|| Ok(LeasedBatch::new(Vec::new(), self)))
    }

    /// Serves a line until nobody waits.
    async fn serve(self: &Arc<Self>, lane: LaneId, line: &Line) {
        loop {
            if self.no_more_waits.is_cancelled() {
                line.dismiss(|| Ok(LeasedBatch::new(Vec::new(), self)));
            }
            let now = self.clock.now();
            match line.next(now) {
                Next::End => return,
                Next::Call { max, ttl, answers } => self.call(lane, line, (max, answers), ttl).await,
                Next::Wait(due) => {
                    tokio::select! {
                        () = line.bell.notified() => {}
                        () = self.no_more_waits.cancelled() => {}
                        () = sleep(due.map_or(LONGEST, |due| until(due, now))) => {}
                    }
                }
            }
        }
    }

    async fn call(self: &Arc<Self>, lane: LaneId, line: &Line, (max, answers): (u32, u32), ttl: Duration) {
        match self.ask(lane, max, ANSWER_BYTES.saturating_mul(u64::from(answers)), ttl).await {
            Ok(leased) => {
                let left = line.hand_out(leased.envelopes, ttl, leased.next_ready_at, self);
                drop(LeasedBatch::new(left, self));
            }
            Err(error) => line.dismiss(|| Err(error.clone())),
        }
    }
}
