//! One target, ready to be delivered to, whatever its transport.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use hookaido_auth::{SecretPools, SecretSource};
use hookaido_model::config::Transport as Configured;
use hookaido_model::{Envelope, RetryPolicy};

use crate::exec::ExecTarget;
use crate::http::{HttpClient, HttpTarget};
use crate::plan::{PlanError, TargetPlan};
use crate::reply::Reply;

/// A lease lasts this much longer than a try may take: for the wait of what is leased ahead, and for a store that is slow to settle. After
/// a crash the message waits as long. A lease that grew too old for a try is given back and taken anew, so a short margin costs little.
const MARGIN: Duration = Duration::from_secs(10);

/// Where signing secrets come from.
#[derive(Clone, Debug)]
pub(crate) struct Secrets {
    pub(crate) source: Arc<dyn SecretSource>,
    /// Named secrets of the configuration.
    pub(crate) pools: SecretPools,
}

/// One target.
#[derive(Debug)]
pub(crate) struct Target {
    /// What follows a failure.
    pub(crate) retry: RetryPolicy,
    /// Longest time of one try.
    pub(crate) timeout: Duration,
    transport: Transport,
}

#[derive(Debug)]
enum Transport {
    Http(Box<HttpTarget>),
    Exec(ExecTarget),
}

impl Target {
    /// Prepares a target. `path` is the search path for commands.
    ///
    /// # Errors
    /// A signing secret cannot be read.
    pub(crate) fn new(
        plan: &TargetPlan,
        client: &HttpClient,
        secrets: &Secrets,
        path: &OsStr,
    ) -> Result<Arc<Self>, PlanError> {
        let delivery = &plan.delivery;
        let failed = |error: hookaido_auth::AuthError| PlanError::Secret {
            route: Arc::clone(&plan.lane.route),
            target: Arc::clone(&plan.lane.target),
            reason: error.to_string(),
        };
        let transport = match &delivery.transport {
            Configured::Http(http) => {
                Transport::Http(Box::new(HttpTarget::new(delivery, http, client, secrets).map_err(failed)?))
            }
            Configured::Exec(exec) => Transport::Exec(ExecTarget::new(exec, path, delivery.timeout)),
        };
        Ok(Arc::new(Self { retry: delivery.retry.clone(), timeout: delivery.timeout, transport }))
    }

    /// How long a message is leased.
    pub(crate) fn lease_ttl(&self) -> Duration {
        self.timeout.saturating_add(MARGIN)
    }

    /// One try.
    pub(crate) async fn deliver(&self, envelope: &Envelope) -> Reply {
        let Some(content) = envelope.content.as_deref() else {
            return Reply::unreachable("the message was leased without its content".to_owned());
        };
        match &self.transport {
            Transport::Http(target) => target.deliver(content).await,
            Transport::Exec(target) => target.deliver(envelope, content).await,
        }
    }
}
