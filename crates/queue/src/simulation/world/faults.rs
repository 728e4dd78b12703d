//! Faults: callers who go away, processes that die, disks that fill up.
//!
//! After each there are two truths that are allowed, with and without what was under way. The world looks which one it is.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hookaido_model::LeaseId;

use super::look::compare;
use super::made::settings;
use super::{Outcome, World, lanes, millis};
use crate::MemoryStore;
use crate::queue::{LeaseWish, Queue};
use crate::simulation::model::{Model, as_millis};
use crate::simulation::steps::{How, Step};
use crate::store::Health;

impl World {
    /// A publisher goes away: what it brought is stored all the same, unless the disk is full.
    pub(super) async fn publish_and_go(
        &mut self,
        (lanes, count, delay): (&[usize], usize, u64),
        size: usize,
    ) -> Outcome {
        let with = self.published(lanes, count, delay);
        drop(begin(self.queue.enqueue(self.new_messages(lanes, count, size, delay))));
        // answered once all that was sent before is done
        let _may_be_refused = self.store.maintain().await;
        self.one_of(with, self.disk_full || self.site.is_tight()).await
    }

    /// A worker goes away before it was told what it got: as if it had never asked.
    pub(super) async fn dequeue_and_go(&mut self, lane: usize, max: u32, ttl: u64) -> Outcome {
        let wish = LeaseWish { lane: self.lane(lane)?, max, ttl: millis(ttl), max_wait: Duration::ZERO };
        drop(begin(self.queue.lease(wish)));
        self.queue.leftovers_done().await;
        // on a full disk the leases may have been given and not taken back
        let given = self.leased(lane, max, ttl);
        let refusals = self.disk_full || self.site.is_tight();
        let unchanged = self.model.clone();
        self.model = if refusals { given } else { unchanged.clone() };
        self.one_of(unchanged, refusals).await
    }

    /// A worker goes away before it was told that its leases ended: they did, unless the disk is full.
    pub(super) async fn finish_and_go(&mut self, settles: Vec<(LeaseId, Option<usize>)>, how: How) -> Outcome {
        let with = self.finished(&settles, how);
        drop(begin(self.queue.settle_all(self.settle_ops(&settles, how), Vec::new())));
        self.queue.leftovers_done().await;
        self.one_of(with, self.disk_full || self.site.is_tight()).await
    }

    /// Becomes `with`, or stays what it is where that is allowed.
    async fn one_of(&mut self, with: Model, or_without: bool) -> Outcome {
        let found = self.everything().await?;
        let difference = match compare(&with, &found) {
            Ok(()) => {
                self.model = with;
                self.learn(&found);
                return Ok("nobody waited for the answer".to_owned());
            }
            Err(difference) => difference,
        };
        if or_without && compare(&self.model, &found).is_ok() {
            self.learn(&found);
            return Ok("it did not happen".to_owned());
        }
        Err(difference.in_words())
    }

    fn published(&self, lanes: &[usize], count: usize, delay: u64) -> Model {
        let mut with = self.model.clone();
        let _full = with.publish(lanes, count, as_millis(delay));
        with
    }

    fn leased(&self, lane: usize, max: u32, ttl: u64) -> Model {
        let mut with = self.model.clone();
        with.dequeue(lane, max, as_millis(ttl));
        with
    }

    fn finished(&self, settles: &[(LeaseId, Option<usize>)], how: How) -> Model {
        let mut with = self.model.clone();
        for (lease, scope) in settles {
            let _lost = with.finish(*lease, *scope, how);
        }
        with
    }

    /// An orderly stop.
    pub(super) async fn restart(&mut self) -> Outcome {
        if !self.site.durable() {
            return Ok("not durable".to_owned());
        }
        self.disk(false).await?;
        self.queue.close().await.map_err(|error| format!("the store does not close: {error}"))?;
        self.reopen().await?;
        Ok("opened again".to_owned())
    }

    /// The process dies. What was under way may have happened or not; what was answered before has.
    pub(super) async fn crash(&mut self, copied: bool, during: Option<&Step>) -> Outcome {
        if !self.site.durable() {
            return Ok("not durable".to_owned());
        }
        self.disk(false).await?;
        let with = match during {
            None => self.model.clone(),
            Some(step) => self.interrupted(step)?,
        };
        if copied {
            self.site.copy_disk();
        }
        // who waited for an answer still holds the store
        self.queue.leftovers_done().await;
        self.reopen().await?;
        self.model.restarted();
        let mut with = with;
        with.restarted();
        self.one_of(with, true).await.map(|_| "died and opened again".to_owned())
    }

    /// Begins a step that nobody will see the end of.
    fn interrupted(&mut self, step: &Step) -> Result<Model, String> {
        Ok(match step {
            Step::Publish { lanes, count, size, delay, .. } => {
                drop(begin(self.queue.enqueue(self.new_messages(lanes, *count, *size, *delay))));
                self.published(lanes, *count, *delay)
            }
            Step::Dequeue { lane, max, ttl, .. } => {
                let wish =
                    LeaseWish { lane: self.lane(*lane)?, max: *max, ttl: millis(*ttl), max_wait: Duration::ZERO };
                drop(begin(self.queue.lease(wish)));
                self.leased(*lane, *max, *ttl)
            }
            Step::Finish { leases, scope, how, .. } => {
                let settles = self.settles(leases, *scope);
                drop(begin(self.queue.settle_all(self.settle_ops(&settles, *how), Vec::new())));
                self.finished(&settles, *how)
            }
            _ => self.model.clone(),
        })
    }

    /// Lets go of the store and opens what is there.
    async fn reopen(&mut self) -> Result<(), String> {
        // what is being dropped must be gone before the file can be opened again
        self.store = Arc::new(MemoryStore::new());
        self.queue = Queue::new(Arc::clone(&self.store), Arc::new(self.clock.clone()), settings(&self.model.settings));
        self.store = self.site.open();
        self.queue = Queue::new(Arc::clone(&self.store), Arc::new(self.clock.clone()), settings(&self.model.settings));
        let found = lanes(&self.queue).await?;
        if found != self.lanes {
            return Err(format!("lanes have other numbers: {found:?}"));
        }
        self.apply_settings();
        self.model.restarted();
        Ok(())
    }

    /// The disk fills up, or has room again; then the store must write again by itself.
    pub(super) async fn disk(&mut self, full: bool) -> Outcome {
        if !self.site.fill_disk(full) {
            return Ok("no disk".to_owned());
        }
        self.disk_full = full;
        if full {
            return Ok("full".to_owned());
        }
        let patience = std::time::Instant::now();
        while self.store.health() != Health::Writable {
            if patience.elapsed() > Duration::from_secs(20) {
                return Err(format!("the store does not recover: {:?}", self.store.health()));
            }
            // the time of a question to the store
            self.store.stats().await.map_err(|error| format!("cannot be counted: {error}"))?;
        }
        Ok("room".to_owned())
    }
}

/// Lets a future begin and then forgets it.
fn begin<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future: Pin<Box<dyn Future<Output = T> + '_>> = Box::pin(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}
