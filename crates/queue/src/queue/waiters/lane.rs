//! The waiters of one lane: plain state behind a lock that nobody holds for long. Knows nothing of the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookaido_model::UnixMillis;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Waiters of a lane.
#[derive(Debug, Default)]
pub(in crate::queue) struct LaneWaiters(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    tickets: u64,
    /// By ticket: who came first is served first.
    sleepers: BTreeMap<u64, Sleeper>,
    /// Woken waiters that have not called the store yet, and how many messages they would take.
    woken: u32,
    woken_max: u64,
    /// Something was announced since the last call began.
    unseen: bool,
    /// Messages that publishers brought and no call went out for. A hint: an announcement stands for at least one.
    expected: u64,
    /// When the next delayed message is ready.
    due: Option<UnixMillis>,
}

#[derive(Debug)]
struct Sleeper {
    max: u32,
    bell: Arc<Notify>,
}

/// What somebody who has come does first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::queue) enum Arrival {
    /// Calls the store.
    Call(Called),
    /// Waits behind those who were there before.
    Sleep,
}

/// A call of the store that began when so many messages were expected beside its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::queue) struct Called {
    expected: u64,
}

/// What a sleeper does that looks around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::queue) enum Check {
    /// It is its turn.
    Call(Called),
    /// It sleeps on, at most until then.
    Sleep(Option<UnixMillis>),
    /// Its time is over.
    TooLate,
}

impl LaneWaiters {
    /// Somebody comes who would take `max` messages. Gives a ticket and says what to do; who cannot wait always calls.
    pub(in crate::queue) fn arrive(&self, max: u32, now: UnixMillis, may_wait: bool) -> (u64, Arrival) {
        let mut state = self.0.lock();
        let ticket = state.tickets;
        state.tickets = ticket.wrapping_add(1);
        let others_first = !state.sleepers.is_empty() || state.woken > 0;
        let arrival = if may_wait && others_first { Arrival::Sleep } else { Arrival::Call(state.begin(max, now)) };
        (ticket, arrival)
    }

    /// Joins the sleepers at the place of the ticket. Rings at once when there is something that nobody is on the way to take.
    pub(in crate::queue) fn sleep(&self, ticket: u64, max: u32, bell: &Arc<Notify>) {
        let mut state = self.0.lock();
        state.sleepers.insert(ticket, Sleeper { max, bell: Arc::clone(bell) });
        state.wake_enough();
    }

    /// Looks whether it is the turn of the sleeper.
    pub(in crate::queue) fn check(&self, ticket: u64, max: u32, now: UnixMillis, too_late: bool) -> Check {
        let mut state = self.0.lock();
        if !state.sleepers.contains_key(&ticket) {
            state.no_longer_woken(max);
            return Check::Call(state.begin(max, now));
        }
        let first = state.sleepers.first_key_value().is_some_and(|(first, _)| *first == ticket);
        if first && state.due.is_some_and(|due| due <= now) {
            state.sleepers.remove(&ticket);
            return Check::Call(state.begin(max, now));
        }
        if too_late {
            state.remove(ticket);
            return Check::TooLate;
        }
        Check::Sleep(state.due.filter(|_| first))
    }

    /// A sleeper whose time was over calls once all the same.
    pub(in crate::queue) fn begin(&self, max: u32, now: UnixMillis) -> Called {
        self.0.lock().begin(max, now)
    }

    /// A call ended; `drained` when it got less than it wanted. What it left behind the store announced.
    pub(in crate::queue) fn end(&self, call: Called, drained: bool, next_ready_at: Option<UnixMillis>) {
        let mut state = self.0.lock();
        if let Some(at) = next_ready_at {
            state.due_at(at);
        }
        if drained {
            state.expected = state.expected.saturating_sub(call.expected);
        }
    }

    /// Publishers are about to bring so many messages.
    pub(in crate::queue) fn expect(&self, count: u64) {
        let mut state = self.0.lock();
        if !state.sleepers.is_empty() {
            state.expected = state.expected.saturating_add(count);
        }
    }

    /// A sleeper goes away. If it was woken already, the next one is woken in its stead.
    pub(in crate::queue) fn leave(&self, ticket: u64, max: u32) {
        let mut state = self.0.lock();
        if !state.remove(ticket) {
            state.no_longer_woken(max);
            state.wake_first();
        }
    }

    /// The store announced a message that is ready at `at`.
    pub(in crate::queue) fn ready(&self, at: UnixMillis, now: UnixMillis) {
        let mut state = self.0.lock();
        if at > now {
            state.due_at(at);
            return;
        }
        state.unseen = true;
        state.wake_enough();
    }

    /// Wakes one, as there may be something or the store failed.
    pub(in crate::queue) fn wake_one(&self) {
        self.0.lock().wake_first();
    }

    /// Lets every sleeper look around.
    pub(in crate::queue) fn ring_all(&self) {
        self.0.lock().sleepers.values().for_each(|sleeper| sleeper.bell.notify_one());
    }

    /// How many sleep.
    #[cfg(test)]
    pub(in crate::queue) fn sleeping(&self) -> usize {
        self.0.lock().sleepers.len()
    }
}

impl State {
    fn begin(&mut self, max: u32, now: UnixMillis) -> Called {
        self.unseen = false;
        self.expected = self.expected.saturating_sub(u64::from(max));
        self.due = self.due.filter(|due| *due > now);
        Called { expected: self.expected }
    }

    /// Wakes as many as it takes for what was announced, counting those who are awake but have not called yet.
    fn wake_enough(&mut self) {
        while self.unseen && self.woken_max < self.expected.max(1) && !self.sleepers.is_empty() {
            self.wake_first();
        }
    }

    fn no_longer_woken(&mut self, max: u32) {
        self.woken = self.woken.saturating_sub(1);
        self.woken_max = self.woken_max.saturating_sub(u64::from(max));
    }

    fn wake_first(&mut self) {
        let Some((_, sleeper)) = self.sleepers.pop_first() else { return };
        self.woken = self.woken.saturating_add(1);
        self.woken_max = self.woken_max.saturating_add(u64::from(sleeper.max));
        sleeper.bell.notify_one();
        self.hand_over_the_clock();
    }

    /// Whether it slept still.
    fn remove(&mut self, ticket: u64) -> bool {
        let first = self.sleepers.first_key_value().is_some_and(|(first, _)| *first == ticket);
        let slept = self.sleepers.remove(&ticket).is_some();
        if first {
            self.hand_over_the_clock();
        }
        slept
    }

    fn due_at(&mut self, at: UnixMillis) {
        if self.due.is_none_or(|due| at < due) {
            self.due = Some(at);
            self.hand_over_the_clock();
        }
    }

    /// Lets the first sleeper look at [`Self::due`].
    fn hand_over_the_clock(&self) {
        if self.due.is_some()
            && let Some((_, sleeper)) = self.sleepers.first_key_value()
        {
            sleeper.bell.notify_one();
        }
    }
}
