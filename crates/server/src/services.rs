//! The pull and admin services of one configuration.

use std::sync::Arc;

use hookaido_http::{Body, Handler, Peer, Reply, Request, Response};
use hookaido_model::Lane;
use hookaido_model::config::Config;

use crate::StartError;
use crate::app::App;
use crate::load::Loaded;

struct Health;
impl Handler for Health {
    fn handle(&self, _request: Request, _peer: &Arc<Peer>) -> Reply {
        Reply::ready(Response::new(Body::full("ok\n")))
    }
}

impl App {
    pub(crate) fn pull_table(
        &self,
        config: &Config,
        lane: &dyn Fn(&str, &str) -> Option<Arc<Lane>>,
    ) -> Result<Arc<hookaido_pull::Table>, StartError> {
        let parts = hookaido_pull::Parts {
            config,
            lane,
            secrets: &*self.secrets,
            queue: &self.queue,
            metrics: &self.metrics,
            bodies: &self.bodies,
            stop: self.stop.clone(),
        };
        let table = hookaido_pull::Table::build(&parts).map_err(|error| StartError::Auth(error.to_string()))?;
        Ok(Arc::new(table))
    }

    pub(crate) fn admin_service(
        &self,
        _loaded: &Loaded,
        _number: u64,
        _lane: &dyn Fn(&str, &str) -> Option<Arc<Lane>>,
    ) -> Result<Arc<dyn Handler>, StartError> {
        Ok(Arc::new(Health))
    }
}
