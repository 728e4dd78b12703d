//! Plays operations on a store and writes down what came of each, in words that do not depend on the store.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookaido_model::config::{DropPolicy, QueueLimits, Retention, Retentions};
use hookaido_model::{
    Attempt, AttemptId, AttemptOutcome, Backoff, Content, DeadReason, Envelope, EnvelopeId, JsonMap, Lane, LeaseId,
    Move, Redelivery, Seq, UnixMillis,
};

use super::Place;
use super::ops::{LANES, Op, OpMessage, OpRule, OpSettle, OpSettlement, OpStep};
use crate::Store;
use crate::store::{
    AttemptQuery, Enqueue, ExtendBatch, Lease, ListQuery, NewMessage, Prune, Reclaim, Rules, Settle, SettleBatch,
    Settlement, Stats, Step, StoreError, Transition,
};

/// When sequences begin.
const START: UnixMillis = UnixMillis(1_790_000_000_000);

/// Plays the operations on a new store: one line for each.
///
/// # Panics
/// When the store fails where it may not.
pub async fn trace(place: &dyn Place, ops: &[Op]) -> Vec<String> {
    let mut world = World::new(place).await;
    let mut lines = Vec::with_capacity(ops.len());
    for op in ops {
        lines.push(world.play(op).await);
    }
    world.store.close().await.unwrap();
    lines
}

struct World<'p> {
    place: &'p dyn Place,
    store: Arc<dyn Store>,
    lanes: Vec<Arc<Lane>>,
    rules: Rules,
    now: UnixMillis,
    ids: Vec<EnvelopeId>,
    numbers: HashMap<String, usize>,
    leases: Vec<LeaseId>,
    lease_numbers: HashMap<LeaseId, usize>,
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

async fn open_lanes(store: &dyn Store) -> Vec<Arc<Lane>> {
    let pairs = LANES.iter().map(|(route, target)| (Arc::from(*route), Arc::from(*target))).collect();
    store.lanes(pairs).await.unwrap()
}

impl<'p> World<'p> {
    async fn new(place: &'p dyn Place) -> Self {
        let store = place.open();
        let lanes = open_lanes(&*store).await;
        Self {
            place,
            store,
            lanes,
            rules: Rules::default(),
            now: START,
            ids: Vec::new(),
            numbers: HashMap::new(),
            leases: Vec::new(),
            lease_numbers: HashMap::new(),
        }
    }

    async fn play(&mut self, op: &Op) -> String {
        match op {
            Op::Enqueue { messages, max_depth, drop_oldest } => self.enqueue(messages, *max_depth, *drop_oldest).await,
            Op::Lease { lane, max, max_bytes, ttl } => self.lease(*lane, (*max, *max_bytes), *ttl).await,
            Op::Settle { settles, attempts, keep_delivered } => self.settle(settles, attempts, *keep_delivered).await,
            Op::Extend { leases, scope, by, latest } => self.extend(leases, *scope, *by, *latest).await,
            Op::Reclaim(max) => {
                let op = Reclaim { max: *max, rules: self.rules.clone(), now: self.now };
                let reclaimed = self.store.reclaim(op).await.unwrap();
                let lanes = reclaimed.lanes.iter().map(|lane| (lane.lane.id.0, lane.expired, lane.died));
                let mut lanes: Vec<_> = lanes.collect();
                lanes.sort_unstable();
                format!("reclaimed {lanes:?}, next {}", self.at(reclaimed.next_lease_end))
            }
            Op::Rules(rules) => {
                let rules = self.lanes.iter().zip(rules).map(|(lane, rule)| (lane.id, redelivery(*rule)));
                self.rules = Rules::new(rules);
                "ruled".into()
            }
            Op::Transition { ids, step, only } => {
                let step = match step {
                    OpStep::Cancel => Step::Move(Move::Cancel),
                    OpStep::Requeue => Step::Move(Move::Requeue),
                    OpStep::Resume => Step::Move(Move::Resume),
                    OpStep::Delete => Step::Delete,
                };
                let ids = ids.iter().map(|pick| self.id(*pick)).collect();
                let done = self.store.transition(Transition { ids, step, only: only.clone(), now: self.now }).await;
                format!("changed {:?}", done.unwrap().changed.iter().map(|id| self.name(id)).collect::<Vec<_>>())
            }
            Op::List { .. } => self.list(op).await,
            Op::Attempts { of, route, outcome, limit } => self.attempts(*of, *route, *outcome, *limit).await,
            Op::Stats => stats(&self.store.stats().await.unwrap()),
            Op::Prune { keep, max_rows } => {
                let retentions = retentions(*keep);
                let pruned = self.store.prune(Prune { retentions, max_rows: *max_rows, now: self.now }).await;
                format!("{:?}", pruned.unwrap())
            }
            Op::Advance(by) => {
                self.now = self.now.plus(millis(*by));
                "later".into()
            }
            Op::Maintain => {
                self.store.maintain().await.unwrap();
                "maintained".into()
            }
            Op::Reopen => {
                self.reopen().await;
                "reopened".into()
            }
        }
    }

