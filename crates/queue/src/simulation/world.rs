//! Plays steps on a queue and its store, and looks after each whether everything is as the oracle says.
//!
//! Workers are their leases: whoever picks an old one is late, whoever picks it twice repeats, and what nobody picks is lost with its
//! worker.

mod faults;
mod look;
mod made;

use std::sync::Arc;
use std::time::Duration;

use hookaido_model::{
    Clock, Content, DeadReason, Envelope, EnvelopeId, Lane, LaneId, LeaseId, ManualClock, Move, Seq, UnixMillis,
};

use self::made::{is_payload, payload, rules, settings};
use super::model::{Lost, Message, Model, as_millis, lane_number};
use super::steps::{How, LANES, Operation, Scope, Settings, Step};
use super::{Site, Violation};
use crate::queue::{LeaseWish, Queue};
use crate::store::{LeaseLost, NewMessage, Prune, Reclaim, Settle, Settled, Settlement, Store, StoreError};

/// When every simulation begins.
const START: UnixMillis = UnixMillis(1_790_000_000_000);

/// What a step came to, in words; or what is wrong.
type Outcome = Result<String, String>;

pub(super) struct World {
    site: Box<dyn Site>,
    store: Arc<dyn Store>,
    queue: Queue,
    clock: ManualClock,
    lanes: Vec<Arc<Lane>>,
    model: Model,
    /// Leases that were ever handed out, with their lanes.
    leases: Vec<(LeaseId, usize)>,
    /// The disk is full, so that operations may be refused.
    disk_full: bool,
}

/// Plays a history on a new site.
///
/// # Errors
/// The first step after which something is wrong.
pub(super) async fn play(site: Box<dyn Site>, steps: &[Step]) -> Result<(), Violation> {
    let mut history = Vec::with_capacity(steps.len());
    let violation = |at, text, history| Err(Violation { at, text, history });
    let mut world = match World::new(site).await {
        Ok(world) => world,
        Err(text) => return violation(0, text, history),
    };
    for (at, step) in steps.iter().enumerate() {
        let came_to = world.step(step).await;
        let (words, wrong) = match came_to {
            Ok(words) => (words, world.look().await.err()),
            Err(text) => ("?".to_owned(), Some(text)),
        };
        history.push(format!("{step:?} -> {words}"));
        if let Some(text) = wrong {
            return violation(at, text, history);
        }
    }
    if let Err(text) = world.end().await {
        return violation(steps.len().saturating_sub(1), text, history);
    }
    Ok(())
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: i64) -> UnixMillis {
    UnixMillis(START.0 + millis)
}

impl World {
    async fn new(mut site: Box<dyn Site>) -> Result<Self, String> {
        let clock = ManualClock::at(START);
        let store = site.open();
        let queue = Queue::new(Arc::clone(&store), Arc::new(clock.clone()), settings(&Settings::default()));
        let lanes = lanes(&queue).await?;
        Ok(Self { site, store, queue, clock, lanes, model: Model::default(), leases: Vec::new(), disk_full: false })
    }

    async fn end(self) -> Result<(), String> {
        self.queue.close().await.map_err(|error| format!("the store does not close: {error}"))
    }

    async fn step(&mut self, step: &Step) -> Outcome {
        self.model.now = self.clock.now().0 - START.0;
        match step {
            Step::Publish { lanes, count, size, delay, abandoned } => {
                let work = (lanes.as_slice(), *count, *delay);
                if *abandoned { self.publish_and_go(work, *size).await } else { self.publish(work, *size).await }
            }
            Step::Dequeue { lane, max, ttl, cancelled: false } => self.dequeue(*lane, *max, *ttl).await,
            Step::Dequeue { lane, max, ttl, cancelled: true } => self.dequeue_and_go(*lane, *max, *ttl).await,
            Step::Finish { leases, scope, how, abandoned } => {
                let settles = self.settles(leases, *scope);
                if *abandoned { self.finish_and_go(settles, *how).await } else { self.finish(settles, *how).await }
            }
            Step::Extend { lease, scope, by, capped } => self.extend(*lease, *scope, *by, *capped).await,
            Step::Wait(by) => {
                self.clock.advance(millis(*by));
                self.model.now += as_millis(*by);
                Ok(format!("{} ms", self.model.now))
            }
            Step::Reclaim(max) => self.reclaim(*max).await,
            Step::Prune(max) => self.prune(*max).await,
            Step::Operate { message, what } => self.operate(*message, *what).await,
            Step::Reload(new) => {
                self.model.settings = *new;
                self.apply_settings();
                Ok("applied".to_owned())
            }
            Step::Maintain => match self.store.maintain().await {
                Err(error) if !self.allowed(&error) => Err(format!("maintenance failed: {error}")),
                _ => Ok("done".to_owned()),
            },
            Step::Restart => self.restart().await,
            Step::Crash { copied, during } => self.crash(*copied, during.as_deref()).await,
            Step::Disk { full } => self.disk(*full).await,
        }
    }

