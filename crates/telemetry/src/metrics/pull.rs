//! `hookaido_pull_*`, by route.
//!
//! A route's series appear with its first use, all at once, so that a configuration with many idle routes stays small on the page.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::cell::{Count, Family, Level64, Registry, family};

const DEQUEUE: Family = family("hookaido_pull_dequeue_total", "Dequeue requests by route and status.");
const ACKED: Family = family("hookaido_pull_acked_total", "Messages that workers acknowledged, by route.");
const NACKED: Family = family("hookaido_pull_nacked_total", "Messages that workers gave back or buried, by route.");
const ACK_CONFLICT: Family = family("hookaido_pull_ack_conflict_total", "Acks of a lost lease, by route.");
const NACK_CONFLICT: Family = family("hookaido_pull_nack_conflict_total", "Nacks of a lost lease, by route.");
const LEASE_ACTIVE: Family = family("hookaido_pull_lease_active", "Leases that workers hold, by route.");
const LEASE_EXPIRED: Family =
    family("hookaido_pull_lease_expired_total", "Leases that ran out in the hands of workers, by route.");
const DEAD: Family = family("hookaido_pull_dead_total", "Messages of pulled routes that died, by route and reason.");
const SSE_CONNECTIONS: Family = family("hookaido_pull_sse_connections_total", "Streams opened, by route.");
const SSE_SENT: Family = family("hookaido_pull_sse_messages_sent_total", "Messages sent over streams, by route.");
const SSE_ACTIVE: Family = family("hookaido_pull_sse_connection_active", "Open streams, by route.");

const STATUSES: [&str; 4] = ["200", "204", "4xx", "5xx"];
const DEATHS: [&str; 2] = ["max_receives", "worker"];

/// Why a message of a pulled route went to the dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullDeath {
    /// It was leased as often as the route allows.
    MaxReceives,
    /// A worker gave it up.
    Worker,
}

/// What the pull API answered.
#[derive(Debug)]
pub struct PullMetrics {
    routes: Mutex<BTreeMap<Arc<str>, Arc<PullRouteMetrics>>>,
}

/// The numbers of one route. Resolved once per configuration; recording touches atomics only.
#[derive(Debug, Default)]
pub struct PullRouteMetrics {
    exported: AtomicBool,
    used: AtomicBool,
    dequeue: [Count; 4],
    acked: Count,
    nacked: Count,
    ack_conflict: Count,
    nack_conflict: Count,
    lease_active: Level64,
    lease_expired: Count,
    /// In the order of [`DEATHS`].
    dead: [Count; 2],
    sse_connections: Count,
    sse_sent: Count,
    sse_active: Level64,
}

/// Values at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullCounts {
    /// Sums over all routes.
    pub total: PullRouteCounts,
    /// Routes that were used, by name.
    pub by_route: BTreeMap<Arc<str>, PullRouteCounts>,
}

