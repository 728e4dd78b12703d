//! A small HTTP/1 client connection: exact control over the bytes, tolerant of a server that closes early.

use std::fmt::Display;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::fail::Fail;

/// Why nothing more came.
#[derive(Debug)]
pub enum ConnError {
    /// The time was up.
    Timeout,
    /// The server closed the connection.
    Closed,
    /// The handshake or the certificate was refused.
    Tls(String),
    /// The connection could not be made or broke.
    Io(io::Error),
    /// What came is not HTTP.
    Garbled(String),
}

/// One answer as it came.
#[derive(Debug)]
pub struct RawAnswer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body, as much as came.
    pub body: Vec<u8>,
}

/// One connection with a deadline for everything that is read.
#[derive(Debug)]
pub struct Conn {
    socket: Socket,
    deadline: Instant,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Socket {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.sock,
        }
    }
}

impl Conn {
    /// Connects, with TLS if there is a configuration for it; `timeout` covers everything until the next deadline.
    pub fn open(addr: SocketAddr, timeout: Duration, tls: Option<Arc<ClientConfig>>) -> Result<Self, ConnError> {
        let timeout = timeout.max(Duration::from_millis(50));
        let tcp = TcpStream::connect_timeout(&addr, timeout).map_err(ConnError::Io)?;
        tcp.set_nodelay(true).map_err(ConnError::Io)?;
        tcp.set_read_timeout(Some(timeout)).map_err(ConnError::Io)?;
        let socket = match tls {
            None => Socket::Plain(tcp),
            Some(config) => {
                let name = ServerName::try_from("localhost").map_err(refused)?;
                let session = ClientConnection::new(config, name).map_err(refused)?;
                let mut tls = StreamOwned::new(session, tcp);
                tls.conn.complete_io(&mut tls.sock).map_err(refused)?;
                Socket::Tls(Box::new(tls))
            }
        };
        Ok(Self { socket, deadline: Instant::now() + timeout, buffer: vec![] })
    }

    /// Gives the following reads this much time.
    pub fn within(&mut self, time: Duration) {
        self.deadline = Instant::now() + time;
    }

