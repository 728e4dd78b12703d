//! The line of those who wait for messages of one lane.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hookaido_model::{Envelope, UnixMillis};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::batch::LeasedBatch;
use crate::queue::{Inner, LeaseWish};
use crate::store::StoreError;

/// What a waiter gets.
pub(crate) type Answer = Result<LeasedBatch, StoreError>;

/// Most messages asked for on behalf of a line at once.
const MOST: u32 = 1000;

/// Bytes of content that one answer may carry, a single message aside.
pub(crate) const ANSWER_BYTES: u64 = 32 << 20;

#[derive(Debug, Default)]
pub(crate) struct Line {
    places: Mutex<Places>,
    /// Rung for the task that serves the line.
    pub(super) bell: Notify,
}

#[derive(Debug, Default)]
struct Places {
    /// By order of arrival.
    waiting: BTreeMap<u64, Waiting>,
    next_place: u64,
    /// Counts what the store told; shows whether anything was told since one looked.
    told: u64,
    /// Something may be ready that nobody has asked for.
    call: bool,
    /// When a message becomes ready, as far as known.
    due: Option<UnixMillis>,
    /// Whether a task serves the line.
    served: bool,
}

#[derive(Debug)]
struct Waiting {
    max: u32,
    ttl: Duration,
    answer: oneshot::Sender<Answer>,
}

/// What the serving task does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nobody waits: end.
    End,
    /// Ask the store for this many messages.
    Call { max: u32, ttl: Duration, answers: u32 },
    /// Wait for the bell, or until the instant.
    Wait(Option<UnixMillis>),
}

/// How a newcomer stands to the line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nobody is in front: look into the store first. Carries what was told so far.
    Look(u64),
    /// Others are in front.
    Queue,
}

impl Line {
    /// The store told that something is ready at `at`.
    pub(crate) fn ready(&self, at: UnixMillis, now: UnixMillis) {
        let mut places = self.places.lock();
        places.told = places.told.wrapping_add(1);
        if !places.served {
            return;
        }
        if at <= now {
            places.call = true;
        } else if places.due.is_none_or(|due| at < due) {
            places.due = Some(at);
        } else {
            return;
        }
        self.bell.notify_one();
    }

    /// Asked by a newcomer.
    pub(crate) fn turn(&self) -> Turn {
        let places = self.places.lock();
        if places.waiting.is_empty() { Turn::Look(places.told) } else { Turn::Queue }
    }

    /// Takes a place. `looked`: what was told before a look into the store in vain, and when it said that a message is due. The second
    /// value tells whether the line needs a task to serve it.
    pub(crate) fn join(self: &Arc<Self>, wish: &LeaseWish, looked: Option<(u64, Option<UnixMillis>)>) -> (Place, bool) {
        let (sender, answer) = oneshot::channel();
        let mut places = self.places.lock();
        let key = places.next_place;
        places.next_place += 1;
        let news = looked.is_none_or(|(told, _)| told != places.told);
        let due = looked.and_then(|(_, due)| due);
        let first = places.waiting.is_empty();
        if news && (first || looked.is_some()) {
            places.call = true;
        }
        places.due = if first && !places.served { due } else { earliest(places.due, due) };
        places.waiting.insert(key, Waiting { max: wish.max.max(1), ttl: wish.ttl, answer: sender });
        let unserved = !std::mem::replace(&mut places.served, true);
        drop(places);
        if !unserved {
            self.bell.notify_one();
        }
        (Place { line: Arc::clone(self), key, answer }, unserved)
    }

    /// Asked by the serving task.
    pub(super) fn next(&self, now: UnixMillis) -> Next {
        let mut places = self.places.lock();
        let Some(first) = places.waiting.values().next() else {
            places.served = false;
            places.call = false;
            places.due = None;
            return Next::End;
        };
        if !places.call && places.due.is_none_or(|due| due > now) {
            return Next::Wait(places.due);
        }
        let ttl = first.ttl;
        let (mut max, mut answers) = (0u32, 0u32);
        for waiting in places.waiting.values().take_while(|waiting| waiting.ttl == ttl) {
            answers += 1;
            max = max.saturating_add(waiting.max);
            if max >= MOST {
                break;
            }
        }
        places.call = false;
        places.due = None;
        Next::Call { max: max.min(MOST.max(first_max(&places))), ttl, answers }
    }

    /// Hands out what a call brought. Returns what nobody in line may have; the store tells again when it is given back.
    #[must_use]
    pub(super) fn hand_out(
        &self,
        mut envelopes: Vec<Envelope>,
        ttl: Duration,
        due: Option<UnixMillis>,
        queue: &Arc<Inner>,
    ) -> Vec<Envelope> {
        let mut places = self.places.lock();
        places.due = earliest(places.due, due);
        while !envelopes.is_empty() {
            let Some(first) = places.waiting.first_entry().filter(|first| first.get().ttl == ttl) else { break };
            let waiting = first.remove();
            let rest = envelopes.split_off(share(&envelopes, waiting.max));
            let mine = std::mem::replace(&mut envelopes, rest);
            if let Err(Ok(returned)) = waiting.answer.send(Ok(LeasedBatch::new(mine, queue))) {
                let mut again = returned.keep();
                again.append(&mut envelopes);
                envelopes = again;
            }
        }
        envelopes
    }

    /// Answers everybody.
    pub(super) fn dismiss(&self, answer: impl Fn() -> Answer) {
        let waiting = std::mem::take(&mut self.places.lock().waiting);
        for (_, waiting) in waiting {
            let _gone = waiting.answer.send(answer());
        }
    }
}

/// How many of the envelopes fit into one answer.
fn share(envelopes: &[Envelope], max: u32) -> usize {
    let mut bytes = 0u64;
    let fits = envelopes.iter().take(usize::try_from(max).unwrap_or(usize::MAX)).take_while(|envelope| {
        let first = bytes == 0;
        let size = envelope.content.as_ref().map_or(0, |content| content_bytes(content));
        bytes = bytes.saturating_add(size.max(1));
        first || bytes <= ANSWER_BYTES
    });
    fits.count()
}

/// Size of a content as limits count it.
pub(crate) fn content_bytes(content: &hookaido_model::Content) -> u64 {
    let size = content.payload.len() + content.headers.as_bytes().len() + content.trace.as_bytes().len();
    u64::try_from(size).unwrap_or(u64::MAX)
}

fn first_max(places: &Places) -> u32 {
    places.waiting.values().next().map_or(1, |waiting| waiting.max)
}

fn earliest(one: Option<UnixMillis>, other: Option<UnixMillis>) -> Option<UnixMillis> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A place in a line; left when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    line: Arc<Line>,
    key: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Place {
    /// Waits for the answer; `None` when the line was given up.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        (&mut self.answer).await.ok()
    }

    /// Leaves the line. An answer that has come meanwhile is not lost.
    pub(crate) fn leave(mut self) -> Option<Answer> {
        self.step_out();
        self.answer.try_recv().ok()
    }

    fn step_out(&self) {
        let mut places = self.line.places.lock();
        let left = places.waiting.remove(&self.key);
        let empty = left.is_some() && places.waiting.is_empty();
        drop(places);
        if empty {
            self.line.bell.notify_one();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.step_out();
    }
}
