//! What is pushed where: the part of a compiled configuration that the dispatcher runs.
//!
//! Plain data, compared as a whole when a configuration is replaced: a route whose plan is equal keeps running.

use std::sync::Arc;

use hookaido_model::Lane;
use hookaido_model::config::{Config, Delivery, Egress, RouteWork};

/// Everything that is pushed.
#[derive(Clone, Debug, PartialEq)]
pub struct DispatchPlan {
    /// Where push may connect to.
    pub egress: Egress,
    /// The routes that push, in the order of the file.
    pub routes: Vec<RoutePlan>,
}

/// One route that pushes.
#[derive(Clone, Debug, PartialEq)]
pub struct RoutePlan {
    /// Its path, also the name of its queue.
    pub route: Arc<str>,
    /// Most deliveries in flight at a time, over all targets. Zero counts as one.
    pub concurrency: u32,
    /// Its targets; a route without any does nothing.
    pub targets: Vec<TargetPlan>,
}

/// One target of a route.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetPlan {
    /// Where its messages wait.
    pub lane: Arc<Lane>,
    /// How it is reached and retried.
    pub delivery: Delivery,
}

/// A plan that cannot run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The caller's lanes do not cover the configuration.
    #[error("route {route}: no lane for the target {target}")]
    UnknownLane {
        /// Path of the route.
        route: Arc<str>,
        /// Its target.
        target: Arc<str>,
    },
    /// A signing secret cannot be read.
    #[error("route {route}, target {target}: {reason}")]
    Secret {
        /// Path of the route.
        route: Arc<str>,
        /// Its target.
        target: Arc<str>,
        /// What is wrong, in words.
        reason: String,
    },
    /// TLS towards targets cannot be set up.
    #[error("TLS towards push targets: {0}")]
    Tls(String),
}

impl DispatchPlan {
    /// The pairs of route and target that [`DispatchPlan::from_config`] asks `lane` for.
    #[must_use]
    pub fn pairs(config: &Config) -> Vec<(Arc<str>, Arc<str>)> {
        let pushed = config.routes.iter().filter_map(|route| match &route.work {
            RouteWork::Deliver { targets, .. } => Some((&route.path, targets)),
            RouteWork::Pull(_) => None,
        });
        pushed.flat_map(|(path, targets)| targets.iter().map(|t| (Arc::clone(path), Arc::clone(&t.target)))).collect()
    }

    /// The plan of a configuration. `lane` finds the lane of a pair of route and target.
    ///
    /// # Errors
    /// `lane` does not know a pair.
    pub fn from_config(config: &Config, lane: &dyn Fn(&str, &str) -> Option<Arc<Lane>>) -> Result<Self, PlanError> {
        let mut routes = Vec::new();
        for route in &config.routes {
            let RouteWork::Deliver { concurrency, targets } = &route.work else { continue };
            let targets = targets.iter().map(|delivery| {
                let lane = lane(&route.path, &delivery.target).ok_or_else(|| PlanError::UnknownLane {
                    route: Arc::clone(&route.path),
                    target: Arc::clone(&delivery.target),
                })?;
                Ok(TargetPlan { lane, delivery: delivery.clone() })
            });
            let targets = targets.collect::<Result<Vec<_>, _>>()?;
            routes.push(RoutePlan { route: Arc::clone(&route.path), concurrency: *concurrency, targets });
        }
        Ok(Self { egress: config.egress.clone(), routes })
    }
}
