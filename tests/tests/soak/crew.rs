//! Who makes the load: providers, a publisher, workers with all their deeds, an undertaker who queues dead letters again, and the
//! receiver of pushes.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle, Scope};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::client::Client;
use e2e::clock;
use e2e::fail::Attempt;
use e2e::ledger::Ledger;
use e2e::load::{Deed, Worker, body, keep_pace, post_until_gone};
use e2e::ports;
use serde_json::{Value, json};

/// Messages that may wait. Keeps the queue file from growing with the speed of the machine.
const BACKLOG: u64 = 4_000;
/// What workers do, batch by batch; no two of them the same.
const DEEDS: [&[Deed]; 3] = [
    &[Deed::Ack, Deed::Ack, Deed::Nack, Deed::ExtendAndAck, Deed::Ack],
    &[Deed::Ack, Deed::Ack, Deed::Ack, Deed::Bury, Deed::ExtendAndAck, Deed::Ack, Deed::Ack, Deed::Ack],
    &[Deed::Ack, Deed::Ack, Deed::Ack, Deed::Ack, Deed::Leave, Deed::Ack],
];

/// Where the load goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crew<'l> {
    pub(crate) ledger: &'l Arc<Ledger>,
    pub(crate) ingress: SocketAddr,
    pub(crate) pull: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// Whether the pushed route has its share.
    pub(crate) pushes: bool,
}

impl<'l> Crew<'l> {
    /// Starts everybody; each ends when the server is gone.
    pub(crate) fn start<'s>(self, scope: &'s Scope<'s, '_>)
    where
        'l: 's,
    {
        for path in ["/a", "/a", "/a", self.second_route(), self.second_route()] {
            scope.spawn(move || post_until_gone(Client::new(self.ingress), self.ledger, path, BACKLOG));
        }
        for deeds in DEEDS {
            scope.spawn(move || worker(Client::new(self.pull), self.ledger, deeds).work_until_gone());
        }
        scope.spawn(move || self.publish_until_gone());
        scope.spawn(move || {
            let mut operator = operator(Client::new(self.admin));
            while requeue(&mut operator).is_ok() {
                clock::pause(Duration::from_millis(200));
            }
        });
    }

    fn second_route(self) -> &'static str {
        if self.pushes { "/p" } else { "/a" }
    }

    /// Publishes small batches to both routes.
    fn publish_until_gone(self) {
        let mut publisher = operator(Client::new(self.admin));
        for route in ["/a", self.second_route()].into_iter().cycle() {
            keep_pace(self.ledger, BACKLOG);
            let numbers: Vec<u64> = (0..8).map(|_| self.ledger.begin()).collect();
            let items = numbers.iter().map(|number| {
                let payload = STANDARD.encode(body(*number));
                json!({"id": format!("soak-{number}"), "route": route, "payload_b64": payload})
            });
            match publisher.ask("/messages/publish", &json!({"items": items.collect::<Vec<_>>()})) {
                Ok((200, _)) => self.ledger.accepted(&numbers),
                Ok((503, _)) => {}
                Ok((other, answer)) => self.ledger.complain(format!("publish answered {other}: {answer}")),
                Err(_) => return,
            }
        }
    }
}

/// A worker of the pulled route.
pub(crate) fn worker<'l>(client: Client, ledger: &'l Ledger, deeds: &'static [Deed]) -> Worker<'l> {
    let (batch, ttl) = (10, Duration::from_secs(1));
    Worker { client: client.token("tok"), ledger, endpoint: "/a", batch, ttl, deeds }
}

/// An operator says why.
pub(crate) fn operator(client: Client) -> Client {
    client.with("X-Hookaido-Audit-Reason", "soak")
}

/// Queues dead letters again.
pub(crate) fn requeue(operator: &mut Client) -> Attempt<()> {
    let (_, list) = operator.get("/dlq?limit=100")?;
    let items = list.get("items").and_then(Value::as_array).into_iter().flatten();
    let ids: Vec<&Value> = items.filter_map(|item| item.get("id")).collect();
    if !ids.is_empty() {
        operator.ask("/dlq/requeue", &json!({"ids": ids}))?;
    }
    Ok(())
}

/// Takes pushes. Refuses one in sixteen, which then comes again.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Receiver {
    pub(crate) fn start(port: u16, ledger: Arc<Ledger>) -> io::Result<Self> {
        let address = ports::local(port);
        let listener = TcpListener::bind(address)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let (stop, count) = (Arc::clone(&stopped), Arc::new(AtomicU64::new(0)));
        let acceptor = thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (ledger, count) = (Arc::clone(&ledger), Arc::clone(&count));
                // Ends with the connection, at the latest with the server.
                thread::spawn(move || drop(serve(&connection, &ledger, &count)));
            }
        });
        Ok(Self { address, stopped, acceptor: Some(acceptor) })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

fn serve(mut connection: &TcpStream, ledger: &Ledger, count: &AtomicU64) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let refused = count.fetch_add(1, Ordering::Relaxed) % 16 == 15;
        if !refused {
            ledger.pushed(&String::from_utf8_lossy(&body));
        }
        let status = if refused { "503 Service Unavailable" } else { "200 OK" };
        connection.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
    }
}
