//! What happens in a simulation, as data: work, and the faults between.
//!
//! Messages, leases and lanes are picked by numbers taken modulo what there is, so that a history from which steps were left out still
//! plays.

use crate::dice::Dice;

/// Lanes that a simulation uses: two pulled routes, and one that is pushed to two targets.
pub(super) const LANES: [(&str, &str); 4] =
    [("/a", "pull"), ("/b", "pull"), ("/c", "http://one"), ("/c", "http://two")];

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A publisher brings messages.
    Publish {
        lanes: Vec<usize>,
        count: usize,
        size: usize,
        delay: u64,
        /// The publisher goes away before the answer.
        abandoned: bool,
    },
    /// A worker takes messages, and may never come back for them.
    Dequeue {
        lane: usize,
        max: u32,
        ttl: u64,
        /// The worker goes away before the answer.
        cancelled: bool,
    },
    /// A worker ends leases: in time, late, twice, or those of others.
    Finish {
        leases: Vec<usize>,
        scope: Scope,
        how: How,
        /// The worker goes away before the answer.
        abandoned: bool,
    },
    /// A worker needs longer.
    Extend { lease: usize, scope: Scope, by: u64, capped: Option<u64> },
    /// Time goes on.
    Wait(u64),
    /// The upkeep takes back what ran out, at most so many.
    Reclaim(u32),
    /// The upkeep removes what retention no longer keeps, at most so many of each kind.
    Prune(u32),
    /// An operator intervenes.
    Operate { message: usize, what: Operation },
    /// A reload changes limits, retention and rules.
    Reload(Settings),
    /// The store does its idle work.
    Maintain,
    /// An orderly stop and a new start.
    Restart,
    /// The process dies, perhaps in the middle of something.
    Crash {
        /// The disk as it is at that moment, rather than as the store leaves it when it is dropped.
        copied: bool,
        during: Option<Box<Step>>,
    },
    /// The disk fills up, or has room again.
    Disk { full: bool },
}

/// Which lane a request says that its leases belong to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope {
    Own,
    Any,
    Lane(usize),
}

/// How a lease is ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    Ack,
    Nack { delay: Option<u64>, says: Option<u64> },
    Release,
    Bury { says: Option<u64> },
}

/// What an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Cancel,
    Requeue,
    Resume,
    Delete,
}

/// What a configuration says about the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) max_depth: Option<u64>,
    pub(super) drop_oldest: bool,
    /// Oldest age in milliseconds and most rows; `None` keeps queued and dead messages for ever, and delivered ones not at all.
    pub(super) queued: Option<u64>,
    pub(super) delivered: Option<(u64, u64)>,
    pub(super) dead: Option<(u64, u64)>,
    /// By lane.
    pub(super) rules: [Rule; LANES.len()],
}

/// What becomes of messages that come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) max_receives: Option<u32>,
    /// First and largest delay in milliseconds.
    pub(super) backoff: Option<(u64, u64)>,
}

/// A history of `count` steps, always the same for a seed. Every other one may be a fault.
pub(super) fn history(seed: u64, count: usize) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    let mut steps = Vec::with_capacity(count);
    while steps.len() < count {
        steps.push(work(&mut dice));
        if dice.chance(45) {
            steps.push(fault(&mut dice));
        }
    }
    steps.truncate(count);
    steps
}

fn work(dice: &mut Dice) -> Step {
    match dice.below(100) {
        0..30 => publish(dice, false),
        30..58 => dequeue(dice, false),
        58..90 => finish(dice),
        90..95 => extend(dice),
        _ => operate(dice),
    }
}

fn fault(dice: &mut Dice) -> Step {
    match dice.below(100) {
        // lost workers are those who are overtaken by time, slow ones come afterwards
        0..28 => Step::Wait(match dice.below(20) {
            0 => 400_000,
            1..4 => dice.below(4_000),
            _ => dice.below(400),
        }),
        28..48 => Step::Reclaim(1 + dice.small(6)),
        48..54 => Step::Prune(1 + dice.small(6)),
        54..62 => dequeue(dice, true),
        62..66 => publish(dice, true),
        66..70 => Step::Finish { leases: leases(dice), scope: scope(dice), how: how(dice), abandoned: true },
        70..78 => Step::Reload(settings(dice)),
        78..81 => Step::Maintain,
        81..84 => Step::Restart,
        84..92 => Step::Crash { copied: dice.chance(60), during: during(dice) },
        92..95 => Step::Disk { full: true },
        _ => Step::Disk { full: false },
    }
}

fn during(dice: &mut Dice) -> Option<Box<Step>> {
    let step = match dice.below(5) {
        0 | 1 => publish(dice, true),
        2 => dequeue(dice, true),
        3 => Step::Finish { leases: leases(dice), scope: scope(dice), how: how(dice), abandoned: true },
        _ => return None,
    };
    Some(Box::new(step))
}

