//! The stack without a queue: reads the body of every request and answers 202. What a durable server is measured against.
//!
//! `cargo run --release -p hookaido-http --example bare -- 127.0.0.1:8080 [access-log-file]`
#![expect(clippy::expect_used, reason = "a bench tool may stop at the first problem")]

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hookaido_http::{
    Body, ByteBudget, Drain, Handler, ListenerLimits, ListenerOptions, Peer, PrefixMux, Protocol, Reply, Request,
    Response, bind, read_body, serve,
};
use hookaido_model::SystemClock;
use hookaido_model::config::{AccessLog, LogOutput, RuntimeLog};
use hookaido_telemetry::{Metrics, init_logs};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use tokio_util::sync::CancellationToken;

struct Bare(ByteBudget);

impl Handler for Bare {
    fn handle(&self, request: Request, _: &Arc<Peer>) -> Reply {
        let budget = self.0.clone();
        Reply::later(async move {
            let body = read_body(request.into_body(), 1 << 20, Duration::from_secs(10), &budget).await;
            let mut response = Response::new(Body::full("{\"status\":\"queued\"}\n"));
            *response.status_mut() = body.map_or(StatusCode::BAD_REQUEST, |_| StatusCode::ACCEPTED);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        })
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = bind(&addr).expect("bind");
    let site = PrefixMux::new("ingress", Arc::new(Bare(ByteBudget::new(256 << 20))));
    let output = std::env::args().nth(2).map_or(LogOutput::Stderr, LogOutput::File);
    let access = AccessLog { enabled: output != LogOutput::Stderr, output };
    let runtime = RuntimeLog { level: None, output: LogOutput::Stderr };
    let logs = init_logs(&runtime, &access, None, Arc::new(SystemClock)).expect("logs");
    let options = ListenerOptions {
        protocol: Protocol::Http,
        limits: ListenerLimits::default(),
        tls: None,
        access_log: logs.access(),
        metrics: Metrics::new().0,
    };
    let drain = Drain { stop: CancellationToken::new(), budget: Duration::from_secs(5) };
    serve(listener, Arc::new(ArcSwap::from_pointee(site)), options, drain).await;
}
