//! Messages on their way from the store to whoever asked for them.

use std::sync::Arc;

use hookaido_model::Envelope;
use tokio::runtime::Handle;

use crate::queue::Inner;
use crate::store::{Settle, SettleBatch, Settlement};

/// Leased envelopes. Those not taken with [`LeasedBatch::keep`] are given back when it is dropped, as if they had never been leased.
#[derive(Debug)]
pub struct LeasedBatch {
    envelopes: Vec<Envelope>,
    queue: Arc<Inner>,
    handle: Option<Handle>,
}

impl LeasedBatch {
    pub(crate) fn new(envelopes: Vec<Envelope>, queue: &Arc<Inner>) -> Self {
        Self { envelopes, queue: Arc::clone(queue), handle: Handle::try_current().ok() }
    }

    /// What was leased; empty when the wait was in vain.
    #[must_use]
    pub fn envelopes(&self) -> &[Envelope] {
        &self.envelopes
    }

    /// Takes the envelopes; from now on their leases are the caller's.
    #[must_use]
    pub fn keep(mut self) -> Vec<Envelope> {
        std::mem::take(&mut self.envelopes)
    }
}

impl Drop for LeasedBatch {
    fn drop(&mut self) {
        let leases = self.envelopes.iter().filter_map(|envelope| envelope.lease);
        let settles: Vec<Settle> =
            leases.map(|lease| Settle { lease, scope: None, settlement: Settlement::Release }).collect();
        if settles.is_empty() {
            return;
        }
        let op = SettleBatch { settles, attempts: Vec::new(), keep_delivered: true, now: self.queue.clock.now() };
        let release = self.queue.store.settle(op);
        self.queue.tasks.spawn(self.handle.as_ref(), async move {
            if let Err(error) = release.await {
                // They run out by themselves.
                tracing::debug!(target: "hookaido", err = %error, "lease_release_failed");
            }
        });
    }
}
