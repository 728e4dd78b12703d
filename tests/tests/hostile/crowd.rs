//! Many connections at once, from many addresses of the loopback network, none of which is read by itself.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use e2e::fail::{Attempt, fail};
use socket2::{Domain, SockRef, Socket, Type};

use crate::site::Stop;

/// The connections that are still open.
#[derive(Debug)]
pub(crate) struct Crowd(Vec<TcpStream>);

/// A connection from one of a hundred addresses.
pub(crate) fn connect(to: SocketAddr, number: usize) -> Attempt<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let from = Ipv4Addr::new(127, 1, 0, u8::try_from(number % 100).unwrap_or_default() + 1);
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect_timeout(&to.into(), Duration::from_secs(20))?;
    Ok(socket.into())
}

impl Crowd {
    /// Opens `count` connections, each of which sends `first`.
    pub(crate) fn open(to: SocketAddr, count: usize, first: &[u8]) -> Attempt<Self> {
        let mut open = Vec::with_capacity(count);
        for number in 0..count {
            let mut stream = connect(to, number)?;
            stream.write_all(first)?;
            stream.set_nonblocking(true)?;
            open.push(stream);
        }
        Ok(Self(open))
    }

    /// Sends a little more on every connection. Those that the server has ended are dropped.
    pub(crate) fn drip(&mut self, bytes: &[u8]) {
        self.0.retain_mut(|stream| match stream.write(bytes) {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
    }

    /// Reads what is there. Connections that the server has ended are dropped.
    pub(crate) fn look(&mut self) {
        let mut part = [0; 4096];
        self.0.retain_mut(|stream| {
            loop {
                match stream.read(&mut part) {
                    Ok(0) => return false,
                    Ok(_) => {}
                    Err(error) => return error.kind() == ErrorKind::WouldBlock,
                }
            }
        });
    }

    /// Goes on with `more` until told to stop, or until the server has ended every connection, where that is to be seen.
    pub(crate) fn stay(mut self, more: &[u8], ended_within: Option<Duration>, stop: &Stop) -> Attempt<()> {
        let begun = Instant::now();
        while !stop.within(Duration::from_millis(100)) {
            self.drip(more);
            self.look();
        }
        let Some(limit) = ended_within else { return Ok(()) };
        loop {
            self.drip(more);
            self.look();
            match self.0.len() {
                0 => return Ok(()),
                open if begun.elapsed() > limit => return fail(format!("{open} connections are open after {limit:?}")),
                _ => e2e::clock::pause(Duration::from_millis(50)),
            }
        }
    }

    /// Ends every connection at once, without a goodbye.
    pub(crate) fn reset(self) {
        for stream in self.0 {
            drop(SockRef::from(&stream).set_linger(Some(Duration::ZERO)));
        }
    }
}
