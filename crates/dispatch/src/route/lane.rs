//! One lane of a route: what is leased, what is in flight, and how much more to ask for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hookaido_model::{Envelope, Lane, UnixMillis};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::reply::Reply;
use crate::shares::Shares;
use crate::target::Target;

/// A target that answers within this time is leased for ahead, so that it never waits for the store.
const QUICK: Duration = Duration::from_millis(50);
/// What is leased ahead should be on its way within this time.
const SOON: Duration = Duration::from_millis(100);
/// Most messages leased ahead, and the size in bytes above which nothing is.
const AHEAD: (usize, usize) = (64, 1 << 20);
/// A lease must last this much longer than a try, for the settlement.
const SETTLING: Duration = Duration::from_secs(1);

/// One lane.
pub(super) struct LaneSlot {
    pub(super) lane: Arc<Lane>,
    pub(super) target: Arc<Target>,
    /// Not in the plan any more; nothing is started.
    pub(super) retired: bool,
    /// Leased and not sent yet.
    buffer: VecDeque<Envelope>,
    /// Size of their bodies.
    buffered_bytes: usize,
    pub(super) in_flight: usize,
    /// Whether a wish is out.
    pub(super) leasing: bool,
    /// Whether the last wish got less than it asked for: nothing more waits.
    pub(super) dry: bool,
    /// Wishes that failed in a row.
    pub(super) failures: u32,
    /// Smoothed duration of a try.
    pace: Duration,
    last_start: u64,
}

/// A try that ended.
pub(super) struct Done {
    pub(super) envelope: Envelope,
    /// The target as it was when the try began.
    pub(super) target: Arc<Target>,
    /// `None` when the try was cut off, or broke.
    pub(super) reply: Option<Reply>,
    pub(super) took: Duration,
}

impl LaneSlot {
    pub(super) fn new(lane: Arc<Lane>, target: Arc<Target>) -> Self {
        Self {
            lane,
            target,
            retired: false,
            buffer: VecDeque::new(),
            buffered_bytes: 0,
            in_flight: 0,
            leasing: false,
            dry: true,
            failures: 0,
            pace: Duration::MAX,
            last_start: 0,
        }
    }

    /// The lane goes on with this target; wishes that were out are gone.
    pub(super) fn take_over(&mut self, target: Arc<Target>) {
        self.target = target;
        self.retired = false;
        self.leasing = false;
        self.failures = 0;
    }

    /// Nothing is left of it.
    pub(super) fn is_gone(&self) -> bool {
        self.retired && self.in_flight == 0
    }

    pub(super) fn has_work(&self) -> bool {
        !self.retired && !self.buffer.is_empty()
    }

    /// Takes leased messages in.
    pub(super) fn fill(&mut self, envelopes: Vec<Envelope>) {
        self.buffered_bytes += envelopes.iter().map(size).sum::<usize>();
        self.buffer.extend(envelopes);
    }

    /// The next message to send, or to give back.
    pub(super) fn take(&mut self) -> Option<Envelope> {
        let envelope = self.buffer.pop_front()?;
        self.buffered_bytes = self.buffered_bytes.saturating_sub(size(&envelope));
        Some(envelope)
    }

    /// Smaller goes first: the least busy, then the one that waits longest.
    pub(super) fn turn(&self) -> (usize, u64) {
        (self.in_flight, self.last_start)
    }

    pub(super) fn started(&mut self, start: u64) {
        self.in_flight += 1;
        self.last_start = start;
    }

    pub(super) fn ended(&mut self, took: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.pace = if self.pace == Duration::MAX { took } else { (self.pace * 7 + took) / 8 };
    }

    /// Whether the lease lasts as long as a try may take.
    pub(super) fn lease_covers_a_try(&self, envelope: &Envelope, now: UnixMillis) -> bool {
        let needed = now.plus(self.target.timeout.saturating_add(SETTLING));
        envelope.lease_until.is_some_and(|until| needed <= until)
    }

    /// How many messages to have at hand beyond those in flight.
    fn ahead(&self, shares: Shares) -> usize {
        let (most, bytes) = AHEAD;
        if self.pace > QUICK || self.buffered_bytes >= bytes {
            return 0;
        }
        let rounds = SOON.as_nanos().checked_div(self.pace.as_nanos()).and_then(|rounds| usize::try_from(rounds).ok());
        rounds.map_or(most, |rounds| rounds.saturating_mul(shares.limit)).min(most)
    }

    /// How many messages to ask for, given room for so many more tries.
    pub(super) fn wish(&self, room: usize, shares: Shares) -> usize {
        if self.retired || self.leasing {
            return 0;
        }
        if self.in_flight == 0 && self.buffer.is_empty() {
            // idle: wait for what the lane may start at once, whatever its siblings do
            return if shares.reserve == 0 { room.max(1) } else { shares.reserve };
        }
        let useful = room + self.ahead(shares);
        let wish = useful.saturating_sub(self.buffer.len());
        let wish = if self.dry && shares.reserve > 0 { wish.min(shares.reserve) } else { wish };
        // small wishes are not worth a transaction while there is something to send
        if self.buffer.is_empty() || wish * 2 >= useful { wish } else { 0 }
    }
}

fn size(envelope: &Envelope) -> usize {
    envelope.content.as_ref().map_or(0, |content| content.payload.len())
}

/// Delivers one message and reports how it went, also when it is cut off or its task dies.
pub(super) async fn one_try(
    target: Arc<Target>,
    envelope: Envelope,
    report: mpsc::UnboundedSender<Done>,
    cut_off: CancellationToken,
) {
    let mut flight = Flight { start: Instant::now(), report, cargo: Some((target, envelope)), reply: None };
    if let Some((target, envelope)) = &flight.cargo {
        flight.reply = cut_off.run_until_cancelled(target.deliver(envelope)).await;
    }
}

/// Reports when dropped.
struct Flight {
    start: Instant,
    report: mpsc::UnboundedSender<Done>,
    cargo: Option<(Arc<Target>, Envelope)>,
    reply: Option<Reply>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        let Some((target, mut envelope)) = self.cargo.take() else { return };
        envelope.content = None;
        // the route's task outlives its tries; without it there is nobody to tell
        let _ = self.report.send(Done { envelope, target, reply: self.reply.take(), took: self.start.elapsed() });
    }
}
