//! Operations as data, and random sequences of them.
//!
//! Messages and leases are named by number in order of their making, so that the same sequence plays on any store.

use hookaido_model::State;

use crate::dice::Dice;

/// One operation. Numbers of messages and leases are taken modulo their count and one more, which stands for an unknown one.
#[derive(Clone, Debug)]
pub enum Op {
    /// [`crate::Store::enqueue`].
    Enqueue {
        /// New messages.
        messages: Vec<OpMessage>,
        /// Depth limit.
        max_depth: Option<u64>,
        /// Whether the oldest make room.
        drop_oldest: bool,
    },
    /// [`crate::Store::lease`].
    Lease {
        /// Number of the lane.
        lane: usize,
        /// Most messages.
        max: u32,
        /// Most bytes.
        max_bytes: u64,
        /// Length of the lease in milliseconds.
        ttl: u64,
    },
    /// [`crate::Store::settle`].
    Settle {
        /// Leases and what becomes of them.
        settles: Vec<OpSettle>,
        /// Messages with an attempt to record.
        attempts: Vec<usize>,
        /// Keep acknowledged messages.
        keep_delivered: bool,
    },
    /// [`crate::Store::extend`].
    Extend {
        /// Leases.
        leases: Vec<usize>,
        /// Number of the only lane.
        scope: Option<usize>,
        /// Added, in milliseconds.
        by: u64,
        /// Never later than so many milliseconds from now.
        latest: Option<u64>,
    },
    /// [`crate::Store::reclaim`] of at most so many.
    Reclaim(u32),
    /// New rules for the lanes, in order.
    Rules([OpRule; 3]),
    /// [`crate::Store::transition`].
    Transition {
        /// Messages.
        ids: Vec<usize>,
        /// What happens.
        step: OpStep,
        /// Only in these states.
        only: Vec<State>,
    },
    /// [`crate::Store::list`].
    List {
        /// Only these messages.
        ids: Option<Vec<usize>>,
        /// Number of the lane whose route it is.
        route: Option<usize>,
        /// Number of the lane whose target it is.
        target: Option<usize>,
        /// Any of these.
        states: Vec<State>,
        /// Received more than so many milliseconds ago.
        before: Option<u64>,
        /// The oldest first.
        oldest_first: bool,
        /// Most messages.
        limit: u32,
    },
    /// [`crate::Store::attempts`].
    Attempts {
        /// Of this message.
        of: Option<usize>,
        /// Number of the lane whose route it is.
        route: Option<usize>,
        /// Number of an outcome.
        outcome: Option<usize>,
        /// Most attempts.
        limit: u32,
    },
    /// [`crate::Store::stats`].
    Stats,
    /// [`crate::Store::prune`]; for queued, delivered, dead, attempts: oldest age in milliseconds, most rows.
    Prune {
        /// Retentions.
        keep: [(Option<u64>, Option<u64>); 4],
        /// Most rows of a kind.
        max_rows: u32,
    },
    /// Time goes on by so many milliseconds.
    Advance(u64),
    /// [`crate::Store::maintain`].
    Maintain,
    /// Closes and opens a durable store.
    Reopen,
}

/// A new message.
#[derive(Clone, Debug)]
pub struct OpMessage {
    /// Numbers of its lanes.
    pub lanes: Vec<usize>,
    /// Number of an id that the publisher chose.
    pub id: Option<u64>,
    /// Bytes of its body.
    pub size: usize,
    /// Received so many milliseconds ago.
    pub age: u64,
    /// Ready in so many milliseconds.
    pub delay: u64,
}

/// A lease to end.
#[derive(Clone, Debug)]
pub struct OpSettle {
    /// Number of the lease.
    pub lease: usize,
    /// Number of the only lane.
    pub scope: Option<usize>,
    /// What becomes of the message.
    pub how: OpSettlement,
}

/// What becomes of a leased message.
#[derive(Clone, Copy, Debug)]
pub enum OpSettlement {
    /// Done.
    Ack,
    /// Ready again in so many milliseconds, or when the lane's rule says; with a reason or not.
    Nack(Option<u64>, bool),
    /// As if never leased.
    Release,
    /// Dead; with a reason or not.
    Bury(bool),
}

/// What becomes of messages whose lease ends without an ack.
#[derive(Clone, Copy, Debug)]
pub struct OpRule {
    /// Most receives.
    pub max_receives: Option<u32>,
    /// Base and cap of the delay in milliseconds.
    pub backoff: Option<(u64, u64)>,
}

/// What an operator does.
#[derive(Clone, Copy, Debug)]
pub enum OpStep {
    /// Takes out.
    Cancel,
    /// Puts back.
    Requeue,
    /// Puts back what was taken out.
    Resume,
    /// Removes.
    Delete,
}

