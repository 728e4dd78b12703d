//! Who sent a request.

use std::net::SocketAddr;
use std::sync::Arc;

/// The other end of a connection. One per connection, shared by its requests.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub addr: SocketAddr,
    /// The address it connected to.
    pub local: SocketAddr,
    /// What TLS knows about it; `None` on cleartext.
    pub tls: Option<Arc<TlsPeer>>,
}

/// What TLS knows about a peer.
#[derive(Clone, Debug, Default)]
pub struct TlsPeer {
    /// The host name it asked for.
    pub server_name: Option<Arc<str>>,
    /// Its certificate chain in DER, the leaf first; empty where it sent none.
    pub certificates: Vec<Vec<u8>>,
}

impl TlsPeer {
    pub(crate) fn of(session: &rustls::ServerConnection) -> Self {
        Self {
            server_name: session.server_name().map(Arc::from),
            certificates: session.peer_certificates().unwrap_or_default().iter().map(|cert| cert.to_vec()).collect(),
        }
    }
}
