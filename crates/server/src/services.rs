//! The pull and admin services of one configuration.

use std::sync::Arc;

use hookaido_admin::EndpointChanges;
use hookaido_http::Handler;
use hookaido_model::Lane;
use hookaido_model::config::Config;

use crate::StartError;
use crate::app::App;
use crate::endpoints::Endpoints;
use crate::load::Loaded;

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
        loaded: &Loaded,
        number: u64,
        lane: &dyn Fn(&str, &str) -> Option<Arc<Lane>>,
    ) -> Result<Arc<dyn Handler>, StartError> {
        let endpoints: Arc<dyn EndpointChanges> = Arc::new(Endpoints(self.commands.clone()));
        let parts = hookaido_admin::Parts {
            config: &loaded.config,
            secrets: &*self.secrets,
            lane,
            queue: &self.queue,
            metrics: &self.metrics,
            bodies: &self.bodies,
            state: &self.admin,
            runtime_secrets: &self.runtime_secrets,
            endpoints: &endpoints,
            tasks: &self.requests,
            generation: hookaido_admin::Generation {
                fingerprint: loaded.fingerprint.clone(),
                number,
                loaded_at: self.clock.now(),
            },
        };
        let table = hookaido_admin::Table::build(&parts).map_err(|error| StartError::Auth(error.to_string()))?;
        Ok(Arc::new(hookaido_admin::AdminApi(Arc::new(table))))
    }
}
