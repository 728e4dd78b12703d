//! A token bucket for each client address, in bounded memory.
//!
//! Clients are told apart by their IPv4 address or the first 64 bits of their IPv6 address, which is what one customer gets. A shard that
//! is full forgets, of a few clients picked at random, the one whose bucket is fullest: a flood of addresses cannot free a throttled one.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::RateLimiter;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use hookaido_model::config::RateLimit;
use parking_lot::Mutex;

use super::{quota, wait};

/// Parts of a store with a lock of their own.
const SHARDS: usize = 16;
/// Most clients that one limit remembers.
const MOST_OF_LIMIT: usize = 65_536;
/// Most clients that all limits together remember; each costs about 60 bytes.
const MOST_OF_ALL: usize = 1 << 20;
/// Clients of which the one with the fullest bucket is forgotten.
const SAMPLE: usize = 8;

/// Counts the clients that all limits remember.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientBudget(Arc<AtomicUsize>);

impl ClientBudget {
    pub(crate) fn clients(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The balances of one limit for each client. All start full.
#[derive(Debug)]
pub(crate) struct ClientLimiter<C: Clock = MonotonicClock> {
    buckets: RateLimiter<u64, ClientStore, C, NoOpMiddleware<C::Instant>>,
}

impl ClientLimiter {
    pub(crate) fn new(limit: RateLimit, budget: &ClientBudget) -> Self {
        Self::with_clock(limit, ClientStore::new(MOST_OF_LIMIT, MOST_OF_ALL, budget), MonotonicClock)
    }
}

impl<C: Clock> ClientLimiter<C> {
    fn with_clock(limit: RateLimit, store: ClientStore, clock: C) -> Self {
        Self { buckets: RateLimiter::new(quota(limit), store, clock) }
    }

    /// Takes a token of a client, or tells how long it takes until there is one.
    pub(crate) fn take(&self, client: IpAddr) -> Result<(), Duration> {
        let checked = self.buckets.check_key(&key(client));
        checked.map_err(|until| wait(until.earliest_possible(), self.buckets.clock().now()))
    }

    /// Forgets clients whose buckets are full again.
    pub(crate) fn trim(&self) {
        self.buckets.retain_recent();
    }
}

/// What tells clients apart: the first half of their IPv6 address. IPv4 takes the place of prefixes that are no client's.
fn key(client: IpAddr) -> u64 {
    let prefix = |address: Ipv6Addr| {
        let [a, b, c, d, e, f, g, h, ..] = address.octets();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    };
    match client.to_canonical() {
        // 100::/8 is reserved (RFC 4291, 2.4).
        IpAddr::V4(address) => (0x0100 << 48) | (1 << 32) | u64::from(address.to_bits()),
        IpAddr::V6(address) => prefix(address),
    }
}

/// Theoretical arrival times by client.
#[derive(Debug)]
struct ClientStore {
    shards: [Mutex<Shard>; SHARDS],
    most_of_shard: usize,
    most_of_all: usize,
    all: ClientBudget,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    /// Place of a client in `times`.
    places: HashMap<u64, usize>,
    times: Vec<(u64, Nanos)>,
    random: u64,
}

impl ClientStore {
    fn new(most_of_limit: usize, most_of_all: usize, all: &ClientBudget) -> Self {
        let hasher = RandomState::new();
        let seeded = |at| Mutex::new(Shard { random: hasher.hash_one(at) | 1, ..Shard::default() });
        Self {
            shards: std::array::from_fn(seeded),
            most_of_shard: (most_of_limit / SHARDS).max(1),
            most_of_all,
            all: all.clone(),
            hasher,
        }
    }

    fn shard(&self, key: u64) -> Option<&Mutex<Shard>> {
        let at = self.hasher.hash_one(key) % SHARDS as u64;
        self.shards.get(usize::try_from(at).unwrap_or(0))
    }

    /// Makes room in a shard for one client more.
    fn make_room(&self, shard: &mut Shard) {
        while shard.times.len() >= self.most_of_shard
            || (self.all.clients() >= self.most_of_all && !shard.times.is_empty())
        {
            shard.forget_one();
            self.all.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Shard {
    /// Forgets the client with the earliest arrival time of a random few: its bucket is the fullest.
    fn forget_one(&mut self) {
        let count = self.times.len() as u64;
        let mut fullest: Option<(usize, Nanos)> = None;
        for _ in 0..SAMPLE {
            // xorshift64
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            let Ok(at) = usize::try_from(self.random % count.max(1)) else { continue };
            let Some((_, time)) = self.times.get(at) else { continue };
            if fullest.is_none_or(|(_, earliest)| *time < earliest) {
                fullest = Some((at, *time));
            }
        }
        if let Some((at, _)) = fullest {
            self.remove(at);
        }
    }

    fn remove(&mut self, at: usize) {
        let (key, _) = self.times.swap_remove(at);
        self.places.remove(&key);
        if let Some((moved, _)) = self.times.get(at) {
            self.places.insert(*moved, at);
        }
    }
}

impl StateStore for ClientStore {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let Some(shard) = self.shard(*key) else { return decide(None).map(|(outcome, _)| outcome) };
        let mut shard = shard.lock();
        let place = shard.places.get(key).copied();
        if let Some((_, time)) = place.and_then(|place| shard.times.get_mut(place)) {
            let (outcome, next) = decide(Some(*time))?;
            *time = next;
            return Ok(outcome);
        }
        let (outcome, next) = decide(None)?;
        self.make_room(&mut shard);
        let place = shard.times.len();
        shard.times.push((*key, next));
        shard.places.insert(*key, place);
        self.all.0.fetch_add(1, Ordering::Relaxed);
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<u64> for ClientStore {
    fn retain_recent(&self, drop_below: Nanos) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let before = shard.times.len();
            let mut at = 0;
            while let Some((_, time)) = shard.times.get(at) {
                if *time > drop_below { at += 1 } else { shard.remove(at) }
            }
            self.all.0.fetch_sub(before - shard.times.len(), Ordering::Relaxed);
            if shard.times.len() * 4 < shard.times.capacity() {
                let most = shard.times.len() * 2;
                shard.times.shrink_to(most);
                shard.places.shrink_to(most);
            }
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().times.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for ClientStore {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
