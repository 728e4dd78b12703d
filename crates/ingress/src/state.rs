//! What outlives a reload: balances of rate limits, used nonces.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use hookaido_auth::NonceStore;
use hookaido_http::ByteBudget;
use hookaido_model::config::RateLimit;
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use crate::limit::{ClientBudget, ClientLimiter, Limiter};
use crate::pressure::Gauge;

/// Shared by all tables of a process.
#[derive(Debug)]
pub struct State {
    pub(crate) nonces: Arc<NonceStore>,
    /// Bodies that are being read, over all connections.
    pub(crate) bodies: ByteBudget,
    /// How far the queue is behind.
    pub(crate) pressure: Gauge,
    /// Runs what must finish although the sender is gone.
    pub(crate) tasks: TaskTracker,
    /// Limiters that a table holds, so that a new table with the same settings takes over the balance.
    limiters: Mutex<HashMap<LimiterKey, Weak<Limiter>>>,
    /// The same for limits of each client.
    client_limiters: Mutex<HashMap<LimiterKey, Weak<ClientLimiter>>>,
    /// Clients that they remember.
    clients: ClientBudget,
}

/// A limit with its settings: other settings are another bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LimiterKey {
    /// Path of the route; `None` for the limit over all routes.
    route: Option<Arc<str>>,
    rps: u64,
    burst: u32,
}

impl State {
    /// A state without memories. `tasks` is the tracker that the process drains before it closes the queue.
    #[must_use]
    pub fn new(bodies: ByteBudget, tasks: TaskTracker) -> Arc<Self> {
        Self::with_nonces(bodies, tasks, NonceStore::new())
    }

    /// A state that remembers used nonces from an earlier run.
    #[must_use]
    pub fn with_nonces(bodies: ByteBudget, tasks: TaskTracker, nonces: Arc<NonceStore>) -> Arc<Self> {
        Arc::new(Self {
            nonces,
            bodies,
            tasks,
            pressure: Gauge::default(),
            limiters: Mutex::default(),
            client_limiters: Mutex::default(),
            clients: ClientBudget::default(),
        })
    }

    /// How many clients are remembered because their rate is limited.
    #[must_use]
    pub fn limited_clients(&self) -> u64 {
        self.clients.clients() as u64
    }

    /// Forgets clients whose balance is full again. Called every few seconds.
    pub fn trim_clients(&self) {
        let limiters: Vec<_> = self.client_limiters.lock().values().filter_map(Weak::upgrade).collect();
        for limiter in limiters {
            limiter.trim();
        }
    }

    /// The limiter of a route, or of all (`None`), with its present balance if any table uses the same settings there.
    pub(crate) fn limiter(&self, route: Option<&Arc<str>>, limit: RateLimit) -> Arc<Limiter> {
        kept(&self.limiters, route, limit, || Limiter::new(limit))
    }

    /// The same for a limit of each client.
    pub(crate) fn client_limiter(&self, route: Option<&Arc<str>>, limit: RateLimit) -> Arc<ClientLimiter> {
        kept(&self.client_limiters, route, limit, || ClientLimiter::new(limit, &self.clients))
    }
}

/// What is there with the same settings, or else a new one.
fn kept<L>(
    limiters: &Mutex<HashMap<LimiterKey, Weak<L>>>,
    route: Option<&Arc<str>>,
    limit: RateLimit,
    new: impl FnOnce() -> L,
) -> Arc<L> {
    let key = LimiterKey { route: route.cloned(), rps: limit.rps.to_bits(), burst: limit.burst };
    let mut limiters = limiters.lock();
    if let Some(limiter) = limiters.get(&key).and_then(Weak::upgrade) {
        return limiter;
    }
    limiters.retain(|_, limiter| limiter.strong_count() > 0);
    let limiter = Arc::new(new());
    limiters.insert(key, Arc::downgrade(&limiter));
    limiter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unchanged_settings_keep_their_balance_and_changed_ones_start_full() {
        let state = State::new(ByteBudget::new(1 << 20), TaskTracker::new());
        let limit = RateLimit { rps: 0.001, burst: 1 };
        let (a, b): (Arc<str>, Arc<str>) = ("/a".into(), "/b".into());
        let first = state.limiter(Some(&a), limit);
        assert!(first.take().is_ok());
        assert!(state.limiter(Some(&a), limit).take().is_err());
        assert!(state.limiter(Some(&b), limit).take().is_ok());
        assert!(state.limiter(None, limit).take().is_ok());
        assert!(state.limiter(Some(&a), RateLimit { burst: 2, ..limit }).take().is_ok());
        drop(first);
        state.limiter(Some(&b), RateLimit { burst: 3, ..limit });
        assert!(state.limiters.lock().len() <= 2);
    }
}
