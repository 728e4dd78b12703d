//! The oracle: what must be true after each step, written without a look at any store.
//!
//! A list of messages in order of receipt, searched from end to end. Where nobody can know what happened (the process died, or nobody
//! waited for the answer), the world asks two of these, with and without the step; an id or a lease that nobody was told is unknown
//! until it is seen.

use std::collections::HashMap;

use hookaido_model::{EnvelopeId, LaneId, LeaseId, State};

use super::steps::{How, Operation, Settings};

/// Milliseconds for which a settlement may be repeated.
const REPEATS: i64 = 600_000;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// In order of receipt, from 0; never used again.
    pub(super) number: usize,
    pub(super) id: Option<EnvelopeId>,
    pub(super) lane: usize,
    pub(super) state: State,
    pub(super) received_at: i64,
    pub(super) ready_at: i64,
    pub(super) attempt: u32,
    pub(super) lease: Option<Held>,
    pub(super) dead_reason: Option<String>,
    /// What the last nack said.
    said: Option<String>,
    ended_at: i64,
}

/// A lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// `None`: nobody was told.
    pub(super) id: Option<LeaseId>,
    pub(super) until: i64,
}

/// Why a lease could not be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    NotFound,
    Expired,
    Foreign,
}

/// All that should be.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) now: i64,
    pub(super) settings: Settings,
    pub(super) messages: Vec<Message>,
    /// Messages ever accepted.
    pub(super) accepted: usize,
    repeats: HashMap<LeaseId, (usize, bool, i64)>,
}

impl Model {
    fn count(&self, state: State) -> u64 {
        self.messages.iter().filter(|message| message.state == state).count() as u64
    }

    /// Messages that count towards the limit.
    pub(super) fn depth(&self) -> u64 {
        self.count(State::Queued) + self.count(State::Leased)
    }

    /// Counts of a lane by state.
    pub(super) fn counts(&self, lane: usize) -> [u64; 5] {
        State::ALL.map(|state| {
            self.messages.iter().filter(|message| message.lane == lane && message.state == state).count() as u64
        })
    }

    /// The message of an id, among those that are still there.
    pub(super) fn by_id(&self, id: &EnvelopeId) -> Option<&Message> {
        self.messages.iter().find(|message| message.id.as_ref() == Some(id))
    }

