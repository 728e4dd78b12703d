//! Connections to targets: resolve, check every address, connect to one of exactly those, TLS with the name.
//!
//! The one place where push opens sockets. Literal addresses take the same way as names, so nothing bypasses the policy.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::resolve::Resolve;
use super::stream::Stream;
use crate::egress::{EgressPolicy, Refused};

/// Longest time of a look-up.
const RESOLVING: Duration = Duration::from_secs(2);
/// Longest time of one TCP handshake; the next address follows.
const CONNECTING: Duration = Duration::from_secs(3);
/// Longest time of a TLS handshake.
const TLS: Duration = Duration::from_secs(5);

/// Opens connections under one policy. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Connector(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    policy: EgressPolicy,
    resolver: Arc<dyn Resolve>,
    tls: Option<Tls>,
}

/// The client side of TLS.
#[derive(Clone)]
pub(crate) struct Tls(pub(crate) Arc<rustls::ClientConfig>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The policy forbids it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The name cannot be resolved.
    #[error("cannot resolve `{host}`: {source}")]
    Resolve { host: String, source: io::Error },
    /// No address answers.
    #[error("cannot connect to {address}: {source}")]
    Connect { address: SocketAddr, source: io::Error },
    /// The TLS handshake failed.
    #[error("TLS handshake with `{host}` failed: {source}")]
    Tls { host: String, source: io::Error },
    /// The host cannot be named in a certificate.
    #[error("`{host}` cannot be verified: {source}")]
    Name { host: String, source: InvalidDnsNameError },
    /// TLS was not prepared.
    #[error("TLS is not set up")]
    NoTls,
}

impl Connector {
    /// `tls` may be missing when nothing is sent over `https`.
    pub(crate) fn new(policy: EgressPolicy, resolver: Arc<dyn Resolve>, tls: Option<Tls>) -> Self {
        Self(Arc::new(Shared { policy, resolver, tls }))
    }

    /// The policy that every connection obeys.
    pub(crate) fn policy(&self) -> &EgressPolicy {
        &self.0.policy
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.connect(&uri).await })
    }
}

impl Shared {
    async fn connect(&self, uri: &Uri) -> Result<Stream, ConnectError> {
        let scheme = uri.scheme_str().unwrap_or("");
        let host = uri.host().unwrap_or("");
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let secure = scheme == "https";
        self.policy.check_name(scheme, host)?;
        let addresses = self.addresses(host, uri.port_u16().unwrap_or(if secure { 443 } else { 80 })).await?;
        self.policy.check_addresses(host, &addresses.iter().map(SocketAddr::ip).collect::<Vec<_>>())?;
        let tcp = connect_to_one_of(host, &addresses).await?;
        if !secure {
            return Ok(Stream::Plain(TokioIo::new(tcp)));
        }
        let Tls(config) = self.tls.as_ref().ok_or(ConnectError::NoTls)?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|source| ConnectError::Name { host: host.to_owned(), source })?;
        let handshake = timeout(TLS, TlsConnector::from(Arc::clone(config)).connect(name, tcp)).await;
        let stream = handshake
            .unwrap_or_else(|_elapsed| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer within 5 s")))
            .map_err(|source| ConnectError::Tls { host: host.to_owned(), source })?;
        Ok(Stream::Tls(Box::new(TokioIo::new(stream))))
    }

    /// All addresses, the literal one alone.
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        if let Ok(literal) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(literal, port)]);
        }
        let failed = |source| ConnectError::Resolve { host: host.to_owned(), source };
        let resolved = timeout(RESOLVING, self.resolver.resolve(host, port)).await;
        let addresses = resolved
            .unwrap_or_else(|_elapsed| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer within 2 s")))
            .map_err(failed)?;
        if addresses.is_empty() {
            return Err(failed(io::Error::new(io::ErrorKind::NotFound, "it has no address")));
        }
        Ok(addresses)
    }
}

/// The first that answers; the last error when none does.
async fn connect_to_one_of(host: &str, addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let none = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    let mut last = ConnectError::Resolve { host: host.to_owned(), source: none };
    for &address in addresses {
        let connected = timeout(CONNECTING, TcpStream::connect(address)).await;
        let connected = connected
            .unwrap_or_else(|_elapsed| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer within 3 s")))
            .and_then(|stream| {
                stream.set_nodelay(true)?;
                // the address that was checked is the one that is used, whatever lies between
                if stream.peer_addr()? == address { Ok(stream) } else { Err(io::ErrorKind::AddrNotAvailable.into()) }
            });
        match connected {
            Ok(stream) => return Ok(stream),
            Err(source) => last = ConnectError::Connect { address, source },
        }
    }
    Err(last)
}
