//! The services of one configuration, built as a whole before any of them is served.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hookaido_auth::{PreparedSecrets, SecretPools};
use hookaido_dispatch::{DispatchPlan, PreparedPlan};
use hookaido_http::{Front, Handler, PrefixMux, Protocol, ServerTls};
use hookaido_model::config::{Config, RouteWork, Tls};
use hookaido_model::{Lane, PULL_TARGET};
use hookaido_queue::store::Rules;

use crate::StartError;
use crate::app::App;
use crate::load::Loaded;
use crate::metrics_endpoint::MetricsEndpoint;

/// What is served, address by address, and what is pushed.
pub(crate) struct Generation {
    /// By address as configured.
    pub(crate) sites: BTreeMap<String, PrefixMux>,
    /// What TLS listeners present, by address; read anew with each generation, so that a reload takes changed certificates.
    pub(crate) tls: BTreeMap<String, Arc<ServerTls>>,
    pub(crate) push: PreparedPlan,
    /// Adopted before anything is served.
    pub(crate) secrets: Option<PreparedSecrets>,
    /// What becomes of messages that workers do not finish.
    pub(crate) rules: Rules,
    /// Retired when another generation takes over.
    pub(crate) pull: Option<Arc<hookaido_pull::Table>>,
}

/// Lanes by route and target.
type Lanes = HashMap<(Arc<str>, Arc<str>), Arc<Lane>>;

impl App {
    /// Makes everything that a configuration needs and that can fail. Changes nothing that runs.
    pub(crate) async fn build(&self, loaded: &Loaded, number: u64) -> Result<Generation, StartError> {
        let config = &loaded.config;
        let lanes = self.lanes(config).await?;
        let find = |route: &str, target: &str| lanes.get(&(Arc::from(route), Arc::from(target))).cloned();
        let push = DispatchPlan::from_config(config, &find).map_err(|error| StartError::Auth(error.to_string()))?;
        let secrets = self.runtime_secrets.prepare(&config.secrets, &*self.secrets, self.clock.now())?;
        let pools = &secrets.pools;
        let push = self.dispatcher.prepare(push, pools).map_err(|error| StartError::Auth(error.to_string()))?;
        let pull = config.pull_api.as_ref().map(|_| self.pull_table(config, &find)).transpose()?;
        let sites = self.sites(loaded, number, &find, (pools, pull.as_ref()))?;
        let tls = tls(config)?;
        Ok(Generation { sites, tls, push, secrets: Some(secrets), rules: rules(config, &find), pull })
    }

    async fn lanes(&self, config: &Config) -> Result<Lanes, StartError> {
        let mut pairs = DispatchPlan::pairs(config);
        let pull: Arc<str> = Arc::from(PULL_TARGET);
        let pulled = config.routes.iter().filter(|route| matches!(route.work, RouteWork::Pull(_)));
        pairs.extend(pulled.map(|route| (Arc::clone(&route.path), Arc::clone(&pull))));
        let lanes = self.queue.lanes(pairs.clone()).await.map_err(|error| StartError::Queue(error.to_string()))?;
        Ok(pairs.into_iter().zip(lanes).collect())
    }

    /// The services of each address.
    fn sites(
        &self,
        loaded: &Loaded,
        number: u64,
        lane: &dyn Fn(&str, &str) -> Option<Arc<Lane>>,
        (pools, pull): (&SecretPools, Option<&Arc<hookaido_pull::Table>>),
    ) -> Result<BTreeMap<String, PrefixMux>, StartError> {
        let config = &loaded.config;
        let mut sites = Sites::default();
        let ingress = self.ingress_service(config, lane, pools)?;
        sites.add(&config.ingress.listen, "", "ingress", ingress);
        if let (Some(api), Some(table)) = (&config.pull_api, pull) {
            let service = Arc::new(hookaido_pull::PullApi(Arc::clone(table)));
            sites.add(&api.listen, &api.prefix, "pull_api", service);
            if let (Some(listen), Some(worker_grpc)) = (&api.grpc_listen, self.worker_grpc) {
                sites.add(listen, "", "worker_grpc", worker_grpc(Arc::clone(table)));
            }
        }
        let admin = self.admin_service(loaded, number, lane)?;
        sites.add(&config.admin_api.listen, &config.admin_api.prefix, "admin_api", admin);
        if let Some(metrics) = &config.observability.metrics {
            let endpoint = MetricsEndpoint {
                prefix: metrics.prefix.clone(),
                queue: self.queue.clone(),
                ingress: Arc::clone(&self.ingress),
                metrics: Arc::clone(&self.metrics),
                exporter: Arc::clone(&self.exporter),
                clock: Arc::clone(&self.clock),
            };
            sites.add(&metrics.listen, "", "metrics", Arc::new(endpoint));
        }
        let sites = sites.0.into_iter();
        Ok(sites.map(|(listen, site)| (listen.clone(), site.behind(Front::new(&config.front_of(&listen))))).collect())
    }