    fn apply_settings(&self) {
        self.queue.set_settings(settings(&self.model.settings));
        self.queue.set_rules(rules(&self.lanes, &self.model.settings));
    }

    /// Whether an operation may fail so at present. Nothing of it was done then.
    fn allowed(&self, error: &StoreError) -> bool {
        matches!(error, StoreError::Unavailable(_)) && (self.disk_full || self.site.is_tight())
    }

    fn lane(&self, lane: usize) -> Result<LaneId, String> {
        self.lanes.get(lane).map(|lane| lane.id).ok_or_else(|| format!("there is no lane {lane}"))
    }

    async fn publish(&mut self, (lanes, count, delay): (&[usize], usize, u64), size: usize) -> Outcome {
        let answer = self.queue.enqueue(self.new_messages(lanes, count, size, delay)).await;
        match answer {
            Err(error) if self.allowed(&error) => Ok(format!("{error}")),
            Err(StoreError::Full) => match self.model.clone().publish(lanes, count, as_millis(delay)) {
                None => Ok("full".to_owned()),
                Some(_) => Err(format!("refused though there is room: depth {}", self.model.depth())),
            },
            Err(error) => Err(format!("cannot be stored: {error}")),
            Ok(done) => {
                let Some((numbers, dropped)) = self.model.publish(lanes, count, as_millis(delay)) else {
                    return Err(format!("accepted beyond the limit: depth {}", self.model.depth()));
                };
                if done.dropped != dropped || done.ids.len() != numbers.len() {
                    return Err(format!("dropped {} for {} new ones, not {dropped}", done.dropped, done.ids.len()));
                }
                for (number, id) in numbers.iter().zip(done.ids) {
                    self.model.by_number(*number).into_iter().for_each(|message| message.id = Some(id.clone()));
                }
                Ok(format!("accepted {numbers:?}, dropped {dropped}"))
            }
        }
    }

    fn new_messages(&self, lanes: &[usize], count: usize, size: usize, delay: u64) -> Vec<NewMessage> {
        let lanes: Vec<LaneId> = lanes.iter().filter_map(|lane| self.lane(*lane).ok()).collect();
        let now = self.clock.now();
        (0..count)
            .map(|n| NewMessage {
                lanes: lanes.iter().copied().collect(),
                id: None,
                content: Content {
                    payload: payload(self.model.accepted + n * lanes.len(), size),
                    ..Content::default()
                },
                received_at: now,
                next_run_at: now.plus(millis(delay)),
            })
            .collect()
    }

    async fn dequeue(&mut self, lane: usize, max: u32, ttl: u64) -> Outcome {
        let wish = LeaseWish { lane: self.lane(lane)?, max, ttl: millis(ttl), max_wait: Duration::ZERO };
        let envelopes = match self.queue.lease(wish).await {
            Ok(batch) => batch.keep(),
            Err(error) if self.allowed(&error) => return Ok(format!("{error}")),
            Err(error) => return Err(format!("cannot be leased: {error}")),
        };
        let held_before = self.model.clone();
        let expected = self.model.dequeue(lane, max, as_millis(ttl));
        let mut got = Vec::new();
        for envelope in &envelopes {
            let message = held_before.by_id(&envelope.id);
            let message = message.ok_or_else(|| format!("{} is not there, and is handed out", envelope.id))?;
            if message.lease.is_some() {
                return Err(format!("message {} is held by two workers at once", message.number));
            }
            let number = message.number;
            self.hand_out(number, envelope)?;
            got.push(number);
        }
        if got != expected {
            return Err(format!("handed out {got:?}, not {expected:?}"));
        }
        Ok(format!("took {got:?}"))
    }

