//! The PROXY protocol, versions 1 and 2: what a balancer says of a connection before its first byte.
//!
//! Reads exactly the header and nothing behind it, so that TLS or HTTP begin where it ends. Bounded in size here and in time by the
//! caller; read only from balancers that the configuration names. Format: the protocol's document at haproxy.org, 2.1 and 2.2.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// First bytes of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// `PROXY UNKNOWN\r\n`, the shortest header of all.
const SHORTEST: usize = 15;
/// `PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n`.
const SHORTEST_TCP4: usize = 32;
/// Longest line of version 1, with its end.
const LONGEST_LINE: usize = 107;
/// Longest addresses and extensions of version 2; extensions are skipped, so it costs no memory.
const LONGEST_BLOCK: usize = 16 * 1024;
/// Addresses of version 2: the longest that are read are those of IPv6.
const ADDRESSES: usize = 36;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nothing: the balancer asks for itself, or does not know.
    Nothing,
    /// The connection of a client.
    Client {
        /// Its address.
        source: SocketAddr,
        /// The address it connected to.
        destination: SocketAddr,
    },
}

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    /// The connection ended before its first byte, as checks of health do.
    #[error("the connection ended without a byte")]
    Closed,
    /// The header is not one.
    #[error("{0}")]
    Malformed(&'static str),
    /// The connection broke within the header.
    #[error("the connection ended within the header: {0}")]
    Broken(#[from] io::Error),
}

/// Reads a header, and not a byte more.
pub(crate) async fn read_header<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Said, ProxyError> {
    let mut head = [0; SHORTEST];
    let (first, others) = head.split_at_mut(1);
    if stream.read(first).await? == 0 {
        return Err(ProxyError::Closed);
    }
    stream.read_exact(others).await?;
    if head.starts_with(SIGNATURE) { version2(stream, head).await } else { version1(stream, head).await }
}

async fn version1<S: AsyncRead + Unpin>(stream: &mut S, head: [u8; SHORTEST]) -> Result<Said, ProxyError> {
    if !head.starts_with(b"PROXY ") {
        return Err(ProxyError::Malformed("no PROXY header"));
    }
    let mut line = Vec::with_capacity(LONGEST_LINE);
    line.extend_from_slice(&head);
    if head.starts_with(b"PROXY TCP4 ") {
        let mut more = [0; SHORTEST_TCP4 - SHORTEST];
        stream.read_exact(&mut more).await?;
        line.extend_from_slice(&more);
    }
    while !line.ends_with(b"\r\n") {
        if line.len() >= LONGEST_LINE {
            return Err(ProxyError::Malformed("the line does not end"));
        }
        line.push(stream.read_u8().await?);
    }
    parse_line(line.strip_suffix(b"\r\n").unwrap_or(&line)).ok_or(ProxyError::Malformed("the line is malformed"))
}

/// A line of version 1 without its end.
fn parse_line(line: &[u8]) -> Option<Said> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    let (_proxy, family) = (words.next(), words.next()?);
    let (mut word, mut ips) = (|| words.next(), [None; 2]);
    match family {
        "UNKNOWN" => return Some(Said::Nothing),
        "TCP4" => ips.fill_with(|| Some(IpAddr::V4(word()?.parse::<Ipv4Addr>().ok()?))),
        "TCP6" => ips.fill_with(|| Some(IpAddr::V6(word()?.parse::<Ipv6Addr>().ok()?))),
        _ => return None,
    }
    let mut port = || {
        let digits = word()?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        digits.parse::<u16>().ok().filter(|_| plain)
    };
    let ports = [port()?, port()?];
    if word().is_some() {
        return None;
    }
    let [source, destination] = [ips[0]?, ips[1]?].map(|ip| ip.to_canonical());
    Some(Said::Client {
        source: SocketAddr::new(source, ports[0]),
        destination: SocketAddr::new(destination, ports[1]),
    })
}

async fn version2<S: AsyncRead + Unpin>(stream: &mut S, head: [u8; SHORTEST]) -> Result<Said, ProxyError> {
    let [.., command, family, high] = head;
    let length = usize::from(u16::from_be_bytes([high, stream.read_u8().await?]));
    if length > LONGEST_BLOCK {
        return Err(ProxyError::Malformed("the header is too long"));
    }
    let mut block = [0; ADDRESSES];
    let kept = block.get_mut(..length.min(ADDRESSES)).unwrap_or_default();
    stream.read_exact(kept).await?;
    let said = parse_block(command, family, kept).ok_or(ProxyError::Malformed("the header is malformed"))?;
    skip(stream, length.saturating_sub(ADDRESSES)).await?;
    Ok(said)
}

/// Reads past extensions.
async fn skip<S: AsyncRead + Unpin>(stream: &mut S, mut left: usize) -> Result<(), ProxyError> {
    let mut scratch = [0; 512];
    while left > 0 {
        let part = scratch.get_mut(..left.min(512)).unwrap_or_default();
        stream.read_exact(part).await?;
        left -= part.len();
    }
    Ok(())
}

/// Version 2: version and command, family and protocol, and the beginning of what follows.
fn parse_block(command: u8, family: u8, block: &[u8]) -> Option<Said> {
    match command {
        // LOCAL: whatever else it says does not count.
        0x20 => return Some(Said::Nothing),
        0x21 => {}
        _ => return None,
    }
    let (ips, ports) = match family {
        // Unspecified, and what cannot be the address of a client over TCP: datagrams and sockets of Unix.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => return Some(Said::Nothing),
        0x11 => {
            let (source, rest) = block.split_first_chunk::<4>()?;
            let (destination, rest) = rest.split_first_chunk::<4>()?;
            ([source, destination].map(|ip| IpAddr::from(*ip)), rest)
        }
        0x21 => {
            let (source, rest) = block.split_first_chunk::<16>()?;
            let (destination, rest) = rest.split_first_chunk::<16>()?;
            ([source, destination].map(|ip| IpAddr::from(*ip).to_canonical()), rest)
        }
        _ => return None,
    };
    let (source_port, rest) = ports.split_first_chunk::<2>()?;
    let (destination_port, _) = rest.split_first_chunk::<2>()?;
    let [source, destination] = ips;
    Some(Said::Client {
        source: SocketAddr::new(source, u16::from_be_bytes(*source_port)),
        destination: SocketAddr::new(destination, u16::from_be_bytes(*destination_port)),
    })
}

#[cfg(test)]
mod tests;
