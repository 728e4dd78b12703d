//! Closed-loop load: a number of connections, each sending its next request when the last one is answered.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::client::{Connection, Target};

/// What a run of load saw.
#[derive(Debug, Default, Clone)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) refused: u64,
    pub(crate) elapsed: Duration,
    /// Microseconds, sorted.
    pub(crate) latencies: Vec<u32>,
}

impl Load {
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Milliseconds.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        percentile(&self.latencies, share)
    }
}

/// The value below which `share` of the sorted microseconds lie, in milliseconds.
pub(crate) fn percentile(sorted: &[u32], share: f64) -> f64 {
    let index = (sorted.len().saturating_sub(1) as f64 * share) as usize;
    f64::from(sorted.get(index).copied().unwrap_or_default()) / 1000.0
}

/// What is sent.
#[derive(Clone)]
pub(crate) enum Requests {
    /// The same bytes every time.
    Same(Arc<Vec<u8>>),
    /// Other bytes every time, made by this.
    Made(fn() -> Vec<u8>),
}

impl From<Arc<Vec<u8>>> for Requests {
    fn from(request: Arc<Vec<u8>>) -> Self {
        Self::Same(request)
    }
}

/// Sends requests over `connections` connections for `time`. Answers other than `want` count as refused.
pub(crate) async fn flood(
    target: impl Into<Target>,
    connections: usize,
    requests: impl Into<Requests>,
    want: u16,
    time: Duration,
) -> io::Result<Load> {
    let (target, requests) = (target.into(), requests.into());
    let mut opened = Vec::new();
    for _ in 0..connections {
        opened.push(Connection::open(target.clone()).await?);
    }
    let start = Instant::now();
    let end = start + time;
    let mut tasks = JoinSet::new();
    for mut connection in opened {
        let requests = requests.clone();
        tasks.spawn(async move {
            let mut load = Load::default();
            loop {
                let made;
                let request = match &requests {
                    Requests::Same(request) => request.as_slice(),
                    Requests::Made(make) => {
                        made = make();
                        made.as_slice()
                    }
                };
                let sent = Instant::now();
                if sent >= end {
                    return Ok::<_, io::Error>(load);
                }
                let status = connection.send(request).await?.status;
                load.latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
                if status == want {
                    load.requests += 1;
                } else {
                    load.refused += 1;
                }
            }
        });
    }
    let mut total = Load::default();
    while let Some(done) = tasks.join_next().await {
        let load = done.map_err(io::Error::other)??;
        total.requests += load.requests;
        total.refused += load.refused;
        total.latencies.extend(load.latencies);
    }
    total.elapsed = start.elapsed();
    total.latencies.sort_unstable();
    Ok(total)
}
