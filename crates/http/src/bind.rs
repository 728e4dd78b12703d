//! Addresses and sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections the system may keep waiting until they are accepted.
const BACKLOG: i32 = 1024;

/// A socket that listens, not served yet.
#[derive(Debug)]
pub struct BoundListener {
    pub(crate) socket: TcpListener,
    pub(crate) addr: SocketAddr,
    text: String,
}

impl BoundListener {
    /// The address in use; tells the port where 0 was asked for.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address as configured.
    #[must_use]
    pub fn configured(&self) -> &str {
        &self.text
    }
}

/// Why an address cannot be listened on. Its text is one line and names the address.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Not `host:port`.
    #[error("`{addr}` is no address to listen on; write host:port, :port or [ipv6]:port")]
    Malformed {
        /// As configured.
        addr: String,
    },
    /// The host has no address.
    #[error("cannot listen on {addr}: the host cannot be resolved: {source}")]
    Resolve {
        /// As configured.
        addr: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process has it.
    #[error("cannot listen on {addr}: another process uses the port")]
    InUse {
        /// As configured.
        addr: String,
    },
    /// The system refused it.
    #[error("cannot listen on {addr}: {source}")]
    System {
        /// As configured.
        addr: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Listens on `host:port`, `:port` (every address, both IP versions where the system has them) or `[ipv6]:port`. Port 0 takes a free one.
/// May resolve a host name, which blocks.
///
/// # Errors
/// See [`BindError`].
pub fn bind(addr: &str) -> Result<BoundListener, BindError> {
    let malformed = || BindError::Malformed { addr: addr.to_owned() };
    let (host, port) = addr.rsplit_once(':').ok_or_else(malformed)?;
    let port: u16 = port.parse().map_err(|_not_a_port: std::num::ParseIntError| malformed())?;
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if bare.is_none() && host.contains([':', '[', ']']) {
        return Err(malformed());
    }
    let candidates = match bare.unwrap_or(host) {
        "" => vec![(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port).into(), (IpAddr::V4(Ipv4Addr::UNSPECIFIED), port).into()],
        name => resolve(addr, name, port)?,
    };
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for candidate in candidates {
        match listen(candidate) {
            Ok(socket) => {
                let bound = socket.local_addr().unwrap_or(candidate);
                return Ok(BoundListener { socket, addr: bound, text: addr.to_owned() });
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(BindError::InUse { addr: addr.to_owned() });
            }
            Err(error) => last = error,
        }
    }
    Err(BindError::System { addr: addr.to_owned(), source: last })
}

/// The addresses of a host, IPv4 first.
fn resolve(addr: &str, name: &str, port: u16) -> Result<Vec<SocketAddr>, BindError> {
    let failed = |source| BindError::Resolve { addr: addr.to_owned(), source };
    let mut found: Vec<SocketAddr> = (name, port).to_socket_addrs().map_err(failed)?.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    if found.is_empty() { Err(failed(io::ErrorKind::NotFound.into())) } else { Ok(found) }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        // `[::]` takes IPv4 too; other IPv6 addresses have no IPv4 side.
        socket.set_only_v6(!addr.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
