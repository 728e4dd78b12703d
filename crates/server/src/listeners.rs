//! The sockets of a configuration and the sites behind them.
//!
//! Addresses are fixed while running (a change of one needs a restart); what is served behind them is exchanged by a reload.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hookaido_http::{
    BoundListener, Drain, ListenerLimits, ListenerOptions, PrefixMux, Protocol, ServerTls, bind, serve,
};
use hookaido_model::config::Config;
use tokio_util::task::TaskTracker;

use crate::StartError;
use crate::app::{App, DRAIN};
use crate::descriptors;
use crate::generation::{Generation, protocol};
use crate::tasks::noticed;

/// A socket and what will be served on it.
type Bound = (BoundListener, Arc<ArcSwap<PrefixMux>>);

/// Sockets that are served.
pub(crate) struct Running {
    sites: BTreeMap<String, Arc<ArcSwap<PrefixMux>>>,
    tls: BTreeMap<String, Arc<ArcSwap<ServerTls>>>,
    /// One task a listener.
    pub(crate) tasks: TaskTracker,
}

impl Running {
    /// Binds every address, or none.
    pub(crate) fn start(app: &App, config: &Config, generation: &Generation) -> Result<Self, StartError> {
        let bound: Result<Vec<Bound>, StartError> = generation
            .sites
            .iter()
            .map(|(listen, site)| {
                let listener = bind(listen).map_err(|error| StartError::Listen(error.to_string()))?;
                Ok((listener, Arc::new(ArcSwap::from_pointee(site.clone()))))
            })
            .collect();
        let descriptors = descriptors::raise();
        let mut running = Self { sites: BTreeMap::new(), tls: BTreeMap::new(), tasks: TaskTracker::new() };
        for (listener, site) in bound? {
            running.sites.insert(listener.configured().to_owned(), Arc::clone(&site));
            let tls = generation.tls.get(listener.configured()).map(|tls| Arc::new(ArcSwap::new(Arc::clone(tls))));
            running.tls.extend(tls.iter().map(|tls| (listener.configured().to_owned(), Arc::clone(tls))));
            let protocol = protocol(config, listener.configured());
            let options = ListenerOptions {
                protocol,
                limits: limits(config, (listener.configured(), protocol), descriptors),
                tls,
                access_log: app.logs.handles.access(),
                metrics: Arc::clone(&app.metrics),
            };
            let drain = Drain { stop: app.stop.clone(), budget: DRAIN };
            let tasks = running.tasks.clone();
            running.tasks.spawn(noticed("listener", tasks, serve(listener, site, options, drain)));
        }
        log(config);
        Ok(running)
    }

    /// Serves another generation on the same sockets. Each request sees one generation as a whole.
    pub(crate) fn exchange(&self, generation: &Generation) {
        for (listen, site) in &generation.sites {
            if let Some(running) = self.sites.get(listen) {
                running.store(Arc::new(site.clone()));
            }
        }
        for (listen, tls) in &generation.tls {
            self.present(listen, tls);
        }
    }

    /// Presents other certificates to new connections of an address; `false` where they are those that it presents already.
    pub(crate) fn present(&self, listen: &str, tls: &Arc<ServerTls>) -> bool {
        let Some(running) = self.tls.get(listen) else { return false };
        // Unchanged ones stay, and with them the sessions that clients may resume.
        let changed = !running.load().is_same(tls);
        if changed {
            running.store(Arc::clone(tls));
        }
        changed
    }
}

/// Time for which a gRPC connection may be idle: workers keep theirs while they work on a message.
const GRPC_IDLE: Duration = Duration::from_secs(300);
/// Calls of one gRPC connection: a worker shares one among all of its threads, and each may wait for a message.
const GRPC_CALLS: u32 = 1024;

/// Heads may be as large as the largest `max_headers` asks for, within reason; connections as many as there are descriptors for.
fn limits(config: &Config, (listen, protocol): (&str, Protocol), descriptors: Option<u64>) -> ListenerLimits {
    let defaults = match protocol {
        Protocol::Http => ListenerLimits::default(),
        Protocol::Http2 => ListenerLimits { http2_idle: GRPC_IDLE, http2_streams: GRPC_CALLS, ..Default::default() },
    };
    let wanted = config.front_of(listen).max_connections.and_then(|most| usize::try_from(most).ok());
    let wanted = wanted.unwrap_or(defaults.max_connections);
    let max_connections = descriptors::connections(wanted, descriptors);
    if max_connections < wanted {
        tracing::warn!(target: "hookaido", addr = listen, descriptors, max_connections, "connections_limited_by_descriptors");
    }
    let wanted = config.routes.iter().map(|route| route.max_headers).max().unwrap_or(config.max_headers);
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).saturating_add(4096);
    let max_head_bytes = wanted.clamp(defaults.max_head_bytes, 1 << 20);
    ListenerLimits { max_head_bytes, max_connections, ..defaults }
}

fn log(config: &Config) {
    let shared = |listen: &str| {
        let ingress = usize::from(config.ingress.listen == listen);
        let pull = usize::from(config.pull_api.as_ref().is_some_and(|api| api.listen == listen));
        ingress + pull + usize::from(config.admin_api.listen == listen) > 1
    };
    let ingress = config.ingress.listen.as_str();
    tracing::info!(target: "hookaido", addr = ingress, shared = shared(ingress), "ingress_listening");
    if let Some(api) = &config.pull_api {
        let addr = api.listen.as_str();
        tracing::info!(target: "hookaido", addr, prefix = api.prefix.as_str(), shared = shared(addr), "pull_api_listening");
        if let Some(addr) = api.grpc_listen.as_deref() {
            tracing::info!(target: "hookaido", addr, "pull_worker_grpc_listening");
        }
    }
    let (addr, prefix) = (config.admin_api.listen.as_str(), config.admin_api.prefix.as_str());
    tracing::info!(target: "hookaido", addr, prefix, shared = shared(addr), "admin_api_listening");
    if let Some(metrics) = &config.observability.metrics {
        tracing::info!(target: "hookaido", addr = metrics.listen.as_str(), prefix = metrics.prefix.as_str(), "metrics_listening");
    }
}

/// Waits for the listeners, which end by themselves after `stop`, a little longer than they need.
pub(crate) async fn ended(running: &Running) {
    running.tasks.close();
    if tokio::time::timeout(DRAIN + Duration::from_secs(2), running.tasks.wait()).await.is_err() {
        tracing::warn!(target: "hookaido", "listeners_drain_incomplete");
    }
}