    async fn reopen(&mut self) {
        if !self.place.durable() {
            return;
        }
        self.store.close().await.unwrap();
        // the file is free when nobody holds the store
        self.store = Arc::new(crate::MemoryStore::new());
        self.store = self.place.open();
        let lanes = open_lanes(&*self.store).await;
        assert_eq!(lanes, self.lanes, "lanes keep their numbers");
    }

    async fn enqueue(&mut self, messages: &[OpMessage], max_depth: Option<u64>, drop_oldest: bool) -> String {
        let messages = messages.iter().map(|message| self.message(message)).collect();
        let drop_policy = if drop_oldest { DropPolicy::DropOldest } else { DropPolicy::Reject };
        let limits = QueueLimits { max_depth, drop_policy };
        match self.store.enqueue(Enqueue { messages, limits, now: self.now }).await {
            Ok(done) => {
                let names: Vec<String> = done.ids.iter().map(|id| self.register(id)).collect();
                format!("stored {names:?}, dropped {}", done.dropped)
            }
            Err(StoreError::Full) => "full".into(),
            Err(StoreError::Conflict(_)) => "conflict".into(),
            Err(error) => panic!("{error}"),
        }
    }

    fn message(&self, message: &OpMessage) -> NewMessage {
        let number = self.ids.len();
        NewMessage {
            lanes: message.lanes.iter().map(|lane| self.lanes[*lane].id).collect(),
            id: message.id.map(|id| format!("given-{id}").into()),
            content: Content {
                payload: Bytes::from(vec![u8::try_from(number % 256).unwrap_or(0); message.size]),
                headers: JsonMap::from_pairs([("N", number.to_string().as_str())]),
                trace: JsonMap::default(),
            },
            received_at: self.now.minus(millis(message.age)),
            next_run_at: self.now.plus(millis(message.delay)),
        }
    }

    async fn lease(&mut self, lane: usize, (max, max_bytes): (u32, u64), ttl: u64) -> String {
        let op = Lease { lane: self.lanes[lane].id, max, max_bytes, until: self.now.plus(millis(ttl)), now: self.now };
        let leased = self.store.lease(op).await.unwrap();
        let mut line = format!("next {}", self.at(leased.next_ready_at));
        for envelope in &leased.envelopes {
            let lease = envelope.lease.unwrap();
            self.lease_numbers.insert(lease, self.leases.len());
            self.leases.push(lease);
            self.write(&mut line, envelope);
        }
        line
    }

    async fn settle(&self, settles: &[OpSettle], attempts: &[usize], keep_delivered: bool) -> String {
        let settles = settles
            .iter()
            .map(|settle| Settle {
                lease: self.lease_id(settle.lease),
                scope: settle.scope.map(|lane| self.lanes[lane].id),
                settlement: match settle.how {
                    OpSettlement::Ack => Settlement::Ack,
                    OpSettlement::Nack(delay, reason) => Settlement::Nack {
                        ready_at: delay.map(|delay| self.now.plus(millis(delay))),
                        reason: reason.then(|| DeadReason(format!("it was {}", settle.lease).into())),
                    },
                    OpSettlement::Release => Settlement::Release,
                    OpSettlement::Bury(reason) => Settlement::Bury { reason: reason.then_some(DeadReason::NO_RETRY) },
                },
            })
            .collect();
        let attempts = attempts.iter().map(|pick| self.attempt(*pick)).collect();
        let op = SettleBatch { settles, attempts, keep_delivered, rules: self.rules.clone(), now: self.now };
        format!("{:?}", self.store.settle(op).await.unwrap())
    }

    fn attempt(&self, pick: usize) -> Attempt {
        let outcome = AttemptOutcome::ALL[pick % 3];
        Attempt {
            id: AttemptId(0),
            event_id: self.id(pick),
            lane: Arc::clone(&self.lanes[pick % LANES.len()]),
            attempt: u32::try_from(pick % 5).unwrap_or(0) + 1,
            status_code: pick.is_multiple_of(2).then_some(503),
            error: pick.is_multiple_of(3).then(|| "refused".to_owned()),
            outcome,
            dead_reason: (outcome == AttemptOutcome::Dead).then_some(DeadReason::MAX_RETRIES),
            created_at: self.now,
        }
    }

    async fn extend(&self, leases: &[usize], scope: Option<usize>, by: u64, latest: Option<u64>) -> String {
        let op = ExtendBatch {
            leases: leases.iter().map(|pick| self.lease_id(*pick)).collect(),
            scope: scope.map(|lane| self.lanes[lane].id),
            by: millis(by),
            latest: latest.map(|latest| self.now.plus(millis(latest))),
            now: self.now,
        };
        let ends = self.store.extend(op).await.unwrap();
        format!("{:?}", ends.iter().map(|end| end.map(|at| at.0 - START.0)).collect::<Vec<_>>())
    }

