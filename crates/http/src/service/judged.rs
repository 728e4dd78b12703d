//! Client certificates of connections that outlive the CAs they were verified against.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::{ClientCert, ServerTls, TlsPeer};

/// A verified certificate, and by which CAs it was judged last.
#[derive(Debug)]
pub(crate) struct Judged {
    client: Arc<TlsPeer>,
    by: AtomicU64,
    present: Arc<ArcSwap<ServerTls>>,
}

impl Judged {
    /// Nothing where no certificate was verified.
    pub(crate) fn new(client: Arc<TlsPeer>, by: &ServerTls, present: Arc<ArcSwap<ServerTls>>) -> Option<Self> {
        let verified = matches!(client.client, ClientCert::Verified(_));
        verified.then(|| Self { client, by: AtomicU64::new(by.clients()), present })
    }

    /// Whether the CAs in force accept it. Looks at the certificate only when they have changed.
    pub(crate) fn holds(&self) -> bool {
        let present = self.present.load();
        if self.by.load(Ordering::Relaxed) == present.clients() {
            return true;
        }
        let holds = present.accepts(&self.client.certificates);
        if holds {
            self.by.store(present.clients(), Ordering::Relaxed);
        }
        holds
    }
}