    fn ingress_service(
        &self,
        config: &Config,
        lane: &dyn Fn(&str, &str) -> Option<Arc<Lane>>,
        pools: &SecretPools,
    ) -> Result<Arc<dyn Handler>, StartError> {
        let parts = hookaido_ingress::Parts {
            ingress: &config.ingress,
            adaptive_backpressure: &config.adaptive_backpressure,
            routes: &config.routes,
            lane,
            secrets: &*self.secrets,
            pools,
            forward: &|url| crate::forward::forward(&self.caller, url),
            queue: &self.queue,
            metrics: &self.metrics,
            state: &self.ingress,
        };
        let table = hookaido_ingress::Table::build(&parts).map_err(|error| StartError::Auth(error.to_string()))?;
        Ok(Arc::new(hookaido_ingress::Ingress(Arc::new(table))))
    }
}

/// The rules of the pulled routes. Pushed ones have a retry policy instead.
fn rules(config: &Config, lane: &dyn Fn(&str, &str) -> Option<Arc<Lane>>) -> Rules {
    let pulled = config.routes.iter().filter_map(|route| match &route.work {
        RouteWork::Pull(pull) => Some((lane(&route.path, PULL_TARGET)?.id, pull.redelivery)),
        RouteWork::Deliver { .. } => None,
    });
    Rules::new(pulled)
}

/// Reads the certificates of every TLS listener.
fn tls(config: &Config) -> Result<BTreeMap<String, Arc<ServerTls>>, StartError> {
    let read = tls_of(config).into_iter().map(|(listen, tls)| {
        let read = ServerTls::read(tls).map_err(|error| StartError::Listen(format!("{listen}: {error}")))?;
        Ok((listen.to_owned(), Arc::new(read)))
    });
    read.collect()
}

/// The `tls` of each address. The compiler sees to it that APIs on one address agree.
pub(crate) fn tls_of(config: &Config) -> BTreeMap<&str, &Tls> {
    let listeners = [(&config.ingress.listen, &config.ingress.tls), (&config.admin_api.listen, &config.admin_api.tls)];
    let pull = config.pull_api.iter().flat_map(|api| {
        [Some(&api.listen), api.grpc_listen.as_ref()].into_iter().flatten().map(|listen| (listen, &api.tls))
    });
    listeners.into_iter().chain(pull).filter_map(|(listen, tls)| Some((listen.as_str(), tls.as_ref()?))).collect()
}

/// What is spoken on an address. That of gRPC is never shared.
pub(crate) fn protocol(config: &Config, listen: &str) -> Protocol {
    match config.pull_api.as_ref().and_then(|api| api.grpc_listen.as_deref()) {
        Some(grpc) if grpc == listen => Protocol::Http2,
        _ => Protocol::Http,
    }
}

#[derive(Default)]
struct Sites(BTreeMap<String, PrefixMux>);

impl Sites {
    fn add(&mut self, listen: &str, prefix: &str, component: &'static str, handler: Arc<dyn Handler>) {
        let site = match self.0.remove(listen) {
            Some(site) => site.mount(prefix, component, handler),
            None if prefix.is_empty() => PrefixMux::new(component, handler),
            None => PrefixMux::empty().mount(prefix, component, handler),
        };
        self.0.insert(listen.to_owned(), site);
    }
}
