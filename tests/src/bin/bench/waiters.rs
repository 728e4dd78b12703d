//! Many workers that wait: what each costs the server, how fast the first is woken, and that those of another route sleep on.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::Bench;
use crate::client::{Connection, request};
use crate::load::percentile;
use crate::process::{Keep, Server};
use crate::workers::{TOKEN, lease_ids};

/// Of each of the two routes.
const POLLS: usize = 500;
const STREAMS: usize = 100;
const MESSAGES: usize = 2_000;
/// Waiters before the first look at the memory: what the first ones cost once is not what each costs.
const FIRST: usize = 20;

/// A waiter was given a message.
struct Woken {
    route: &'static str,
    at: Instant,
}

/// Waiters of both routes, all connected.
struct Crowd {
    tasks: JoinSet<io::Result<()>>,
    woken: mpsc::UnboundedReceiver<Woken>,
    tell: mpsc::UnboundedSender<Woken>,
    pull: SocketAddr,
}

pub(crate) async fn measure(bench: &mut Bench) -> io::Result<()> {
    let folder = bench.fresh_folder()?;
    let server = Server::start(Keep::Durable, folder.path(), bench.sink.addr).await?;
    let (tell, woken) = mpsc::unbounded_channel();
    let mut crowd = Crowd { tasks: JoinSet::new(), woken, tell, pull: server.pull };
    let mut sender = Connection::open(server.ingress).await?;
    let post = request("POST", "/in", "", b"x");
    crowd.come("/in", FIRST, FIRST).await?;
    for _ in 0..100 {
        crowd.wake_one(&mut sender, &post).await?;
    }
    settled().await;
    let before = server.resident();
    crowd.come("/other", POLLS, STREAMS).await?;
    crowd.come("/in", POLLS - FIRST, STREAMS - FIRST).await?;
    settled().await;
    let number = 2 * (POLLS + STREAMS - FIRST);
    let each = server.resident().saturating_sub(before) as f64 / number as f64 / 1024.0;
    bench.table.bar(
        "memory of an idle waiter, 1,000 long polls and 200 streams",
        format!("{each:.1} KiB"),
        "",
        "<= 20 KiB",
        each <= 20.0,
    );

    let mut taken = Vec::with_capacity(MESSAGES);
    for _ in 0..MESSAGES {
        let micros = crowd.wake_one(&mut sender, &post).await?.as_micros();
        taken.push(u32::try_from(micros).unwrap_or(u32::MAX));
    }
    taken.sort_unstable();
    let p99 = percentile(&taken, 0.99);
    let figure = format!("p50 {:.2} ms, p99 {p99:.2} ms", percentile(&taken, 0.5));
    bench.table.bar("202 to one of 600 waiters of its route", figure, "", "p99 <= 20 ms", p99 <= 20.0);
    burst(bench, &mut crowd, &server).await?;
    crowd.tasks.abort_all();
    server.stop()
}

/// As many messages at once as there are waiters of the route.
async fn burst(bench: &mut Bench, crowd: &mut Crowd, server: &Server) -> io::Result<()> {
    let number = POLLS + STREAMS;
    let item = |id| format!(r#"{{"id":"burst-{id}","route":"/in","payload_b64":"eA=="}}"#);
    let body = format!(r#"{{"items":[{}]}}"#, (0..number).map(item).collect::<Vec<_>>().join(","));
    let publish = request("POST", "/messages/publish", "X-Hookaido-Audit-Reason: bench\r\n", body.as_bytes());
    let mut publisher = Connection::open(server.admin).await?;
    let begun = Instant::now();
    let answer = publisher.send(&publish).await?;
    if answer.status != 200 {
        return Err(io::Error::other(format!("publish: {} {}", answer.status, String::from_utf8_lossy(answer.body))));
    }
    let mut last = begun;
    for _ in 0..number {
        last = crowd.next().await?.at;
    }
    let took = last.saturating_duration_since(begun).as_secs_f64() * 1000.0;
    bench
        .table
        .note("600 messages published at once, until the last of 600 waiters has its own", format!("{took:.1} ms"));
    Ok(())
}

/// What was begun is done by then.
async fn settled() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

impl Crowd {
    /// Connects further waiters of a route.
    async fn come(&mut self, route: &'static str, polls: usize, streams: usize) -> io::Result<()> {
        for _ in 0..polls {
            let connection = Connection::open(self.pull).await?;
            self.tasks.spawn(poll(connection, route, self.tell.clone()));
        }
        for _ in 0..streams {
            let stream = TcpStream::connect(self.pull).await?;
            self.tasks.spawn(stream_events(stream, self.pull, route, self.tell.clone()));
        }
        Ok(())
    }

    /// Sends a message to `/in`; the time from its answer to the waiter.
    async fn wake_one(&mut self, sender: &mut Connection, post: &[u8]) -> io::Result<Duration> {
        let answer = sender.send(post).await?;
        if answer.status != 202 {
            return Err(io::Error::other(format!("ingress answered {}", answer.status)));
        }
        let accepted = Instant::now();
        Ok(self.next().await?.at.saturating_duration_since(accepted))
    }

    async fn next(&mut self) -> io::Result<Woken> {
        let woken = tokio::time::timeout(Duration::from_secs(10), self.woken.recv()).await;
        match woken {
            Ok(Some(woken)) if woken.route == "/in" => Ok(woken),
            Ok(Some(_)) => Err(io::Error::other("a waiter of another route was woken")),
            Ok(None) | Err(_) => Err(io::Error::other("nobody was woken within ten seconds")),
        }
    }
}

/// Polls again and again.
async fn poll(mut connection: Connection, route: &'static str, tell: mpsc::UnboundedSender<Woken>) -> io::Result<()> {
    let ask = request("POST", &format!("{route}/dequeue"), TOKEN, br#"{"max_wait":"10m"}"#);
    loop {
        let answer = connection.send(&ask).await?;
        let _measured = tell.send(Woken { route, at: Instant::now() });
        for lease in lease_ids(answer.body) {
            let ack = format!(r#"{{"lease_id":"{lease}"}}"#);
            connection.send(&request("POST", &format!("{route}/ack"), TOKEN, ack.as_bytes())).await?;
        }
    }
}

/// Reads a stream; acknowledges over a connection that lasts no longer than that.
async fn stream_events(
    mut stream: TcpStream,
    pull: SocketAddr,
    route: &'static str,
    tell: mpsc::UnboundedSender<Woken>,
) -> io::Result<()> {
    stream.write_all(&request("GET", &format!("{route}/stream"), TOKEN, b"")).await?;
    let mut buffer = Vec::with_capacity(2048);
    loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = buffer.drain(..end + 2).collect();
            for lease in lease_ids(&block) {
                let _measured = tell.send(Woken { route, at: Instant::now() });
                let ack = format!(r#"{{"lease_id":"{lease}"}}"#);
                let mut connection = Connection::open(pull).await?;
                connection.send(&request("POST", &format!("{route}/ack"), TOKEN, ack.as_bytes())).await?;
            }
        }
    }
}
