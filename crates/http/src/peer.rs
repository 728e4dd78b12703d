//! Who sent a request.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::Identity;

/// The client of a request. One per connection, shared by its requests, unless a trusted proxy brings the requests of many clients.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address: that of the connection, or what balancers and trusted proxies say. Port 0 stands for one that they do not tell.
    pub addr: SocketAddr,
    /// The address it connected to.
    pub local: SocketAddr,
    /// What TLS knows about the connection; `None` on cleartext.
    pub tls: Option<Arc<TlsPeer>>,
}

impl Peer {
    /// Who its client certificate says it is, if the listener has verified that.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        match &self.tls.as_ref()?.client {
            ClientCert::Verified(identity) => Some(identity),
            ClientCert::None | ClientCert::Unverified => None,
        }
    }

    /// Its address as text, without a port that nobody has told.
    pub fn shown(&self) -> impl fmt::Display {
        Shown(SocketAddr::new(self.addr.ip().to_canonical(), self.addr.port()))
    }
}

struct Shown(SocketAddr);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.port() == 0 { self.0.ip().fmt(f) } else { self.0.fmt(f) }
    }
}

/// What TLS knows about a peer.
#[derive(Clone, Debug, Default)]
pub struct TlsPeer {
    /// The host name it asked for.
    pub server_name: Option<Arc<str>>,
    /// Its certificate chain in DER, the leaf first; empty where it sent none.
    pub certificates: Vec<Vec<u8>>,
    /// What its certificate is worth.
    pub client: ClientCert,
}

/// What the certificate of a client is worth. No variant lets an unverified one look like a verified one.
#[derive(Clone, Debug, Default)]
pub enum ClientCert {
    /// It has shown none.
    #[default]
    None,
    /// It has shown one that nobody has checked (`client_auth request` and `require_any`).
    Unverified,
    /// It has shown one of the CAs of the listener.
    Verified(Arc<Identity>),
}

impl TlsPeer {
    /// What a handshake has told. `verified` says whether this listener checks client certificates.
    pub(crate) fn of(session: &rustls::ServerConnection, verified: bool) -> Self {
        let certificates: Vec<_> =
            session.peer_certificates().unwrap_or_default().iter().map(|cert| cert.to_vec()).collect();
        let client = match certificates.first() {
            None => ClientCert::None,
            Some(_) if !verified => ClientCert::Unverified,
            Some(leaf) => ClientCert::Verified(Arc::new(Identity::of(leaf))),
        };
        Self { server_name: session.server_name().map(Arc::from), certificates, client }
    }
}