    pub(super) fn by_number(&mut self, number: usize) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.number == number)
    }

    /// Numbers of the new messages and how many made room, or `None` where the queue is full.
    pub(super) fn publish(&mut self, lanes: &[usize], count: usize, delay: i64) -> Option<(Vec<usize>, u64)> {
        let incoming = (lanes.len() * count) as u64;
        let mut dropped = 0;
        if let Some(most) = self.settings.max_depth {
            let excess = (self.depth() + incoming).saturating_sub(most);
            let may_drop = self.settings.drop_oldest && incoming <= most && excess <= self.count(State::Queued);
            if excess > 0 && !may_drop {
                return None;
            }
            while dropped < excess {
                let oldest = self.messages.iter().position(|message| message.state == State::Queued)?;
                self.messages.remove(oldest);
                dropped += 1;
            }
        }
        let mut numbers = Vec::new();
        for lane in std::iter::repeat_n(lanes, count).flatten() {
            numbers.push(self.accepted);
            self.messages.push(Message {
                number: self.accepted,
                id: None,
                lane: *lane,
                state: State::Queued,
                received_at: self.now,
                ready_at: self.now + delay,
                attempt: 0,
                lease: None,
                dead_reason: None,
                said: None,
                ended_at: 0,
            });
            self.accepted += 1;
        }
        Some((numbers, dropped))
    }

    /// Numbers of the messages leased, in order.
    pub(super) fn dequeue(&mut self, lane: usize, max: u32, ttl: i64) -> Vec<usize> {
        let now = self.now;
        let mut ready: Vec<&mut Message> = self
            .messages
            .iter_mut()
            .filter(|message| message.lane == lane && message.state == State::Queued && message.ready_at <= now)
            .collect();
        ready.sort_by_key(|message| (message.ready_at, message.number));
        ready.truncate(max as usize);
        for message in &mut ready {
            message.state = State::Leased;
            message.attempt += 1;
            message.lease = Some(Held { id: None, until: now + ttl });
        }
        ready.iter().map(|message| message.number).collect()
    }

    fn held(&mut self, lease: LeaseId, scope: Option<usize>) -> Result<&mut Message, Lost> {
        let now = self.now;
        let is_it = |message: &&mut Message| message.lease.is_some_and(|held| held.id == Some(lease));
        let message = self.messages.iter_mut().find(is_it).ok_or(Lost::NotFound)?;
        if scope.is_some_and(|scope| scope != message.lane) {
            return Err(Lost::Foreign);
        }
        if message.lease.is_some_and(|held| held.until <= now) {
            return Err(Lost::Expired);
        }
        Ok(message)
    }

    /// The lane of the lease, and whether its message is dead now.
    pub(super) fn finish(&mut self, lease: LeaseId, scope: Option<usize>, how: How) -> Result<(usize, bool), Lost> {
        let (now, settings) = (self.now, self.settings);
        let is_ack = matches!(how, How::Ack);
        self.repeats.retain(|_, (_, _, at)| *at > now - REPEATS);
        let message = match self.held(lease, scope) {
            Ok(message) => message,
            Err(Lost::NotFound) => {
                let known = self.repeats.get(&lease).filter(|(lane, was_ack, _)| {
                    *was_ack == is_ack && scope.is_none_or(|scope| scope == *lane) && !matches!(how, How::Release)
                });
                return known.map(|(lane, _, _)| (*lane, false)).ok_or(Lost::NotFound);
            }
            Err(lost) => return Err(lost),
        };
        let (lane, number) = (message.lane, message.number);
        let words = |says: Option<u64>| says.map(|n| format!("word {n}"));
        let mut gone = false;
        match how {
            How::Ack if settings.delivered.is_none() => gone = true,
            How::Ack => message.end(State::Delivered, None, now),
            How::Bury { says } => message.end(State::Dead, words(says), now),
            How::Nack { delay, says } => {
                message.said = words(says).or(message.said.take());
                message.come_back(delay.map(|delay| now + as_millis(delay)), settings, now);
            }
            How::Release => {
                message.state = State::Queued;
                message.lease = None;
                message.attempt -= 1;
            }
        }
        let died = message.state == State::Dead;
        if gone {
            self.messages.retain(|message| message.number != number);
        }
        if !matches!(how, How::Release) {
            self.repeats.insert(lease, (lane, is_ack, now));
        }
        Ok((lane, died))
    }

    /// The new end.
    pub(super) fn extend(
        &mut self,
        lease: LeaseId,
        scope: Option<usize>,
        by: u64,
        capped: Option<u64>,
    ) -> Result<i64, Lost> {
        let latest = capped.map(|capped| self.now + as_millis(capped));
        let message = self.held(lease, scope)?;
        let Some(held) = &mut message.lease else { return Err(Lost::NotFound) };
        let wanted = held.until + as_millis(by);
        held.until = held.until.max(latest.map_or(wanted, |latest| latest.min(wanted)));
        Ok(held.until)
    }

    /// For each lane how many leases ran out and how many messages died, and when the next lease ends.
    pub(super) fn reclaim(&mut self, max: u32) -> (Vec<(usize, u64, u64)>, Option<i64>) {
        let (now, settings) = (self.now, self.settings);
        let until = |message: &Message| message.lease.map_or(i64::MAX, |held| held.until);
        let mut ended: Vec<&mut Message> = self.messages.iter_mut().filter(|message| until(message) <= now).collect();
        ended.sort_by_key(|message| (until(message), message.number));
        let mut lanes: Vec<(usize, u64, u64)> = Vec::new();
        for message in ended.into_iter().take(max as usize) {
            message.come_back(None, settings, now);
            let died = u64::from(message.state == State::Dead);
            match lanes.iter_mut().find(|(lane, _, _)| *lane == message.lane) {
                Some((_, expired, dead)) => (*expired, *dead) = (*expired + 1, *dead + died),
                None => lanes.push((message.lane, 1, died)),
            }
        }
        lanes.sort_unstable();
        (lanes, self.messages.iter().filter_map(|message| message.lease).map(|held| held.until).min())
    }

    /// How many queued, delivered and dead messages were removed.
    pub(super) fn prune(&mut self, most: u32) -> [u64; 3] {
        let Settings { queued, delivered, dead, .. } = self.settings;
        [
            self.prune_state(State::Queued, queued.map(|age| (age, u64::MAX)), most),
            self.prune_state(State::Delivered, delivered, most),
            self.prune_state(State::Dead, dead, most),
        ]
    }

    fn prune_state(&mut self, state: State, keep: Option<(u64, u64)>, most: u32) -> u64 {
        let Some((age, rows)) = keep else { return 0 };
        let since = |message: &Message| if state == State::Queued { message.received_at } else { message.ended_at };
        let too_old = self.now - as_millis(age);
        let mut inside: Vec<(i64, usize)> = self
            .messages
            .iter()
            .filter(|message| message.state == state)
            .map(|message| (since(message), message.number))
            .collect();
        inside.sort_unstable();
        let old = inside.iter().filter(|(at, _)| *at < too_old).count().min(most as usize);
        let surplus = usize::try_from(rows).map_or(0, |rows| (inside.len() - old).saturating_sub(rows));
        let gone = old + surplus.min(most as usize - old);
        let gone: Vec<usize> = inside.into_iter().take(gone).map(|(_, number)| number).collect();
        self.messages.retain(|message| !gone.contains(&message.number));
        gone.len() as u64
    }

    /// Whether the message was changed.
    pub(super) fn operate(&mut self, number: usize, what: Operation) -> bool {
        let now = self.now;
        let Some(message) = self.by_number(number) else { return false };
        match (what, message.state) {
            (Operation::Delete, _) => {
                self.messages.retain(|message| message.number != number);
            }
            (Operation::Cancel, State::Queued | State::Leased | State::Dead) => {
                message.end(State::Canceled, None, now);
            }
            (Operation::Requeue, State::Dead | State::Canceled) | (Operation::Resume, State::Canceled) => {
                message.state = State::Queued;
                (message.ready_at, message.attempt) = (now, 0);
                (message.said, message.dead_reason) = (None, None);
            }
            _ => return false,
        }
        true
    }

    /// The process ended, and with it what it remembered.
    pub(super) fn restarted(&mut self) {
        self.repeats.clear();
    }
}

impl Message {
    fn end(&mut self, state: State, reason: Option<String>, now: i64) {
        self.state = state;
        self.lease = None;
        self.said = None;
        self.dead_reason = reason;
        self.ended_at = now;
    }

    /// A lease ended without an ack.
    fn come_back(&mut self, wish: Option<i64>, settings: Settings, now: i64) {
        let rule = settings.rules.get(self.lane).copied().unwrap_or_default();
        if rule.max_receives.is_some_and(|most| self.attempt >= most) {
            let said = self.said.take().map_or(String::new(), |said| format!(": {said}"));
            return self.end(State::Dead, Some(format!("max_receives{said}")), now);
        }
        let mut delay = 0;
        if let Some((base, cap)) = rule.backoff {
            delay = base;
            for _ in 1..self.attempt {
                delay = (delay * 2).min(cap);
            }
        }
        self.state = State::Queued;
        self.lease = None;
        self.ready_at = wish.unwrap_or(now + as_millis(delay));
    }
}

pub(super) fn as_millis(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

/// The number of a lane.
pub(super) fn lane_number(lanes: &[std::sync::Arc<hookaido_model::Lane>], id: LaneId) -> Option<usize> {
    lanes.iter().position(|lane| lane.id == id)
}
