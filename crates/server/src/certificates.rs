//! Certificates, keys and CAs that change while the server runs.
//!
//! Each listener takes its files as a whole or keeps what it has: a file that is wrong is named in the log and changes nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use hookaido_http::ServerTls;
use hookaido_model::config::{Config, Tls};

use crate::generation::tls_of;
use crate::listeners::Running;

/// The files that the listeners of a configuration present and verify with.
pub(crate) fn files(config: &Config) -> Vec<PathBuf> {
    let paths =
        |tls: &Tls| [Some(&tls.cert_file), Some(&tls.key_file), tls.client_ca.as_ref()].map(|path| path.cloned());
    let all: BTreeSet<Arc<str>> = tls_of(config).into_values().flat_map(paths).flatten().collect();
    all.iter().map(|path| PathBuf::from(&**path)).collect()
}

/// Reads the files of every listener again, and takes those that have changed and are good.
pub(crate) async fn renew(config: &Config, running: &Running) {
    for (listen, tls) in tls_of(config) {
        let tls = tls.clone();
        let read = tokio::task::spawn_blocking(move || ServerTls::read(&tls)).await;
        let read = read.map_err(|error| error.to_string()).and_then(|read| read.map_err(|error| error.to_string()));
        match read {
            Ok(read) => {
                if running.present(listen, &Arc::new(read)) {
                    tracing::info!(target: "hookaido", addr = listen, "certificates_reloaded");
                }
            }
            Err(error) => {
                tracing::error!(target: "hookaido", addr = listen, err = %error, "certificates_reload_failed");
            }
        }
    }
}
