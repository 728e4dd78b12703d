//! Stores with one defect each: every defect is found, and shown by a short history.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hookaido_model::config::QueueLimits;
use hookaido_model::{Attempt, Envelope, Lane, State};

use super::Site;
use crate::MemoryStore;
use crate::simulation::run;
use crate::store::*;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    LosesTheNinthMessage,
    OvershootsTheLimit,
    NeverDrops,
    DropsHistoryWithTheOldest,
    LeasesTwice,
    LeasesInAnyOrder,
    LeasesBeforeTheTime,
    AcceptsLateAcks,
    AcceptsForeignAcks,
    ForgetsTheRules,
    TakesBackTooSoon,
    TakesBackTooMany,
    ForgetsThatDeliveredIsKept,
    Miscounts,
    ShortensLeases,
    PrunesTooMuch,
}

const ALL: [Defect; 16] = [
    Defect::LosesTheNinthMessage,
    Defect::OvershootsTheLimit,
    Defect::NeverDrops,
    Defect::DropsHistoryWithTheOldest,
    Defect::LeasesTwice,
    Defect::LeasesInAnyOrder,
    Defect::LeasesBeforeTheTime,
    Defect::AcceptsLateAcks,
    Defect::AcceptsForeignAcks,
    Defect::ForgetsTheRules,
    Defect::TakesBackTooSoon,
    Defect::TakesBackTooMany,
    Defect::ForgetsThatDeliveredIsKept,
    Defect::Miscounts,
    Defect::ShortensLeases,
    Defect::PrunesTooMuch,
];

/// The longest history that may be needed to show a defect.
const LONGEST: usize = 12;

#[test]
fn every_defect_is_found_and_shown_by_a_short_history() {
    for defect in ALL {
        let failure = run(&|| Box::new(Workshop(defect)), 0..400, 60);
        let Err(failure) = failure else { panic!("{defect:?} is not found") };
        let shown = failure.to_string();
        assert!(failure.history.len() <= LONGEST, "{defect:?} takes a long history:\n{shown}");
        assert!(shown.contains(&format!("SIMULATION_SEED={}", failure.seed)), "{shown}");
    }
}

#[test]
fn a_history_is_the_same_for_a_seed() {
    let failure = || run(&|| Box::new(Workshop(Defect::LeasesTwice)), 3..4, 100).unwrap_err();
    assert_eq!(failure().history, failure().history);
}

struct Workshop(Defect);

impl Site for Workshop {
    fn open(&mut self) -> Arc<dyn Store> {
        Arc::new(Broken { defect: self.0, inner: Arc::new(MemoryStore::new()), calls: AtomicU64::new(0) })
    }
}

/// A good store behind a defect.
#[derive(Debug)]
struct Broken {
    defect: Defect,
    inner: Arc<MemoryStore>,
    calls: AtomicU64,
}

impl Broken {
    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }
}