    async fn list(&self, op: &Op) -> String {
        let Op::List { ids, route, target, states, before, oldest_first, limit } = op else { return String::new() };
        let query = ListQuery {
            ids: ids.as_ref().map(|ids| ids.iter().map(|pick| self.id(*pick)).collect()),
            route: route.map(|lane| Arc::clone(&self.lanes[lane].route)),
            target: target.map(|lane| Arc::clone(&self.lanes[lane].target)),
            states: states.clone(),
            before: before.map(|ago| self.now.minus(millis(ago))),
            oldest_first: *oldest_first,
            limit: *limit,
            content: true,
        };
        let mut line = String::new();
        for envelope in self.store.list(query).await.unwrap() {
            self.write(&mut line, &envelope);
        }
        line
    }

    async fn attempts(&self, of: Option<usize>, route: Option<usize>, outcome: Option<usize>, limit: u32) -> String {
        let query = AttemptQuery {
            event_id: of.map(|pick| self.id(pick)),
            route: route.map(|lane| Arc::clone(&self.lanes[lane].route)),
            target: None,
            outcome: outcome.map(|n| AttemptOutcome::ALL[n]),
            before: None,
            limit,
        };
        let mut line = String::new();
        for found in self.store.attempts(query).await.unwrap() {
            let Attempt { id: _, event_id, lane, attempt, status_code, error, outcome, dead_reason, created_at } =
                found;
            let (name, at) = (self.name(&event_id), created_at.0 - START.0);
            write!(line, "[{name} {} {attempt} {status_code:?} {error:?} {outcome:?} {dead_reason:?} {at}]", lane.id.0)
                .unwrap();
        }
        line
    }

    fn write(&self, line: &mut String, envelope: &Envelope) {
        let Envelope { id, lane, state, received_at, next_run_at, attempt, lease, lease_until, dead_reason, content } =
            envelope;
        let content = content.as_ref().unwrap();
        write!(
            line,
            " [{} {} {}{} {state} received {} ready {} attempt {attempt} lease {:?} until {} {dead_reason:?} {}+{:?} {}]",
            self.name(id),
            lane.id.0,
            lane.route,
            lane.target,
            self.at(Some(*received_at)),
            self.at(Some(*next_run_at)),
            lease.map(|lease| self.lease_numbers.get(&lease)),
            self.at(*lease_until),
            content.payload.len(),
            content.payload.first(),
            String::from_utf8_lossy(content.headers.as_json()),
        )
        .unwrap();
    }

    fn at(&self, at: Option<UnixMillis>) -> String {
        at.map_or_else(|| "never".into(), |at| (at.0 - START.0).to_string())
    }

    fn register(&mut self, id: &EnvelopeId) -> String {
        self.numbers.insert(id.to_string(), self.ids.len());
        self.ids.push(id.clone());
        self.name(id)
    }

    /// The number of a message, or its text for one that was never stored.
    fn name(&self, id: &EnvelopeId) -> String {
        let text = id.to_string();
        self.numbers.get(&text).map_or(text, |number| format!("#{number}"))
    }

    fn id(&self, pick: usize) -> EnvelopeId {
        self.ids.get(pick % (self.ids.len() + 1)).cloned().unwrap_or_else(|| EnvelopeId::from("nobody"))
    }

    /// Mostly one of the last leases, which may still be held.
    fn lease_id(&self, pick: usize) -> LeaseId {
        let recent = self.leases.len().min(8);
        let last = self.leases.len().checked_sub(pick % (recent + 1));
        let unknown = LeaseId { seq: Seq::first_at(START), token: u64::MAX };
        last.and_then(|at| self.leases.get(at)).copied().unwrap_or(unknown)
    }
}

fn stats(stats: &Stats) -> String {
    let mut line = String::new();
    for lane in &stats.lanes {
        let at = |at: Option<UnixMillis>| at.map(|at| at.0 - START.0);
        let (oldest, earliest) = (at(lane.oldest_queued_received_at), at(lane.earliest_queued_next_run_at));
        write!(line, "[{} {:?} {oldest:?} {earliest:?}]", lane.lane.id.0, lane.counts).unwrap();
    }
    line
}

fn redelivery(OpRule { max_receives, backoff }: OpRule) -> Redelivery {
    let backoff = backoff.map(|(base, cap)| Backoff { base: millis(base), cap: millis(cap), jitter: 0.0 });
    Redelivery { max_receives, backoff }
}

fn retentions(keep: [(Option<u64>, Option<u64>); 4]) -> Retentions {
    let [queued, delivered, dead, attempts] = keep.map(|(age, max_rows)| Retention {
        enabled: age.is_some() || max_rows.is_some(),
        max_age: age.map(millis),
        max_rows,
    });
    Retentions { queued, delivered, dead, attempts, prune_interval: millis(1000) }
}
