//! Balances of clients, and the bounds of the store.

use governor::clock::FakeRelativeClock;
use proptest::prelude::*;

use super::*;

struct World {
    limiter: ClientLimiter<FakeRelativeClock>,
    clock: FakeRelativeClock,
    budget: ClientBudget,
}

fn world(limit: RateLimit, most_of_limit: usize, most_of_all: usize) -> World {
    let (clock, budget) = (FakeRelativeClock::default(), ClientBudget::default());
    let store = ClientStore::new(most_of_limit, most_of_all, &budget);
    World { limiter: ClientLimiter::with_clock(limit, store, clock.clone()), clock, budget }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn flood(at: u32) -> IpAddr {
    IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + at))
}

#[test]
fn each_client_has_its_own_bucket() {
    let World { limiter, clock, .. } = world(RateLimit { rps: 2.0, burst: 2 }, 1000, 1000);
    for client in ["198.51.100.7", "198.51.100.8", "2001:db8::1"] {
        assert!(limiter.take(ip(client)).is_ok() && limiter.take(ip(client)).is_ok());
        assert_eq!(limiter.take(ip(client)), Err(Duration::from_millis(500)));
    }
    clock.advance(Duration::from_millis(500));
    assert!(limiter.take(ip("198.51.100.7")).is_ok() && limiter.take(ip("198.51.100.7")).is_err());
}

#[test]
fn clients_are_addresses_of_ipv4_and_networks_of_ipv6() {
    let World { limiter, .. } = world(RateLimit { rps: 0.001, burst: 1 }, 1000, 1000);
    for (client, fresh) in [
        ("2001:db8:0:1::1", true),
        ("2001:db8:0:1:ffff::2", false),
        ("2001:db8:0:2::1", true),
        ("198.51.100.7", true),
        ("::ffff:198.51.100.7", false),
        ("::ffff:198.51.100.8", true),
        ("::1", true),
        ("0.0.0.1", true),
        ("0.0.0.0", true),
    ] {
        assert_eq!(limiter.take(ip(client)).is_ok(), fresh, "{client}");
    }
}

#[test]
fn a_flood_of_addresses_stays_within_its_bounds_and_frees_nobody() {
    let World { limiter, budget, clock } = world(RateLimit { rps: 1.0, burst: 5 }, 1600, 1 << 20);
    let throttled = ip("198.51.100.7");
    while limiter.take(throttled).is_ok() {}
    for at in 0..50_000 {
        assert!(limiter.take(flood(at)).is_ok());
        assert!(budget.clients() <= 1600, "{}", budget.clients());
    }
    assert!(limiter.take(throttled).is_err(), "it is still throttled");
    assert!(budget.clients() > 1500);
    clock.advance(Duration::from_secs(10));
    limiter.trim();
    assert_eq!(budget.clients(), 0, "full buckets are forgotten");
    assert!(limiter.take(throttled).is_ok());
    drop(limiter);
    assert_eq!(budget.clients(), 0);
}

#[test]
fn all_limits_together_have_a_bound() {
    let limit = RateLimit { rps: 1.0, burst: 5 };
    let budget = ClientBudget::default();
    let limiters: Vec<_> = (0..4)
        .map(|_| ClientLimiter::with_clock(limit, ClientStore::new(1600, 2000, &budget), FakeRelativeClock::default()))
        .collect();
    for at in 0..10_000 {
        for limiter in &limiters {
            assert!(limiter.take(flood(at)).is_ok());
        }
    }
    // A shard that is empty takes one, whatever the others hold.
    assert!(budget.clients() <= 2000 + 4 * SHARDS, "{}", budget.clients());
    drop(limiters);
    assert_eq!(budget.clients(), 0);
}

proptest! {
    /// Whatever is taken, forgotten and trimmed, places and times agree.
    #[test]
    fn places_are_those_of_their_clients(steps in proptest::collection::vec((0_u32..60, 0_u64..3), 1..200)) {
        let World { limiter, clock, budget } = world(RateLimit { rps: 1.0, burst: 2 }, 32, 1000);
        for (client, seconds) in steps {
            let _allowed = limiter.take(flood(client));
            clock.advance(Duration::from_secs(seconds));
            if seconds == 2 {
                limiter.trim();
            }
        }
        let store = limiter.buckets.into_state_store();
        for shard in &store.shards {
            let shard = shard.lock();
            prop_assert_eq!(shard.places.len(), shard.times.len());
            for (at, (key, _)) in shard.times.iter().enumerate() {
                prop_assert_eq!(shard.places.get(key), Some(&at));
            }
        }
        prop_assert_eq!(store.len(), budget.clients());
    }
}
