//! Token buckets: one for all, or one for each client.

mod clients;

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use hookaido_model::config::RateLimit;

pub(crate) use self::clients::{ClientBudget, ClientLimiter};

/// Longest time in which a bucket may fill, 100 years: larger products of period and burst would overflow the counter of nanoseconds.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The balance of one limit. Starts full.
#[derive(Debug)]
pub(crate) struct Limiter<C: Clock = MonotonicClock> {
    bucket: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
}

impl Limiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self::with_clock(limit, MonotonicClock)
    }
}

impl<C: Clock> Limiter<C> {
    fn with_clock(limit: RateLimit, clock: C) -> Self {
        Self { bucket: RateLimiter::direct_with_clock(quota(limit), clock) }
    }

    /// Takes a token, or tells how long it takes until there is one.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        self.bucket.check().map_err(|until| wait(until.earliest_possible(), self.bucket.clock().now()))
    }
}

fn quota(limit: RateLimit) -> Quota {
    let burst = NonZeroU32::new(limit.burst).unwrap_or(NonZeroU32::MIN);
    let longest = LONGEST / burst.get();
    let period = Duration::try_from_secs_f64(1.0 / limit.rps).unwrap_or(longest);
    let period = period.clamp(Duration::from_nanos(1), longest);
    Quota::with_period(period).unwrap_or(Quota::per_second(burst)).allow_burst(burst)
}

fn wait<I: Reference>(earliest: I, now: I) -> Duration {
    earliest.duration_since(earliest.min(now)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn limiter(rps: f64, burst: u32) -> (Limiter<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Limiter::with_clock(RateLimit { rps, burst }, clock.clone()), clock)
    }

    #[test]
    fn a_full_bucket_gives_its_burst_and_refills_at_the_rate() {
        let (limiter, clock) = limiter(4.0, 2);
        assert!(limiter.take().is_ok() && limiter.take().is_ok());
        assert_eq!(limiter.take(), Err(Duration::from_millis(250)));
        clock.advance(Duration::from_millis(249));
        assert_eq!(limiter.take(), Err(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert!(limiter.take().is_ok() && limiter.take().is_err());
        clock.advance(Duration::from_secs(60));
        assert!(limiter.take().is_ok() && limiter.take().is_ok() && limiter.take().is_err());
    }

    #[test]
    fn extreme_rates_neither_overflow_nor_open_the_gate() {
        for rps in [1e-300, 1e-9, f64::MIN_POSITIVE] {
            let (slow, clock) = limiter(rps, u32::MAX);
            assert!(slow.take().is_ok());
            clock.advance(Duration::from_secs(1));
            let (one, _) = limiter(rps, 1);
            assert!(one.take().is_ok() && one.take().is_err());
        }
        let (fast, clock) = limiter(1e12, 1);
        assert!(fast.take().is_ok());
        clock.advance(Duration::from_nanos(1));
        assert!(fast.take().is_ok());
    }
}
