//! Builds the services behind the listeners for one configuration.
use crate::StartError;
use crate::app::App;
use crate::load::Loaded;
use hookaido_http::{Body, Handler, Peer, Reply, Request, Response};
use hookaido_model::Lane;
use hookaido_model::config::Config;
use std::sync::Arc;
struct Health;
impl Handler for Health {
    fn handle(&self, _request: Request, _peer: &Arc<Peer>) -> Reply {
        Reply::ready(Response::new(Body::full("ok\n")))
    }
}
impl App {
    pub(crate) fn pull_service(
        &self,
        _config: &Config,
        _lane: &dyn Fn(&str, &str) -> Option<Arc<Lane>>,
    ) -> Result<Arc<dyn Handler>, StartError> {
        Ok(Arc::new(Health))
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
