//! Leasing with patience: one call of the store when there is something, sleep in between.
//!
//! A caller may go away at any moment. If it slept, its place is given up; if it was woken, the next one is woken in its stead; if the
//! store was at work for it, what the store leased is given back and the attempt does not count.

use std::sync::Arc;
use std::time::Duration;

use hookaido_model::{Envelope, LaneId, LeaseId};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::carried::{Carried, Rest};
use super::waiters::{Arrival, Called, Check, LaneWaiters};
use crate::store::{Lease, Leased, Rules, Settle, SettleBatch, Settlement, StoreError};

/// Bytes of content in one lease, about; a single message may be larger.
pub(super) const MAX_BYTES: u64 = 32 << 20;
/// Longest sleep between two looks at the clock, which may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// Patience without end, in a form that timers can take.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A wish for messages.
#[derive(Clone, Copy, Debug)]
pub struct LeaseWish {
    /// From where.
    pub lane: LaneId,
    /// At most this many; zero gets none.
    pub max: u32,
    /// Length of the leases.
    pub ttl: Duration,
    /// How long to wait for the first message; zero does not wait.
    pub max_wait: Duration,
}

/// Leased envelopes. Gives back those not taken with [`keep`](Self::keep) when dropped; their attempt does not count.
#[derive(Debug)]
pub struct LeasedBatch {
    envelopes: Vec<Envelope>,
    queue: Arc<Inner>,
}

impl LeasedBatch {
    /// The envelopes; none when the time was over.
    #[must_use]
    pub fn envelopes(&self) -> &[Envelope] {
        &self.envelopes
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.envelopes.is_empty()
    }

    /// Takes the envelopes over; from now on their leases are the caller's to settle.
    #[must_use]
    pub fn keep(mut self) -> Vec<Envelope> {
        std::mem::take(&mut self.envelopes)
    }
}

impl Drop for LeasedBatch {
    fn drop(&mut self) {
        if let Some(rest) = give_back(&self.queue, &self.envelopes) {
            super::carried::spawn(&self.queue.tasks, rest);
        }
    }
}

/// Leases what there is, or waits for it.
pub(super) async fn lease(queue: &Arc<Inner>, wish: LeaseWish, max_bytes: u64) -> Result<LeasedBatch, StoreError> {
    let batch = |envelopes| Ok(LeasedBatch { envelopes, queue: Arc::clone(queue) });
    if wish.max == 0 {
        return batch(Vec::new());
    }
    let deadline = Instant::now() + wish.max_wait.min(FOREVER);
    let (mut seat, arrival) = Seat::take(queue, wish);
    let mut turn = match arrival {
        Arrival::Call(called) => Some(called),
        Arrival::Sleep => None,
    };
    let mut called_once = false;
    loop {
        if let Some(called) = turn.take() {
            called_once = true;
            let envelopes = call(queue, &seat.lane, (wish, max_bytes), called).await?;
            if !envelopes.is_empty() || over(queue, deadline) {
                return batch(envelopes);
            }
        }
        seat.sleep();
        match seat.wait(deadline).await {
            Some(called) => turn = Some(called),
            // whoever waited behind others all the time looks into the store once
            None if !called_once => turn = Some(seat.lane.begin(wish.max, queue.clock.now())),
            None => return batch(Vec::new()),
        }
    }
}

/// Whether patience is at an end.
fn over(queue: &Inner, deadline: Instant) -> bool {
    Instant::now() >= deadline || queue.board.is_shut()
}

/// One call of the store.
async fn call(
    queue: &Arc<Inner>,
    lane: &Arc<LaneWaiters>,
    (wish, max_bytes): (LeaseWish, u64),
    called: Called,
) -> Result<Vec<Envelope>, StoreError> {
    let now = queue.clock.now();
    let op = Lease { lane: wish.lane, max: wish.max, max_bytes, until: now.plus(wish.ttl), now };
    let abandoned = {
        let (queue, lane) = (Arc::clone(queue), Arc::clone(lane));
        move |answer| {
            end(&lane, wish, called, &answer);
            answer.ok().and_then(|leased| give_back(&queue, &leased.envelopes))
        }
    };
    let answer = Carried::new(&queue.tasks, queue.store.lease(op), abandoned).await;
    end(lane, wish, called, &answer);
    answer.map(|leased| leased.envelopes)
}

/// Says what a call came to to those who still sleep.
fn end(lane: &LaneWaiters, wish: LeaseWish, called: Called, answer: &Result<Leased, StoreError>) {
    match answer {
        Ok(leased) => {
            let drained = usize::try_from(wish.max).is_ok_and(|max| leased.envelopes.len() < max);
            lane.end(called, drained, leased.next_ready_at);
        }
        // what this call should have taken is still there
        Err(_reported) => lane.wake_one(),
    }
}

/// Gives leases back as if they had never been given.
fn give_back(queue: &Arc<Inner>, envelopes: &[Envelope]) -> Option<Rest> {
    let leases: Vec<LeaseId> = envelopes.iter().filter_map(|envelope| envelope.lease).collect();
    if leases.is_empty() {
        return None;
    }
    let queue = Arc::clone(queue);
    Some(Box::pin(async move {
        let settles = leases.into_iter().map(|lease| Settle { lease, scope: None, settlement: Settlement::Release });
        let op = SettleBatch {
            settles: settles.collect(),
            attempts: Vec::new(),
            keep_delivered: false,
            rules: Rules::default(),
            now: queue.clock.now(),
        };
        // a store that cannot do this now lets them run out
        let _lost_or_run_out = queue.store.settle(op).await;
    }))
}

/// A place among the waiters of a lane, given up when dropped.
struct Seat<'q> {
    queue: &'q Inner,
    lane: Arc<LaneWaiters>,
    ticket: u64,
    max: u32,
    bell: Option<Arc<Notify>>,
    sleeping: bool,
}

impl<'q> Seat<'q> {
    fn take(queue: &'q Inner, wish: LeaseWish) -> (Self, Arrival) {
        let lane = queue.board.lane(wish.lane);
        let (ticket, arrival) = lane.arrive(wish.max, queue.clock.now(), !wish.max_wait.is_zero());
        (Self { queue, lane, ticket, max: wish.max, bell: None, sleeping: false }, arrival)
    }

    fn sleep(&mut self) {
        let bell = self.bell.get_or_insert_with(Arc::default);
        self.sleeping = true;
        self.lane.sleep(self.ticket, self.max, bell);
    }

    /// Waits for its turn; `None` when the time is over first.
    async fn wait(&mut self, deadline: Instant) -> Option<Called> {
        loop {
            let now = self.queue.clock.now();
            let due = match self.lane.check(self.ticket, self.max, now, over(self.queue, deadline)) {
                Check::Sleep(due) => due,
                Check::Call(called) => {
                    self.sleeping = false;
                    return Some(called);
                }
                Check::TooLate => {
                    self.sleeping = false;
                    return None;
                }
            };
            let until = due.map_or(deadline, |due| {
                let sleep = due.since(now).clamp(Duration::from_millis(1), LONGEST_SLEEP);
                deadline.min(Instant::now() + sleep)
            });
            let Some(bell) = &self.bell else { return None };
            tokio::select! {
                biased;
                () = bell.notified() => {}
                () = sleep_until(until) => {}
            }
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if self.sleeping {
            self.lane.leave(self.ticket, self.max);
        }
    }
}