/// Values of one route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PullRouteCounts {
    /// Dequeue requests by status: 200, 204, 4xx, 5xx.
    pub dequeue: [(&'static str, u64); 4],
    /// Messages acknowledged.
    pub acked: u64,
    /// Messages given back or buried.
    pub nacked: u64,
    /// Acks of a lost lease.
    pub ack_conflict: u64,
    /// Nacks of a lost lease.
    pub nack_conflict: u64,
    /// Leases held.
    pub lease_active: u64,
    /// Leases that ran out.
    pub lease_expired: u64,
    /// Messages that died, by reason.
    pub dead: [(&'static str, u64); 2],
}

impl PullMetrics {
    pub(crate) fn new() -> Self {
        Self { routes: Mutex::default() }
    }

    /// The numbers of a route; the same ones for the same name.
    #[must_use]
    pub fn route(&self, route: &str) -> Arc<PullRouteMetrics> {
        let mut routes = self.routes.lock();
        if let Some(known) = routes.get(route) {
            return Arc::clone(known);
        }
        let metrics = Arc::new(PullRouteMetrics::default());
        routes.insert(route.into(), Arc::clone(&metrics));
        metrics
    }

    /// The present values.
    #[must_use]
    pub fn snapshot(&self) -> PullCounts {
        let mut counts = PullCounts::default();
        counts.total.add(&PullRouteMetrics::default().snapshot());
        for (route, metrics) in self.routes.lock().iter().filter(|(_, metrics)| metrics.is_used()) {
            let values = metrics.snapshot();
            counts.total.add(&values);
            counts.by_route.insert(Arc::clone(route), values);
        }
        counts
    }

    /// Exports routes that were used since the last call.
    pub(crate) fn export(&self, registry: &Registry) {
        for (route, metrics) in self.routes.lock().iter() {
            if metrics.is_used() && !metrics.exported.swap(true, Ordering::Relaxed) {
                metrics.export(registry, route);
            }
        }
    }
}

impl PullRouteMetrics {
    /// A dequeue was answered with `status` and leased `messages` to the worker, which raises the number of leases held.
    pub fn dequeue(&self, status: u16, messages: u64) {
        let index = match status {
            204 => 1,
            ..=399 => 0,
            400..=499 => 2,
            _ => 3,
        };
        self.touch();
        if let Some(count) = self.dequeue.get(index) {
            count.add(1);
        }
        self.lease_active.up(messages);
    }

    /// Messages were acknowledged; their leases are no longer held.
    pub fn acked(&self, n: u64) {
        self.touch();
        self.acked.add(n);
        self.lease_active.down(n);
    }

    /// Messages were given back or buried; their leases are no longer held.
    pub fn nacked(&self, n: u64) {
        self.touch();
        self.nacked.add(n);
        self.lease_active.down(n);
    }

    /// Acks that named a lost lease.
    pub fn ack_conflict(&self, n: u64) {
        self.touch();
        self.ack_conflict.add(n);
    }

    /// Nacks that named a lost lease.
    pub fn nack_conflict(&self, n: u64) {
        self.touch();
        self.nack_conflict.add(n);
    }

    /// Leases that ran out, whoever may notice; their messages are taken back.
    pub fn lease_expired(&self, n: u64) {
        self.touch();
        self.lease_expired.add(n);
        self.lease_active.down(n);
    }

    /// Messages went to the dead letters.
    pub fn died(&self, cause: PullDeath, n: u64) {
        let [max_receives, worker] = &self.dead;
        match cause {
            PullDeath::MaxReceives => max_receives.add(n),
            PullDeath::Worker => worker.add(n),
        }
    }

    /// Corrects the number of leases held to what the queue says.
    pub fn set_lease_active(&self, n: u64) {
        if n > 0 {
            self.touch();
        }
        self.lease_active.set(n);
    }

    /// A stream was opened.
    pub fn sse_opened(&self) {
        self.touch();
        self.sse_connections.add(1);
        self.sse_active.up(1);
    }

    /// A stream was closed.
    pub fn sse_closed(&self) {
        self.sse_active.down(1);
    }

    /// A stream leased and sent messages, which raises the number of leases held.
    pub fn sse_sent(&self, n: u64) {
        self.sse_sent.add(n);
        self.lease_active.up(n);
    }

    /// The present values.
    #[must_use]
    pub fn snapshot(&self) -> PullRouteCounts {
        let [ok, empty, refused, failed] = &self.dequeue;
        let [max_receives, worker] = &self.dead;
        PullRouteCounts {
            dequeue: [("200", ok.get()), ("204", empty.get()), ("4xx", refused.get()), ("5xx", failed.get())],
            acked: self.acked.get(),
            nacked: self.nacked.get(),
            ack_conflict: self.ack_conflict.get(),
            nack_conflict: self.nack_conflict.get(),
            lease_active: self.lease_active.get(),
            lease_expired: self.lease_expired.get(),
            dead: [(DEATHS[0], max_receives.get()), (DEATHS[1], worker.get())],
        }
    }

    fn touch(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    fn export(&self, registry: &Registry, route: &str) {
        for (status, count) in STATUSES.into_iter().zip(&self.dequeue) {
            registry.export_count(DEQUEUE, &[("route", route), ("status", status)], count);
        }
        for (reason, count) in DEATHS.into_iter().zip(&self.dead) {
            registry.export_count(DEAD, &[("route", route), ("reason", reason)], count);
        }
        for (family, count) in [
            (ACKED, &self.acked),
            (NACKED, &self.nacked),
            (ACK_CONFLICT, &self.ack_conflict),
            (NACK_CONFLICT, &self.nack_conflict),
            (LEASE_EXPIRED, &self.lease_expired),
            (SSE_CONNECTIONS, &self.sse_connections),
            (SSE_SENT, &self.sse_sent),
        ] {
            registry.export_count(family, &[("route", route)], count);
        }
        registry.export_level(LEASE_ACTIVE, &[("route", route)], &self.lease_active);
        registry.export_level(SSE_ACTIVE, &[("route", route)], &self.sse_active);
    }
}

impl PullRouteCounts {
    fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.dequeue.iter_mut().zip(&other.dequeue) {
            *mine = (theirs.0, mine.1 + theirs.1);
        }
        self.acked += other.acked;
        self.nacked += other.nacked;
        self.ack_conflict += other.ack_conflict;
        self.nack_conflict += other.nack_conflict;
        self.lease_active += other.lease_active;
        self.lease_expired += other.lease_expired;
        for (mine, theirs) in self.dead.iter_mut().zip(&other.dead) {
            *mine = (theirs.0, mine.1 + theirs.1);
        }
    }
}
