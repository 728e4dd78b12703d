//! The handle: waiting, cancellation, repeats, upkeep.

mod cancel;
mod probe;
mod repeat;
mod stress;
mod upkeep;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use hookaido_model::config::{DropPolicy, QueueLimits, Retention, Retentions};
use hookaido_model::{Clock, Content, Envelope, Lane, LaneId, UnixMillis};
use smallvec::smallvec;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use self::probe::Probe;
use super::{LeaseWish, Queue, QueueSettings};
use crate::store::{ListQuery, NewMessage, StoreError};

/// Shows the time of the runtime, which tests pause.
#[derive(Debug)]
struct RuntimeClock(tokio::time::Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(1_790_000_000_000).plus(self.0.elapsed())
    }
}

const OFF: Retention = Retention { enabled: false, max_age: None, max_rows: None };

fn settings() -> QueueSettings {
    let retentions =
        Retentions { queued: OFF, delivered: OFF, dead: OFF, attempts: OFF, prune_interval: Duration::from_secs(300) };
    QueueSettings { limits: QueueLimits { max_depth: None, drop_policy: DropPolicy::Reject }, retentions }
}

/// A queue on a probed memory store, with two lanes.
struct Rig {
    queue: Queue,
    store: Arc<Probe>,
    lanes: Vec<Arc<Lane>>,
    tasks: TaskTracker,
}

impl Rig {
    async fn new() -> Self {
        let store = Arc::new(Probe::default());
        let clock = Arc::new(RuntimeClock(tokio::time::Instant::now()));
        let queue = Queue::new(Arc::clone(&store) as Arc<dyn crate::Store>, clock, settings());
        let lanes = queue.lanes(vec![("/a".into(), "pull".into()), ("/b".into(), "pull".into())]).await.unwrap();
        Self { queue, store, lanes, tasks: TaskTracker::new() }
    }

    fn a(&self) -> LaneId {
        self.lanes[0].id
    }

    fn b(&self) -> LaneId {
        self.lanes[1].id
    }

    fn message(&self, lane: LaneId, body: &str, delay: Duration) -> NewMessage {
        let now = self.queue.clock().now();
        let content = Content { payload: bytes::Bytes::copy_from_slice(body.as_bytes()), ..Content::default() };
        NewMessage { lanes: smallvec![lane], id: None, content, received_at: now, next_run_at: now.plus(delay) }
    }

    async fn publish(&self, lane: LaneId, body: &str) {
        self.queue.enqueue(vec![self.message(lane, body, Duration::ZERO)]).await.unwrap();
    }

    async fn publish_later(&self, lane: LaneId, body: &str, delay: Duration) {
        self.queue.enqueue(vec![self.message(lane, body, delay)]).await.unwrap();
    }

    /// A waiter that keeps what it gets; returns once it sleeps.
    async fn waiter(&self, lane: LaneId, max: u32) -> JoinHandle<Result<Vec<Envelope>, StoreError>> {
        let queue = self.queue.clone();
        let before = self.sleeping(lane);
        let wish = wish(lane, max, Duration::from_secs(3600));
        let waiter = self.tasks.spawn(async move { queue.lease(wish).await.map(super::LeasedBatch::keep) });
        until(|| self.sleeping(lane) == before + 1).await;
        waiter
    }

    fn sleeping(&self, lane: LaneId) -> usize {
        self.queue.inner.board.lane(lane).sleeping()
    }

    async fn all(&self) -> Vec<Envelope> {
        let query = ListQuery { limit: 1000, oldest_first: true, content: true, ..ListQuery::default() };
        self.queue.list(query).await.unwrap()
    }
}

fn wish(lane: LaneId, max: u32, max_wait: Duration) -> LeaseWish {
    LeaseWish { lane, max, ttl: Duration::from_secs(30), max_wait }
}

fn bodies(envelopes: &[Envelope]) -> Vec<String> {
    let body = |envelope: &Envelope| String::from_utf8(envelope.content.as_ref().unwrap().payload.to_vec()).unwrap();
    envelopes.iter().map(body).collect()
}

/// Lets other tasks run until it is so.
async fn until(mut so: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came to that");
}
