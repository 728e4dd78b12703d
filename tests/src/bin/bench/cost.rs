//! What signatures, TLS, many routes and the access log cost durable ingress: the same load with and without, in turn.
//!
//! Two figures for each: the rates, whose ratio has the bar, and the processor time of the server for each request, which does not depend on
//! what the load generator beside it needs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::Bench;
use crate::client::{Target, request};
use crate::load::{Requests, flood};
use crate::process::{Extra, Keep, Server};
use crate::table::{per_cent, thousands};

/// Pairs of rounds; the median of their ratios counts, so that a single disturbance of the machine does not.
const ROUNDS: usize = 5;
const CONNECTIONS: usize = 64;
const BODY: [u8; 512] = [b'x'; 512];

/// One side of a comparison.
struct Side<'a> {
    server: &'a Server,
    target: Target,
    requests: Requests,
}

impl<'a> Side<'a> {
    fn plain(server: &'a Server, path: &str) -> Self {
        Self { server, target: server.ingress.into(), requests: Arc::new(request("POST", path, "", &BODY)).into() }
    }
}

/// What was seen of one side.
#[derive(Default)]
struct Seen {
    rates: Vec<f64>,
    requests: f64,
    processor: Duration,
}

impl Seen {
    /// Microseconds of the server's processor time for a request.
    fn each(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.requests.max(1.0)
    }
}

pub(crate) async fn measure(bench: &mut Bench) -> io::Result<()> {
    let folders = [bench.fresh_folder()?, bench.fresh_folder()?, bench.fresh_folder()?, bench.fresh_folder()?];
    let sink = bench.sink.addr;
    let start = |at: usize, extra| Server::start_with(Keep::Durable, folders[at].path(), sink, extra);
    let plain = start(0, Extra { routes: 10, ..Extra::default() }).await?;
    let side = || Side::plain(&plain, "/in");

    let github = Requests::Same(Arc::new(github()));
    let signed = Side { server: &plain, target: plain.ingress.into(), requests: github };
    let seen = compare(bench, [side(), signed]).await?;
    row(bench, "signature of GitHub verified, 512 bytes", &seen, Some((10, "<= 10 %")));
    let signed = Side { server: &plain, target: plain.ingress.into(), requests: Requests::Made(canonical) };
    let seen = compare(bench, [side(), signed]).await?;
    row(bench, "canonical signature with nonce, the signing client included", &seen, None);

    let logged = start(1, Extra { access_log: true, ..Extra::default() }).await?;
    let seen = compare(bench, [side(), Side::plain(&logged, "/in")]).await?;
    row(bench, "access log on", &seen, Some((10, "<= 10 %")));
    logged.stop()?;

    let many = start(2, Extra { routes: 10_000, ..Extra::default() }).await?;
    let seen = compare(bench, [Side::plain(&plain, "/hooks/7"), Side::plain(&many, "/hooks/7777")]).await?;
    row(bench, "10,000 routes against 10", &seen, Some((10, "<= 10 %")));
    many.stop()?;

    let secured = start(3, Extra { tls: true, ..Extra::default() }).await?;
    let tls = e2e::tls::client(&json!({"ca": "ca.pem"}), folders[3].path()).map_err(io::Error::other)?;
    let target = Target { addr: secured.ingress, tls };
    let seen = compare(bench, [side(), Side { target, ..Side::plain(&secured, "/in") }]).await?;
    row(bench, "TLS on connections that stay, both ends", &seen, Some((20, "<= 20 %")));
    secured.stop()?;
    plain.stop()
}

/// Loads both sides in turn, and the other way round in the next round.
async fn compare(bench: &Bench, sides: [Side<'_>; 2]) -> io::Result<[Seen; 2]> {
    let mut seen = [Seen::default(), Seen::default()];
    for side in &sides {
        load(side, &mut Seen::default(), Duration::from_millis(500)).await?;
    }
    for round in 0..ROUNDS {
        for turn in [round % 2, 1 - round % 2] {
            load(&sides[turn], &mut seen[turn], bench.time).await?;
        }
    }
    Ok(seen)
}

async fn load(side: &Side<'_>, seen: &mut Seen, time: Duration) -> io::Result<()> {
    let before = side.server.processor();
    let load = flood(side.target.clone(), CONNECTIONS, side.requests.clone(), 202, time).await?;
    if load.refused > 0 {
        return Err(io::Error::other(format!("{} requests were refused", load.refused)));
    }
    seen.rates.push(load.rate());
    seen.requests += load.requests as f64;
    seen.processor += side.server.processor().saturating_sub(before);
    Ok(())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

/// One line of the table; the bar is the most that it may cost, in per cent of the rate.
fn row(bench: &mut Bench, name: &str, [without, with]: &[Seen; 2], bar: Option<(u32, &'static str)>) {
    let figure = format!(
        "{}/s against {}/s; {:.1} µs of the server's processor time a request against {:.1} µs",
        thousands(median(with.rates.clone())),
        thousands(median(without.rates.clone())),
        with.each(),
        without.each()
    );
    let ratios = with.rates.iter().zip(&without.rates).map(|(with, without)| with / without).collect();
    let cost = 1.0 - median(ratios);
    match bar {
        Some((most, text)) => {
            bench.table.bar(name, figure, format!("costs {}", per_cent(cost)), text, cost <= f64::from(most) / 100.0);
        }
        None => bench.table.note(name, format!("{figure} (costs {})", per_cent(cost))),
    }
}

fn hmac(text: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s").unwrap_or_else(|_any_length| Hmac::new(&Default::default()));
    mac.update(text);
    hex(&mac.finalize().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request that GitHub could have signed.
fn github() -> Vec<u8> {
    request("POST", "/github", &format!("X-Hub-Signature-256: sha256={}\r\n", hmac(&BODY)), &BODY)
}

/// A request as the documentation says, with a nonce of its own.
fn canonical() -> Vec<u8> {
    use sha2::Digest as _;
    static HASH: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| hex(&Sha256::digest(BODY)));
    let time = e2e::clock::unix_now();
    let signature = hmac(format!("{time}\nPOST\n/canonical\n{}", *HASH).as_bytes());
    let nonce = e2e::ports::random();
    let headers = format!("X-Signature: {signature}\r\nX-Timestamp: {time}\r\nX-Nonce: {nonce:x}\r\n");
    request("POST", "/canonical", &headers, &BODY)
}