    fn hand_out(&mut self, number: usize, envelope: &Envelope) -> Result<(), String> {
        let lease = envelope.lease.ok_or_else(|| format!("message {number} is handed out without a lease"))?;
        if self.leases.iter().any(|(known, _)| *known == lease) {
            return Err(format!("message {number} has the lease of another time"));
        }
        let content = envelope.content.as_ref().map(|content| content.payload.clone()).unwrap_or_default();
        if !is_payload(number, &content) {
            return Err(format!("message {number} has the content of another"));
        }
        let Some(message) = self.model.by_number(number) else { return Ok(()) };
        if envelope.attempt != message.attempt {
            return Err(format!("message {number} says attempt {}, not {}", envelope.attempt, message.attempt));
        }
        if let Some(held) = &mut message.lease {
            held.id = Some(lease);
        }
        let lane = message.lane;
        self.leases.push((lease, lane));
        Ok(())
    }

    /// Mostly one of the last leases, which may still be held; sometimes one that nobody ever had.
    fn pick(&self, pick: usize) -> (LeaseId, usize) {
        let recent = self.leases.len().min(14);
        let last = self.leases.len().checked_sub(1 + pick % (recent + 1));
        let nobodys = (LeaseId { seq: Seq::first_at(START), token: u64::MAX }, 0);
        last.and_then(|at| self.leases.get(at)).copied().unwrap_or(nobodys)
    }

    fn scope(scope: Scope, own: usize) -> Option<usize> {
        match scope {
            Scope::Own => Some(own),
            Scope::Any => None,
            Scope::Lane(lane) => Some(lane),
        }
    }

    fn settles(&self, leases: &[usize], scope: Scope) -> Vec<(LeaseId, Option<usize>)> {
        leases
            .iter()
            .map(|pick| {
                let (lease, own) = self.pick(*pick);
                (lease, Self::scope(scope, own))
            })
            .collect()
    }

    fn settle_ops(&self, settles: &[(LeaseId, Option<usize>)], how: How) -> Vec<Settle> {
        let said = |says: Option<u64>| says.map(|n| DeadReason(format!("word {n}").into()));
        let settlement = match how {
            How::Ack => Settlement::Ack,
            How::Nack { delay, says } => Settlement::Nack {
                ready_at: delay.map(|delay| self.clock.now().plus(millis(delay))),
                reason: said(says),
            },
            How::Release => Settlement::Release,
            How::Bury { says } => Settlement::Bury { reason: said(says) },
        };
        let op = |(lease, scope): &(LeaseId, Option<usize>)| Settle {
            lease: *lease,
            scope: scope.and_then(|lane| self.lane(lane).ok()),
            settlement: settlement.clone(),
        };
        settles.iter().map(op).collect()
    }

    async fn finish(&mut self, settles: Vec<(LeaseId, Option<usize>)>, how: How) -> Outcome {
        let outcomes = match self.queue.settle_all(self.settle_ops(&settles, how), Vec::new()).await {
            Ok(outcomes) => outcomes,
            Err(error) if self.allowed(&error) => return Ok(format!("{error}")),
            Err(error) => return Err(format!("cannot be settled: {error}")),
        };
        let mut words = Vec::new();
        for ((lease, scope), outcome) in settles.into_iter().zip(outcomes) {
            let number = self.number_of(lease);
            let expected = self.model.finish(lease, scope, how);
            let found = self.settled(outcome)?;
            if found != expected {
                return Err(format!("a lease of {number} came to {found:?}, not to {expected:?}"));
            }
            words.push(format!("{number}: {found:?}"));
        }
        Ok(words.join(", "))
    }

    fn settled(&self, outcome: Result<Settled, LeaseLost>) -> Result<Result<(usize, bool), Lost>, String> {
        match outcome {
            Ok(Settled { lane, died }) => {
                let lane = lane_number(&self.lanes, lane).ok_or("a lease of a lane that is not there")?;
                Ok(Ok((lane, died)))
            }
            Err(lost) => Ok(Err(as_lost(lost))),
        }
    }

    /// The message that a lease is of, for words.
    fn number_of(&self, lease: LeaseId) -> String {
        let holds = |message: &&Message| message.lease.is_some_and(|held| held.id == Some(lease));
        let message = self.model.messages.iter().find(holds);
        message.map_or("an old one".to_owned(), |message| format!("message {}", message.number))
    }