    /// Sends bytes. A connection that the server has closed is no error: it may have answered before.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), ConnError> {
        let left = self.deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(50));
        self.socket.tcp().set_write_timeout(Some(left)).map_err(ConnError::Io)?;
        let sent = match &mut self.socket {
            Socket::Plain(tcp) => tcp.write_all(bytes),
            Socket::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        };
        match sent.map_err(|error| (error.kind(), error)) {
            Ok(()) | Err((ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::InvalidData, _)) => Ok(()),
            Err((ErrorKind::WouldBlock | ErrorKind::TimedOut, _)) => Err(ConnError::Timeout),
            Err((_, error)) => Err(ConnError::Io(error)),
        }
    }

    /// Says that no more will be sent.
    pub fn half_close(&self) -> Result<(), ConnError> {
        self.socket.tcp().shutdown(Shutdown::Write).map_err(ConnError::Io)
    }

    /// Reads some more; false when the server has closed the connection.
    pub fn fill(&mut self) -> Result<bool, ConnError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ConnError::Timeout);
        }
        self.socket.tcp().set_read_timeout(Some(left)).map_err(ConnError::Io)?;
        let mut part = [0; 65_536];
        let read = match &mut self.socket {
            Socket::Plain(tcp) => tcp.read(&mut part),
            Socket::Tls(tls) => tls.read(&mut part),
        };
        match read.map_err(|error| (error.kind(), error)) {
            Ok(0) | Err((ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof, _)) => {
                Ok(false)
            }
            Ok(n) => {
                self.buffer.extend_from_slice(part.get(..n).unwrap_or_default());
                Ok(true)
            }
            Err((ErrorKind::WouldBlock | ErrorKind::TimedOut, _)) => Err(ConnError::Timeout),
            Err((ErrorKind::InvalidData, error)) => Err(refused(error)),
            Err((_, error)) => Err(ConnError::Io(error)),
        }
    }

    /// What has come and was not yet used; reads some if there is none. Empty when the connection is closed.
    pub fn some(&mut self) -> Result<Vec<u8>, ConnError> {
        if self.buffer.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// What comes before `separator`, which is dropped.
    fn until(&mut self, separator: &[u8]) -> Result<Vec<u8>, ConnError> {
        loop {
            if let Some(at) = self.buffer.windows(separator.len()).position(|window| window == separator) {
                let rest = self.buffer.split_off(at + separator.len());
                let mut head = std::mem::replace(&mut self.buffer, rest);
                head.truncate(at);
                return Ok(head);
            }
            if !self.fill()? {
                return Err(ConnError::Closed);
            }
        }
    }

    /// The next bytes, this many of them.
    pub fn exactly(&mut self, count: usize) -> Result<Vec<u8>, ConnError> {
        while self.buffer.len() < count {
            if !self.fill()? {
                return Err(ConnError::Closed);
            }
        }
        let rest = self.buffer.split_off(count);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    /// The next status line and headers; interim answers are skipped.
    pub fn head(&mut self) -> Result<(u16, Vec<(String, String)>), ConnError> {
        loop {
            let block = latin1(&self.until(b"\r\n\r\n")?);
            let mut lines = block.split("\r\n");
            let first = lines.next().unwrap_or_default();
            let Some(status) = status_of(first) else { return Err(ConnError::Garbled(first.to_owned())) };
            let headers = lines.map(|line| {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                (name.trim().to_lowercase(), value.trim().to_owned())
            });
            if status >= 200 || status == 101 {
                return Ok((status, headers.collect()));
            }
        }
    }

    /// The next chunk; empty after the last one.
    pub fn chunk(&mut self) -> Result<Vec<u8>, ConnError> {
        let line = latin1(&self.until(b"\r\n")?);
        let size = line.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(size, 16) else { return Err(ConnError::Garbled(line)) };
        if size == 0 {
            while !self.until(b"\r\n")?.is_empty() {}
            return Ok(vec![]);
        }
        let data = self.exactly(size)?;
        self.exactly(2)?;
        Ok(data)
    }

    /// The next answer to a request with this method. A body that is cut short is handed over as far as it came.
    pub fn answer(&mut self, method: &str) -> Result<RawAnswer, ConnError> {
        let (status, headers) = self.head()?;
        let body = match (last(&headers, "transfer-encoding"), last(&headers, "content-length")) {
            _ if method == "HEAD" || status == 204 || status == 304 => vec![],
            (Some(encoding), _) if encoding.contains("chunked") => self.chunks()?,
            (_, Some(length)) => {
                let Ok(length) = length.parse() else { return Err(ConnError::Garbled(length.to_owned())) };
                match self.exactly(length) {
                    Err(ConnError::Closed) => std::mem::take(&mut self.buffer),
                    other => other?,
                }
            }
            _ => {
                while self.fill()? {}
                std::mem::take(&mut self.buffer)
            }
        };
        Ok(RawAnswer { status, headers, body })
    }

    fn chunks(&mut self) -> Result<Vec<u8>, ConnError> {
        let mut body = vec![];
        loop {
            match self.chunk() {
                Ok(part) if part.is_empty() => return Ok(body),
                Ok(part) => body.extend(part),
                Err(ConnError::Closed) => return Ok(body),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The last value of a header.
pub fn last<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Bytes as the characters with the same numbers, as HTTP heads are read.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn refused(error: impl Display) -> ConnError {
    ConnError::Tls(error.to_string())
}

fn status_of(line: &str) -> Option<u16> {
    let (version, rest) = line.strip_prefix("HTTP/")?.split_once(' ')?;
    (version.len() == 3).then(|| rest.get(..3)?.parse().ok()).flatten()
}

impl From<ConnError> for Fail {
    fn from(error: ConnError) -> Self {
        Self(match error {
            ConnError::Timeout => "no answer in time".to_owned(),
            ConnError::Closed => "connection closed without an answer".to_owned(),
            ConnError::Tls(text) => format!("TLS handshake refused: {text}"),
            ConnError::Io(error) => format!("I/O error: {error}"),
            ConnError::Garbled(text) => {
                format!("not an HTTP answer: {:?}", text.chars().take(80).collect::<String>())
            }
        })
    }
}
