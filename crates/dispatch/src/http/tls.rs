//! TLS towards targets: the system's roots, current versions, HTTP/2 where the target offers it.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto};

use super::connect::Tls;
use crate::plan::PlanError;

impl Tls {
    /// Trusts what the machine trusts. A machine without roots gets a client that trusts nobody, and a warning.
    ///
    /// # Errors
    /// The TLS library refuses its own defaults.
    pub(crate) fn with_system_roots() -> Result<Self, PlanError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _unreadable) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            tracing::warn!(target: "hookaido", "egress_no_tls_roots");
        }
        Self::with_roots(roots)
    }

    /// Trusts these roots.
    ///
    /// # Errors
    /// The TLS library refuses its own defaults.
    pub(crate) fn with_roots(roots: RootCertStore) -> Result<Self, PlanError> {
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let versions = versions.map_err(|error| PlanError::Tls(error.to_string()))?;
        let mut config = versions.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}