fn publish(dice: &mut Dice, abandoned: bool) -> Step {
    let largest = if dice.chance(10) { 6_000 } else { 60 };
    let most = if dice.chance(15) { 8 } else { 3 };
    Step::Publish {
        lanes: if dice.chance(80) { vec![lane(dice)] } else { vec![2, 3] },
        count: 1 + dice.index(most),
        size: dice.index(largest),
        delay: if dice.chance(70) { 0 } else { dice.below(400) },
        abandoned,
    }
}

fn dequeue(dice: &mut Dice, cancelled: bool) -> Step {
    Step::Dequeue { lane: lane(dice), max: 1 + dice.small(4), ttl: 1 + dice.below(300), cancelled }
}

fn finish(dice: &mut Dice) -> Step {
    Step::Finish { leases: leases(dice), scope: scope(dice), how: how(dice), abandoned: false }
}

fn extend(dice: &mut Dice) -> Step {
    let (lease, by) = (dice.pick(), dice.below(300));
    Step::Extend { lease, scope: scope(dice), by, capped: dice.maybe(50, |dice| dice.below(400)) }
}

fn operate(dice: &mut Dice) -> Step {
    use Operation::{Cancel, Delete, Requeue, Resume};
    let what = [Cancel, Requeue, Requeue, Resume, Delete].get(dice.index(5)).copied().unwrap_or(Cancel);
    Step::Operate { message: dice.pick(), what }
}

fn lane(dice: &mut Dice) -> usize {
    dice.index(LANES.len().try_into().unwrap_or(1))
}

fn leases(dice: &mut Dice) -> Vec<usize> {
    (0..=dice.below(3)).map(|_| dice.pick()).collect()
}

fn scope(dice: &mut Dice) -> Scope {
    match dice.below(10) {
        0 => Scope::Lane(lane(dice)),
        1..4 => Scope::Any,
        _ => Scope::Own,
    }
}

fn how(dice: &mut Dice) -> How {
    match dice.below(10) {
        0..5 => How::Ack,
        5..8 => How::Nack { delay: dice.maybe(40, |dice| dice.below(300)), says: dice.maybe(50, |dice| dice.below(9)) },
        8 => How::Release,
        _ => How::Bury { says: dice.maybe(60, |dice| dice.below(9)) },
    }
}

fn settings(dice: &mut Dice) -> Settings {
    let bounds = |dice: &mut Dice| (dice.below(900), dice.below(8));
    Settings {
        max_depth: dice.maybe(70, |dice| 1 + dice.below(14)),
        drop_oldest: dice.chance(50),
        queued: dice.maybe(20, |dice| 200 + dice.below(2_000)),
        delivered: dice.maybe(50, bounds),
        dead: dice.maybe(30, bounds),
        rules: [(); LANES.len()].map(|()| Rule {
            max_receives: dice.maybe(50, |dice| 1 + dice.small(4)),
            backoff: dice.maybe(40, |dice| (1 + dice.below(60), 60 + dice.below(200))),
        }),
    }
}

/// The same step, smaller: what a failing history is tried with before it is shown.
pub(super) fn smaller(step: &Step) -> Vec<Step> {
    match step {
        Step::Publish { lanes, count, size, delay, abandoned } => {
            let with = |lanes: &[usize], count, size, delay| Step::Publish {
                lanes: lanes.to_vec(),
                count,
                size,
                delay,
                abandoned: *abandoned,
            };
            vec![
                with(lanes.get(..1).unwrap_or_default(), 1, 0, 0),
                with(lanes, 1, *size, *delay),
                with(lanes, *count, 0, 0),
            ]
        }
        Step::Dequeue { lane, ttl, cancelled, max } if *max > 1 => {
            vec![Step::Dequeue { lane: *lane, ttl: *ttl, cancelled: *cancelled, max: 1 }]
        }
        Step::Finish { leases, scope, how, abandoned } if leases.len() > 1 => {
            let one =
                |lease: &usize| Step::Finish { leases: vec![*lease], scope: *scope, how: *how, abandoned: *abandoned };
            leases.iter().map(one).collect()
        }
        Step::Reload(settings) => {
            less(settings).into_iter().filter(|less| less != settings).map(Step::Reload).collect()
        }
        Step::Crash { copied, during: Some(_) } => vec![Step::Crash { copied: *copied, during: None }],
        _ => Vec::new(),
    }
}

/// Settings that say less.
fn less(settings: &Settings) -> Vec<Settings> {
    let mut all = vec![
        Settings { rules: settings.rules, ..Settings::default() },
        Settings { rules: Default::default(), ..*settings },
        Settings { max_depth: None, drop_oldest: false, ..*settings },
        Settings { queued: None, ..*settings },
        Settings { delivered: None, ..*settings },
        Settings { dead: None, ..*settings },
    ];
    for (lane, rule) in settings.rules.iter().enumerate() {
        for rule in [Rule { backoff: None, ..*rule }, Rule { max_receives: None, ..*rule }] {
            let mut less = *settings;
            if let Some(place) = less.rules.get_mut(lane) {
                *place = rule;
            }
            all.push(less);
        }
    }
    all
}