impl Store for Broken {
    fn backend(&self) -> &'static str {
        "broken"
    }
    fn attach(&self, observer: Arc<dyn Observer>) {
        self.inner.attach(observer);
    }
    fn lanes(&self, pairs: Vec<(Arc<str>, Arc<str>)>) -> StoreFuture<Vec<Arc<Lane>>> {
        self.inner.lanes(pairs)
    }
    fn enqueue(&self, mut op: Enqueue) -> StoreFuture<Enqueued> {
        if self.is(Defect::OvershootsTheLimit) {
            op.limits.max_depth = op.limits.max_depth.map(|most| most + 1);
        }
        if self.is(Defect::NeverDrops) {
            op.limits = QueueLimits { drop_policy: hookaido_model::config::DropPolicy::Reject, ..op.limits };
        }
        let loses = self.is(Defect::LosesTheNinthMessage) && self.calls.fetch_add(1, Ordering::Relaxed) == 8;
        let (inner, now) = (Arc::clone(&self.inner), op.now);
        let drops_history = self.is(Defect::DropsHistoryWithTheOldest);
        Box::pin(async move {
            let done = inner.enqueue(op).await?;
            if loses {
                delete(&inner, &done.ids[..1], now).await;
            }
            if drops_history && done.dropped > 0 {
                let query = ListQuery { states: vec![State::Dead], limit: 1, ..ListQuery::default() };
                let dead: Vec<_> = inner.list(query).await?.into_iter().map(|envelope| envelope.id).collect();
                delete(&inner, &dead, now).await;
            }
            Ok(done)
        })
    }
    fn lease(&self, mut op: Lease) -> StoreFuture<Leased> {
        if self.is(Defect::LeasesBeforeTheTime) {
            op.now = op.now.plus(Duration::from_millis(20));
        }
        let inner = Arc::clone(&self.inner);
        let (twice, shuffled) = (self.is(Defect::LeasesTwice), self.is(Defect::LeasesInAnyOrder));
        Box::pin(async move {
            let mut leased = inner.lease(op).await?;
            if shuffled {
                leased.envelopes.reverse();
            }
            if let Some(lease) = leased.envelopes.first().and_then(|envelope| envelope.lease).filter(|_| twice) {
                let settles = vec![Settle { lease, scope: None, settlement: Settlement::Release }];
                inner.settle(SettleBatch { settles, ..nothing(op.now) }).await?;
            }
            Ok(leased)
        })
    }
    fn settle(&self, mut op: SettleBatch) -> StoreFuture<Vec<Result<Settled, LeaseLost>>> {
        if self.is(Defect::AcceptsLateAcks) {
            op.now = op.now.minus(Duration::from_millis(500));
        }
        if self.is(Defect::AcceptsForeignAcks) {
            op.settles.iter_mut().for_each(|settle| settle.scope = None);
        }
        if self.is(Defect::ForgetsTheRules) {
            op.rules = Rules::default();
        }
        if self.is(Defect::ForgetsThatDeliveredIsKept) {
            op.keep_delivered = false;
        }
        self.inner.settle(op)
    }
    fn extend(&self, mut op: ExtendBatch) -> StoreFuture<Vec<Result<hookaido_model::UnixMillis, LeaseLost>>> {
        if self.is(Defect::ShortensLeases) {
            op.by /= 2;
        }
        self.inner.extend(op)
    }
    fn reclaim(&self, mut op: Reclaim) -> StoreFuture<Reclaimed> {
        if self.is(Defect::TakesBackTooSoon) {
            op.now = op.now.plus(Duration::from_millis(1));
        }
        if self.is(Defect::TakesBackTooMany) {
            op.max += 1;
        }
        self.inner.reclaim(op)
    }
    fn transition(&self, op: Transition) -> StoreFuture<Transitioned> {
        self.inner.transition(op)
    }
    fn list(&self, query: ListQuery) -> StoreFuture<Vec<Envelope>> {
        self.inner.list(query)
    }
    fn attempts(&self, query: AttemptQuery) -> StoreFuture<Vec<Attempt>> {
        self.inner.attempts(query)
    }
    fn stats(&self) -> StoreFuture<Stats> {
        let (stats, miscounts) = (self.inner.stats(), self.is(Defect::Miscounts));
        Box::pin(async move {
            let mut stats = stats.await?;
            for lane in stats.lanes.iter_mut().filter(|lane| miscounts && lane.counts[3] > 1) {
                lane.counts[3] -= 1;
            }
            Ok(stats)
        })
    }
    fn prune(&self, mut op: Prune) -> StoreFuture<Pruned> {
        if self.is(Defect::PrunesTooMuch) {
            op.retentions.dead = hookaido_model::config::Retention { enabled: true, max_age: None, max_rows: Some(0) };
        }
        self.inner.prune(op)
    }
    fn maintain(&self) -> StoreFuture<()> {
        self.inner.maintain()
    }
    fn health(&self) -> Health {
        self.inner.health()
    }
    fn close(&self) -> StoreFuture<()> {
        self.inner.close()
    }
}

fn nothing(now: hookaido_model::UnixMillis) -> SettleBatch {
    SettleBatch { settles: vec![], attempts: vec![], keep_delivered: false, rules: Rules::default(), now }
}

async fn delete(store: &MemoryStore, ids: &[hookaido_model::EnvelopeId], now: hookaido_model::UnixMillis) {
    let op = Transition { ids: ids.to_vec(), step: Step::Delete, only: vec![], now };
    store.transition(op).await.unwrap();
}
