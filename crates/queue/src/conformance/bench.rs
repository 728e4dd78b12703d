//! A store on the workbench: short words for what the cases do all the time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookaido_model::config::{DropPolicy, QueueLimits, Retention, Retentions};
use hookaido_model::{Content, Envelope, EnvelopeId, JsonMap, Lane, LaneId, LeaseId, UnixMillis};
use parking_lot::Mutex;
use smallvec::smallvec;
use tokio::sync::Notify;

use super::Place;
use crate::Store;
use crate::store::{
    Enqueue, Enqueued, Health, Lease, LeaseLost, Leased, ListQuery, NewMessage, Observer, Reclaim, Reclaimed, Rules,
    Settle, SettleBatch, Settled, Settlement, StoreError,
};

pub(super) const T0: UnixMillis = UnixMillis(1_790_000_000_000);
pub(super) const UNLIMITED: QueueLimits = QueueLimits { max_depth: None, drop_policy: DropPolicy::Reject };

pub(super) struct Bench {
    place: Box<dyn Place>,
    pub(super) store: Arc<dyn Store>,
    pub(super) told: Arc<Told>,
    pub(super) a: LaneId,
    pub(super) b: LaneId,
    pub(super) lanes: Vec<Arc<Lane>>,
    /// What becomes of messages that are given back or whose lease ran out.
    pub(super) rules: Rules,
}

/// What the store told its observer.
#[derive(Debug, Default)]
pub(super) struct Told {
    events: Mutex<Vec<Event>>,
    more: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Ready(LaneId, UnixMillis),
    LeaseEnds(UnixMillis),
}

impl Observer for Told {
    fn ready(&self, lane: LaneId, at: UnixMillis) {
        self.events.lock().push(Event::Ready(lane, at));
        self.more.notify_one();
    }
    fn lease_ends(&self, at: UnixMillis) {
        self.events.lock().push(Event::LeaseEnds(at));
        self.more.notify_one();
    }
    fn health(&self, _: &Health) {}
}

impl Told {
    /// Waits until the store tells this; gives everything told until then, which is forgotten.
    pub(super) async fn wait_for(&self, event: Event) -> Vec<Event> {
        let heard = async {
            while !self.events.lock().contains(&event) {
                self.more.notified().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(10), heard).await;
        let told = std::mem::take(&mut *self.events.lock());
        assert!(in_time.is_ok(), "expected {event:?}, the store told {told:?}");
        told
    }
}

impl Bench {
    pub(super) async fn new(place: Box<dyn Place>) -> Self {
        let store = place.open();
        let told = Arc::new(Told::default());
        store.attach(Arc::clone(&told) as Arc<dyn Observer>);
        let pairs = [("/a", "pull"), ("/b", "http://one"), ("/b", "http://two")];
        let pairs = pairs.iter().map(|(route, target)| (Arc::from(*route), Arc::from(*target))).collect();
        let lanes = store.lanes(pairs).await.unwrap();
        Self { place, store, told, a: lanes[0].id, b: lanes[1].id, lanes, rules: Rules::default() }
    }

    /// Closes the store and opens it again; `false` when it forgets.
    pub(super) async fn reopen(&mut self) -> bool {
        if !self.place.durable() {
            return false;
        }
        self.store.close().await.unwrap();
        self.store = Arc::new(crate::MemoryStore::new());
        self.store = self.place.open();
        self.told = Arc::new(Told::default());
        self.store.attach(Arc::clone(&self.told) as Arc<dyn Observer>);
        true
    }

    pub(super) async fn put(&self, lane: LaneId, body: &str) -> EnvelopeId {
        self.put_all(vec![message(lane, body)], UNLIMITED).await.unwrap().ids[0].clone()
    }

    pub(super) async fn put_all(&self, messages: Vec<NewMessage>, limits: QueueLimits) -> Result<Enqueued, StoreError> {
        self.store.enqueue(Enqueue { messages, limits, now: T0 }).await
    }

    /// Leases until [`T0`] and 30 seconds.
    pub(super) async fn take(&self, lane: LaneId, max: u32) -> Vec<Envelope> {
        self.lease(lane, max, T0).await.envelopes
    }

    pub(super) async fn lease(&self, lane: LaneId, max: u32, now: UnixMillis) -> Leased {
        let op = Lease { lane, max, max_bytes: 1 << 30, until: later(now, 30_000), now };
        self.store.lease(op).await.unwrap()
    }

    pub(super) async fn take_one(&self, lane: LaneId) -> (EnvelopeId, LeaseId) {
        let taken = self.take(lane, 1).await;
        (taken[0].id.clone(), taken[0].lease.unwrap())
    }

    pub(super) async fn settle(&self, lease: LeaseId, settlement: Settlement) -> Result<Settled, LeaseLost> {
        self.settle_at(lease, settlement, T0, false).await
    }

    pub(super) async fn settle_at(
        &self,
        lease: LeaseId,
        settlement: Settlement,
        now: UnixMillis,
        keep_delivered: bool,
    ) -> Result<Settled, LeaseLost> {
        let settles = vec![Settle { lease, scope: None, settlement }];
        let op = SettleBatch { settles, attempts: Vec::new(), keep_delivered, rules: self.rules.clone(), now };
        self.store.settle(op).await.unwrap()[0]
    }

    pub(super) async fn reclaim(&self, now: UnixMillis, max: u32) -> Reclaimed {
        self.store.reclaim(Reclaim { max, rules: self.rules.clone(), now }).await.unwrap()
    }

    /// Everything, the oldest first.
    pub(super) async fn all(&self) -> Vec<Envelope> {
        let query = ListQuery { oldest_first: true, limit: 10_000, content: true, ..ListQuery::default() };
        self.store.list(query).await.unwrap()
    }

    pub(super) async fn one(&self, id: &EnvelopeId) -> Envelope {
        let query = ListQuery { ids: Some(vec![id.clone()]), limit: 2, content: true, ..ListQuery::default() };
        let found = self.store.list(query).await.unwrap();
        assert_eq!(found.len(), 1, "{id}");
        found.into_iter().next().unwrap()
    }
}

pub(super) fn message(lane: LaneId, body: &str) -> NewMessage {
    let content = Content {
        payload: Bytes::copy_from_slice(body.as_bytes()),
        headers: JsonMap::from_pairs([("X-Body", body)]),
        trace: JsonMap::from_pairs([("path", "/p")]),
    };
    NewMessage { lanes: smallvec![lane], id: None, content, received_at: T0, next_run_at: T0 }
}

/// Given back, for a time.
pub(super) fn nack(ready_at: UnixMillis) -> Settlement {
    Settlement::Nack { ready_at: Some(ready_at), reason: None }
}

/// How many leases ran out of which lanes.
pub(super) fn expired(reclaimed: &Reclaimed) -> Vec<(LaneId, u64)> {
    reclaimed.lanes.iter().map(|lane| (lane.lane.id, lane.expired)).collect()
}

pub(super) fn later(at: UnixMillis, millis: u64) -> UnixMillis {
    at.plus(Duration::from_millis(millis))
}

pub(super) fn bodies(envelopes: &[Envelope]) -> Vec<String> {
    let body = |envelope: &Envelope| {
        envelope
            .content
            .as_ref()
            .map(|content| String::from_utf8_lossy(&content.payload).into_owned())
            .unwrap_or_default()
    };
    envelopes.iter().map(body).collect()
}

pub(super) fn keep_everything() -> Retentions {
    let off = Retention { enabled: false, max_age: None, max_rows: None };
    Retentions { queued: off, delivered: off, dead: off, attempts: off, prune_interval: Duration::from_secs(1) }
}
