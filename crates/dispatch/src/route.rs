//! The task of one route: leases for every lane, starts tries within the route's shares, settles what ended.
//!
//! One task owns all of this, so nothing here is locked. It waits for events only: a lease was granted, a try ended, a settlement
//! was stored, the plan changed. It stops when nobody can change its plan any more: it leases nothing more, gives back what it had not
//! sent, and ends with its last settlement.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hookaido_model::{Clock, Lane, LaneId};
use hookaido_queue::store::StoreError;
use hookaido_queue::{LeaseWish, LeasedBatch, Queue};
use hookaido_telemetry::Metrics;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::conclusion::Conclusion;
use crate::reply::Reply;
use crate::shares::Shares;
use crate::target::Target;

mod lane;
mod settling;

use lane::{Done, LaneSlot};
use settling::Settling;

/// A wait for messages is renewed after this time; it ends by itself as soon as there are some.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Most messages of one lease.
const LARGEST_LEASE: usize = 256;
/// First and longest pause after the store failed.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Nothing new is started while so many conclusions wait for the store.
const MOST_UNSETTLED: usize = 4096;

/// What all routes share.
pub(crate) struct Context {
    pub(crate) queue: Queue,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) jitter: Arc<dyn Fn() -> f64 + Send + Sync>,
    pub(crate) tracker: TaskTracker,
    /// Ends tries that are still in flight.
    pub(crate) cut_off: CancellationToken,
}

impl Context {
    fn clock(&self) -> &Arc<dyn Clock> {
        self.queue.clock()
    }
}

/// What a route runs.
#[derive(Debug)]
pub(crate) struct RouteSetup {
    pub(crate) concurrency: u32,
    pub(crate) lanes: Vec<(Arc<Lane>, Arc<Target>)>,
}

/// The answer to a wish.
struct Granted {
    lane: LaneId,
    asked: usize,
    batch: Result<LeasedBatch, StoreError>,
}

type Granting = std::pin::Pin<Box<dyn Future<Output = Granted> + Send>>;

/// The state of a route's task.
pub(crate) struct RouteTask {
    context: Arc<Context>,
    setup: watch::Receiver<Arc<RouteSetup>>,
    shares: Shares,
    lanes: Vec<LaneSlot>,
    leasing: FuturesUnordered<Granting>,
    done: mpsc::UnboundedReceiver<Done>,
    /// Given to every try; bounded by the concurrency, because a try sends once.
    report: mpsc::UnboundedSender<Done>,
    settling: Settling,
    stopping: bool,
    starts: u64,
}

impl RouteTask {
    /// A task that runs what `setup` says, until its sender is dropped.
    pub(crate) fn new(context: Arc<Context>, setup: watch::Receiver<Arc<RouteSetup>>) -> Self {
        let (report, done) = mpsc::unbounded_channel();
        let mut task = Self {
            settling: Settling::new(Arc::clone(&context)),
            context,
            setup,
            shares: Shares::new(1, 0),
            lanes: Vec::new(),
            leasing: FuturesUnordered::new(),
            done,
            report,
            stopping: false,
            starts: 0,
        };
        task.reconfigure();
        task
    }

    /// Runs until the last settlement after the stop.
    pub(crate) async fn run(mut self) {
        let mut ended = Vec::new();
        loop {
            self.start_tries();
            self.start_leases();
            self.settling.start();
            if self.stopping && self.lanes.is_empty() && self.settling.is_idle() {
                return;
            }
            tokio::select! {
                biased;
                // first, so that nothing starts under a plan that is no longer valid
                changed = self.setup.changed(), if !self.stopping => match changed {
                    Ok(()) => self.reconfigure(),
                    Err(_nobody_can_change_it) => self.stop(),
                },
                _ = self.done.recv_many(&mut ended, LARGEST_LEASE) => {
                    for done in ended.drain(..) {
                        self.conclude(done);
                    }
                }
                () = self.settling.finished() => {}
                Some(granted) = self.leasing.next(), if !self.leasing.is_empty() => self.granted(granted),
            }
        }
    }

    /// Takes over the present setup. Tries in flight go on and count; lanes that are gone leave with their last one.
    fn reconfigure(&mut self) {
        let setup = Arc::clone(&self.setup.borrow_and_update());
        self.leasing.clear();
        let mut old = std::mem::take(&mut self.lanes);
        for (lane, target) in &setup.lanes {
            let known = old.iter().position(|slot| slot.lane.id == lane.id).map(|at| old.swap_remove(at));
            let mut slot = known.unwrap_or_else(|| LaneSlot::new(Arc::clone(lane), Arc::clone(target)));
            slot.take_over(Arc::clone(target));
            self.lanes.push(slot);
        }
        self.shares = Shares::new(setup.concurrency, setup.lanes.len());
        self.retire(old);
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.leasing.clear();
        let lanes = std::mem::take(&mut self.lanes);
        self.retire(lanes);
    }