/// Lanes that sequences use: two routes, one with two targets.
pub const LANES: [(&str, &str); 3] = [("/a", "pull"), ("/b", "http://one"), ("/b", "http://two")];

/// A sequence of `count` operations, always the same for a seed.
#[must_use]
pub fn random_ops(seed: u64, count: usize) -> Vec<Op> {
    let mut dice = Dice::new(seed);
    (0..count).map(|_| dice.op()).collect()
}

impl Dice {
    fn lane(&mut self) -> usize {
        self.index(3)
    }

    fn states(&mut self) -> Vec<State> {
        let most = if self.chance(50) { 0 } else { 2 };
        self.several(most, |dice| State::ALL[dice.index(5)])
    }

    fn op(&mut self) -> Op {
        match self.below(100) {
            0..24 => self.enqueue(),
            24..42 => Op::Lease {
                lane: self.lane(),
                max: 1 + self.small(4),
                max_bytes: if self.chance(70) { 1 << 20 } else { self.below(300) },
                ttl: 1 + self.below(400),
            },
            42..60 => self.settle(),
            60..65 => Op::Extend {
                leases: self.several(3, Self::pick),
                scope: self.maybe(30, Self::lane),
                by: self.below(500),
                latest: self.maybe(50, |dice| dice.below(600)),
            },
            65..69 => Op::Reclaim(1 + self.small(4)),
            69..71 => Op::Rules([(); 3].map(|()| self.rule())),
            71..77 => self.transition(),
            77..84 => self.list(),
            84..87 => Op::Attempts {
                of: self.maybe(40, Self::pick),
                route: self.maybe(40, Self::lane),
                outcome: self.maybe(40, |dice| dice.index(3)),
                limit: self.small(6),
            },
            87..89 => Op::Stats,
            89..92 => self.prune(),
            92..97 => Op::Advance(self.below(300)),
            97..98 => Op::Maintain,
            _ => Op::Reopen,
        }
    }

    fn enqueue(&mut self) -> Op {
        let messages = (0..=self.below(3)).map(|_| self.message()).collect();
        Op::Enqueue { messages, max_depth: self.maybe(30, |dice| 1 + dice.below(12)), drop_oldest: self.chance(50) }
    }

    fn message(&mut self) -> OpMessage {
        let lanes = if self.chance(80) { vec![self.lane()] } else { vec![1, 2] };
        OpMessage {
            lanes,
            id: self.maybe(25, |dice| dice.below(12)),
            size: self.index(120),
            age: if self.chance(70) { 0 } else { self.below(500) },
            delay: if self.chance(60) { 0 } else { self.below(400) },
        }
    }

    fn settle(&mut self) -> Op {
        let settles = self.several(3, |dice| OpSettle {
            lease: dice.pick(),
            scope: dice.maybe(40, Self::lane),
            how: match dice.below(8) {
                0..3 => OpSettlement::Ack,
                3..5 => OpSettlement::Nack(dice.maybe(50, |dice| dice.below(300)), dice.chance(50)),
                5 => OpSettlement::Release,
                _ => OpSettlement::Bury(dice.chance(60)),
            },
        });
        Op::Settle { settles, attempts: self.several(2, Self::pick), keep_delivered: self.chance(40) }
    }

    fn transition(&mut self) -> Op {
        let step = match self.below(4) {
            0 => OpStep::Cancel,
            1 => OpStep::Requeue,
            2 => OpStep::Resume,
            _ => OpStep::Delete,
        };
        Op::Transition { ids: self.several(4, Self::pick), step, only: self.states() }
    }

    fn list(&mut self) -> Op {
        Op::List {
            ids: self.maybe(25, |dice| dice.several(5, Self::pick)),
            route: self.maybe(30, Self::lane),
            target: self.maybe(20, Self::lane),
            states: self.states(),
            before: self.maybe(30, |dice| dice.below(600)),
            oldest_first: self.chance(50),
            limit: self.small(12),
        }
    }

    fn rule(&mut self) -> OpRule {
        OpRule {
            max_receives: self.maybe(60, |dice| 1 + dice.small(4)),
            backoff: self.maybe(50, |dice| (1 + dice.below(80), 80 + dice.below(200))),
        }
    }

    fn prune(&mut self) -> Op {
        let mut keep = [(None, None); 4];
        for bounds in &mut keep {
            *bounds = (self.maybe(50, |dice| dice.below(800)), self.maybe(40, |dice| dice.below(6)));
        }
        // queued messages are never pruned by number
        keep[0].1 = None;
        Op::Prune { keep, max_rows: 1 + self.small(5) }
    }
}
