//! Workers: dequeue and acknowledge, in batches and one by one; the queue filled by publishing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::client::{Connection, request};

pub(crate) const TOKEN: &str = "Authorization: Bearer t\r\n";
const AUDIT: &str = "X-Hookaido-Audit-Reason: bench\r\n";

/// Publishes `count` messages of `size` bytes to `route` in batches of 1,000 over a few connections; messages a second.
pub(crate) async fn publish(admin: SocketAddr, route: &'static str, count: u64, size: usize) -> io::Result<f64> {
    let payload = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, vec![b'x'; size]);
    let tail: Arc<str> = format!(r#"","route":"{route}","payload_b64":"{payload}"}}"#).into();
    let left = Arc::new(AtomicU64::new(count / 1000));
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let (tail, left) = (Arc::clone(&tail), Arc::clone(&left));
        tasks.spawn(async move {
            let mut connection = Connection::open(admin).await?;
            while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
                let answer = connection.send(&batch(&tail)).await?;
                if answer.status != 200 {
                    let text = String::from_utf8_lossy(answer.body).into_owned();
                    return Err(io::Error::other(format!("publish: {} {text}", answer.status)));
                }
            }
            Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(io::Error::other)??;
    }
    Ok(count as f64 / begin.elapsed().as_secs_f64())
}

/// `workers` connections dequeue `batch` and acknowledge, until the queue is empty or `time` is over; messages a second.
pub(crate) async fn drain(
    pull: SocketAddr,
    endpoint: &'static str,
    workers: usize,
    batch: u32,
    time: Duration,
) -> io::Result<f64> {
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..workers {
        tasks.spawn(worker(pull, endpoint, batch, begin + time));
    }
    let mut total = 0;
    while let Some(done) = tasks.join_next().await {
        total += done.map_err(io::Error::other)??;
    }
    Ok(total as f64 / begin.elapsed().as_secs_f64())
}

/// A request that publishes 1,000 messages with ids that no other has.
fn batch(tail: &str) -> Vec<u8> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let first = NEXT.fetch_add(1000, Ordering::Relaxed);
    let mut body = String::with_capacity(1000 * (tail.len() + 24));
    body.push_str(r#"{"items":["#);
    for id in first..first + 1000 {
        body.push_str(if id == first { r#"{"id":"b"# } else { r#",{"id":"b"# });
        body.push_str(&id.to_string());
        body.push_str(tail);
    }
    body.push_str("]}");
    request("POST", "/messages/publish", AUDIT, body.as_bytes())
}

async fn worker(pull: SocketAddr, endpoint: &'static str, batch: u32, end: Instant) -> io::Result<u64> {
    let mut connection = Connection::open(pull).await?;
    let ask = request("POST", &format!("{endpoint}/dequeue"), TOKEN, format!(r#"{{"batch":{batch}}}"#).as_bytes());
    let mut total = 0;
    while Instant::now() < end {
        let answer = connection.send(&ask).await?;
        let leases = lease_ids(answer.body);
        if leases.is_empty() {
            break;
        }
        let body = match (batch, leases.first()) {
            (1, Some(lease)) => format!(r#"{{"lease_id":"{lease}"}}"#),
            _ => format!(r#"{{"lease_ids":["{}"]}}"#, leases.join("\",\"")),
        };
        let ack = request("POST", &format!("{endpoint}/ack"), TOKEN, body.as_bytes());
        let status = connection.send(&ack).await?.status;
        if !matches!(status, 200 | 204) {
            return Err(io::Error::other(format!("ack answered {status}")));
        }
        total += leases.len() as u64;
    }
    Ok(total)
}

/// Finds the lease ids without parsing the payloads, so that the load costs little beside the server.
pub(crate) fn lease_ids(body: &[u8]) -> Vec<String> {
    const KEY: &str = "\"lease_id\":\"";
    let text = std::str::from_utf8(body).unwrap_or_default();
    let rest = text.split(KEY).skip(1);
    rest.filter_map(|after| after.split('"').next()).map(str::to_owned).collect()
}

/// Milliseconds from an answered webhook to the worker that was waiting for it, sorted microseconds.
pub(crate) async fn wake_ups(ingress: SocketAddr, pull: SocketAddr, rounds: usize) -> io::Result<Vec<u32>> {
    let mut sender = Connection::open(ingress).await?;
    let post = request("POST", "/other", "", b"x");
    let ask = request("POST", "/other/dequeue", TOKEN, br#"{"max_wait":"10s"}"#);
    let mut taken = Vec::new();
    for _ in 0..rounds {
        let mut waiter = Connection::open(pull).await?;
        let ask = ask.clone();
        let (started, is_started) = tokio::sync::oneshot::channel();
        let waiting = tokio::task::spawn(async move {
            let _receiver_waits = started.send(());
            let leases = lease_ids(waiter.send(&ask).await?.body);
            Ok::<_, io::Error>((Instant::now(), leases, waiter))
        });
        is_started.await.map_err(io::Error::other)?;
        tokio::time::sleep(Duration::from_millis(15)).await;
        sender.send(&post).await?;
        let accepted = Instant::now();
        let (woken, leases, mut waiter) = waiting.await.map_err(io::Error::other)??;
        let micros = woken.saturating_duration_since(accepted).as_micros();
        taken.push(u32::try_from(micros).unwrap_or(u32::MAX));
        for lease in leases {
            let ack = request("POST", "/other/ack", TOKEN, format!(r#"{{"lease_id":"{lease}"}}"#).as_bytes());
            waiter.send(&ack).await?;
        }
    }
    taken.sort_unstable();
    Ok(taken)
}

/// The value of a metric without labels.
pub(crate) async fn metric(metrics: SocketAddr, name: &str) -> io::Result<f64> {
    let mut connection = Connection::open(metrics).await?;
    let answer = connection.send(&request("GET", "/metrics", "", b"")).await?;
    let text = String::from_utf8_lossy(answer.body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.trim().parse().ok()).ok_or_else(|| io::Error::other(format!("no metric {name}")))
}

/// Messages queued, as health tells.
pub(crate) async fn queued(admin: SocketAddr) -> io::Result<u64> {
    count(admin, "queued").await
}

/// Messages in one state, as health tells.
pub(crate) async fn count(admin: SocketAddr, state: &str) -> io::Result<u64> {
    let mut connection = Connection::open(admin).await?;
    let answer = connection.send(&request("GET", "/healthz?details=1", "", b"")).await?;
    let health: Value = serde_json::from_slice(answer.body)?;
    health
        .pointer(&format!("/diagnostics/queue/by_state/{state}"))
        .and_then(Value::as_u64)
        .ok_or_else(|| io::Error::other("health tells no queue"))
}