    async fn extend(&mut self, lease: usize, scope: Scope, by: u64, capped: Option<u64>) -> Outcome {
        let (lease, own) = self.pick(lease);
        let scope = Self::scope(scope, own);
        let lane = scope.and_then(|lane| self.lane(lane).ok());
        let latest = capped.map(|capped| self.clock.now().plus(millis(capped)));
        let outcomes = match self.queue.extend(vec![lease], lane, millis(by), latest).await {
            Ok(outcomes) => outcomes,
            Err(error) if self.allowed(&error) => return Ok(format!("{error}")),
            Err(error) => return Err(format!("cannot be extended: {error}")),
        };
        let expected = self.model.extend(lease, scope, by, capped);
        let found = outcomes.first().map(|outcome| outcome.map(|end| end.0 - START.0).map_err(as_lost));
        if found != Some(expected) {
            return Err(format!("an extension came to {found:?}, not to {expected:?}"));
        }
        Ok(format!("{expected:?}"))
    }

    async fn reclaim(&mut self, max: u32) -> Outcome {
        let op = Reclaim { max, rules: rules(&self.lanes, &self.model.settings), now: self.clock.now() };
        let reclaimed = match self.store.reclaim(op).await {
            Ok(reclaimed) => reclaimed,
            Err(error) if self.allowed(&error) => return Ok(format!("{error}")),
            Err(error) => return Err(format!("cannot be taken back: {error}")),
        };
        let mut found = Vec::new();
        for lane in &reclaimed.lanes {
            let number = lane_number(&self.lanes, lane.lane.id).ok_or("a lease of a lane that is not there")?;
            found.push((number, lane.expired, lane.died));
        }
        found.sort_unstable();
        let found = (found, reclaimed.next_lease_end.map(|end| end.0 - START.0));
        let expected = self.model.reclaim(max);
        if found != expected {
            return Err(format!("took back {found:?}, not {expected:?}"));
        }
        Ok(format!("{expected:?}"))
    }

    async fn prune(&mut self, max: u32) -> Outcome {
        let retentions = settings(&self.model.settings).retentions;
        let pruned = match self.store.prune(Prune { retentions, max_rows: max, now: self.clock.now() }).await {
            Ok(pruned) => pruned,
            Err(error) if self.allowed(&error) => return Ok(format!("{error}")),
            Err(error) => return Err(format!("cannot be pruned: {error}")),
        };
        let (found, expected) = ([pruned.queued, pruned.delivered, pruned.dead], self.model.prune(max));
        if found != expected {
            return Err(format!("removed {found:?} queued, delivered and dead messages, not {expected:?}"));
        }
        Ok(format!("{expected:?}"))
    }

    async fn operate(&mut self, pick: usize, what: Operation) -> Outcome {
        let message = self.model.messages.get(pick % (self.model.messages.len() + 1));
        let known = message.and_then(|message| Some((message.number, message.id.clone()?)));
        let (number, id) = known.unwrap_or((usize::MAX, EnvelopeId::from("nobody")));
        let step = match what {
            Operation::Cancel => crate::store::Step::Move(Move::Cancel),
            Operation::Requeue => crate::store::Step::Move(Move::Requeue),
            Operation::Resume => crate::store::Step::Move(Move::Resume),
            Operation::Delete => crate::store::Step::Delete,
        };
        let done = match self.queue.transition(vec![id], step, Vec::new()).await {
            Ok(done) => done,
            Err(error) if self.allowed(&error) => return Ok(format!("{error}")),
            Err(error) => return Err(format!("cannot be changed: {error}")),
        };
        let (found, expected) = (!done.changed.is_empty(), self.model.operate(number, what));
        if found != expected {
            return Err(format!("message {number} changed: {found}, which should be {expected}"));
        }
        Ok(format!("message {number} changed: {found}"))
    }
}

async fn lanes(queue: &Queue) -> Result<Vec<Arc<Lane>>, String> {
    let pairs = LANES.iter().map(|(route, target)| (Arc::from(*route), Arc::from(*target))).collect();
    queue.lanes(pairs).await.map_err(|error| format!("no lanes: {error}"))
}

fn as_lost(lost: LeaseLost) -> Lost {
    match lost {
        LeaseLost::NotFound => Lost::NotFound,
        LeaseLost::Expired => Lost::Expired,
        LeaseLost::Foreign => Lost::Foreign,
    }
}