    /// Gives back what was leased and not sent; the lanes stay for as long as a try is in flight.
    fn retire(&mut self, lanes: Vec<LaneSlot>) {
        for mut lane in lanes {
            lane.retired = true;
            self.settling
                .extend(std::iter::from_fn(|| lane.take()).filter_map(|envelope| Conclusion::untold(&envelope)));
            if lane.in_flight > 0 {
                self.lanes.push(lane);
            }
        }
    }

    /// Starts what may be started, the least busy lane first.
    fn start_tries(&mut self) {
        while self.settling.waiting() < MOST_UNSETTLED {
            let next = (0..self.lanes.len()).filter(|&at| self.room(at) > 0);
            let next =
                next.filter_map(|at| self.lanes.get(at).filter(|lane| lane.has_work()).map(|lane| (lane.turn(), at)));
            let Some((_, at)) = next.min() else { return };
            self.start_try(at);
        }
    }

    fn start_try(&mut self, at: usize) {
        let now = self.context.clock().now();
        let Some(lane) = self.lanes.get_mut(at) else { return };
        let Some(envelope) = lane.take() else { return };
        if !lane.lease_covers_a_try(&envelope, now) {
            self.settling.extend(Conclusion::untold(&envelope));
            return;
        }
        self.starts += 1;
        lane.started(self.starts);
        self.context.metrics.delivery.attempt();
        let (target, report) = (Arc::clone(&lane.target), self.report.clone());
        self.context.tracker.spawn(lane::one_try(target, envelope, report, self.context.cut_off.clone()));
    }

    /// How many more tries the lane may have in flight.
    fn room(&self, at: usize) -> usize {
        let siblings = self.lanes.iter().enumerate().filter(|(index, _)| *index != at);
        let own = self.lanes.get(at).map_or(0, |lane| lane.in_flight);
        self.shares.room(own, siblings.map(|(_, lane)| lane.in_flight))
    }

    /// Asks for messages for every lane that could use some.
    fn start_leases(&mut self) {
        if self.stopping || self.settling.waiting() >= MOST_UNSETTLED {
            return;
        }
        for at in 0..self.lanes.len() {
            let room = self.room(at);
            let Some(lane) = self.lanes.get_mut(at) else { continue };
            let asked = lane.wish(room, self.shares).min(LARGEST_LEASE);
            if asked > 0 {
                lane.leasing = true;
                let wish = LeaseWish {
                    lane: lane.lane.id,
                    max: u32::try_from(asked).unwrap_or(u32::MAX),
                    ttl: lane.target.lease_ttl(),
                    max_wait: LONGEST_WAIT,
                };
                self.leasing.push(Box::pin(ask(self.context.queue.clone(), wish, asked, lane.failures)));
            }
        }
    }

    fn granted(&mut self, granted: Granted) {
        let Some(lane) = self.lanes.iter_mut().find(|lane| lane.lane.id == granted.lane) else { return };
        lane.leasing = false;
        match granted.batch {
            Ok(batch) => {
                let envelopes = batch.keep();
                lane.dry = envelopes.len() < granted.asked;
                lane.failures = 0;
                lane.fill(envelopes);
            }
            Err(_logged) => lane.failures = lane.failures.saturating_add(1),
        }
    }

    fn conclude(&mut self, done: Done) {
        let now = self.context.clock().now();
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.lane.id == done.envelope.lane.id) {
            lane.ended(done.took);
        }
        self.lanes.retain(|lane| !lane.is_gone());
        let conclusion = match done.reply {
            Some(reply) => Conclusion::tried(&done.envelope, reply, &done.target.retry, (self.context.jitter)(), now),
            None if self.context.cut_off.is_cancelled() => Conclusion::untold(&done.envelope),
            // a try whose task broke: it counts, or a message that breaks it would be tried for ever
            None => {
                let reply = Reply::unreachable("the delivery broke off".to_owned());
                Conclusion::tried(&done.envelope, reply, &done.target.retry, (self.context.jitter)(), now)
            }
        };
        self.settling.extend(conclusion);
    }
}

/// One wish. A store that cannot lease at present is asked again after a pause.
async fn ask(queue: Queue, wish: LeaseWish, asked: usize, failures: u32) -> Granted {
    let lane = wish.lane;
    let batch = queue.lease(wish).await;
    if let Err(error) = &batch {
        if failures == 0 {
            tracing::warn!(target: "hookaido", error = %error, "delivery_lease_failed");
        }
        tokio::time::sleep(pause(failures)).await;
    }
    Granted { lane, asked, batch }
}

/// Doubles with every failure in a row.
fn pause(failures: u32) -> Duration {
    let (first, longest) = PAUSES;
    first.saturating_mul(1 << failures.min(10)).min(longest)
}
