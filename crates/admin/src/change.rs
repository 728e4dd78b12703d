//! A change of an endpoint, as whoever owns the configuration file is asked for it; and the rules that decide what it comes to.
//!
//! The rules are judged against the file as it is at that moment, so the owner calls [`EndpointChange::step`]. Pure.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hookaido_model::config::{Config, Managed, Route, RouteWork};

/// Puts an endpoint on a route, or takes it off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointChange {
    /// Application and name.
    pub labels: Managed,
    /// Path of the route; `None` to delete the endpoint.
    pub route: Option<String>,
}

/// What has become of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointAction {
    /// It is new.
    Created,
    /// It was moved from another route.
    Updated,
    /// It was there already.
    Unchanged,
    /// It is gone.
    Deleted,
}

/// A change that has been made: in the file, and in what is served.
#[derive(Clone, Debug)]
pub struct EndpointChanged {
    /// What it came to.
    pub action: EndpointAction,
    /// The route it is about.
    pub route: Arc<Route>,
}

/// What a change needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EndpointStep<'c> {
    /// What it comes to.
    pub action: EndpointAction,
    /// The route that loses its labels; it may have no backlog.
    pub from: Option<&'c Route>,
    /// The route that gets them.
    pub to: Option<&'c Route>,
}

/// Why an endpoint was not changed. Then nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Nothing to delete.
    #[error("no route has this application and endpoint name")]
    NoEndpoint,
    /// No such route.
    #[error("the configuration has no route with this path")]
    NoRoute,
    /// The route is another endpoint.
    #[error("route {route} is endpoint `{}` of application `{}`", .labels.endpoint, .labels.application)]
    Mapped {
        /// Path of the route.
        route: Arc<str>,
        /// Its labels.
        labels: Managed,
    },
    /// The route is closed to publishing by endpoint.
    #[error("route {route} has `{directive} off`")]
    PublishOff {
        /// Path of the route.
        route: Arc<str>,
        /// What closes it.
        directive: &'static str,
    },
    /// The routes differ in mode or targets.
    #[error(
        "route {from} has {from_targets}, route {to} has {to_targets}: an endpoint moves between routes with the same"
    )]
    OtherTargets {
        /// Path of the present route.
        from: Arc<str>,
        /// Its targets.
        from_targets: String,
        /// Path of the new route.
        to: Arc<str>,
        /// Its targets.
        to_targets: String,
    },
    /// Messages wait or are leased.
    #[error("route {route} has {waiting} queued or leased messages; let them be worked off, or cancel them")]
    Backlog {
        /// Path of the route.
        route: Arc<str>,
        /// How many.
        waiting: u64,
    },
    /// The file or the server stands in the way.
    #[error("{0}")]
    Unavailable(String),
}

/// A change under way.
pub type EndpointWork<'a> = Pin<Box<dyn Future<Output = Result<EndpointChanged, EndpointError>> + Send + 'a>>;

/// Whoever owns the configuration file.
pub trait EndpointChanges: Send + Sync + fmt::Debug {
    /// Makes a change in full or not at all: in the file, and in what is served.
    fn change(&self, change: EndpointChange) -> EndpointWork<'_>;
}

impl EndpointChange {
    /// What the change comes to, given the file. Whether the route that loses its labels has a backlog is for the caller to see.
    ///
    /// # Errors
    /// Why it may not be made.
    pub fn step<'c>(&self, config: &'c Config) -> Result<EndpointStep<'c>, EndpointError> {
        let from = config.routes.iter().find(|route| route.managed.as_ref() == Some(&self.labels));
        let Some(path) = &self.route else {
            let from = from.ok_or(EndpointError::NoEndpoint)?;
            return Ok(EndpointStep { action: EndpointAction::Deleted, from: Some(from), to: None });
        };
        let to = config.routes.iter().find(|route| *route.path == **path).ok_or(EndpointError::NoRoute)?;
        if let Some(labels) = &to.managed {
            if *labels == self.labels {
                return Ok(EndpointStep { action: EndpointAction::Unchanged, from: None, to: Some(to) });
            }
            return Err(EndpointError::Mapped { route: Arc::clone(&to.path), labels: labels.clone() });
        }
        let closed = [(to.publish.enabled, "publish"), (to.publish.managed, "publish.managed")];
        if let Some((_, directive)) = closed.into_iter().find(|(open, _)| !open) {
            return Err(EndpointError::PublishOff { route: Arc::clone(&to.path), directive });
        }
        let action = match from {
            None => EndpointAction::Created,
            Some(from) if targets(from) == targets(to) => EndpointAction::Updated,
            Some(from) => {
                return Err(EndpointError::OtherTargets {
                    from: Arc::clone(&from.path),
                    from_targets: shown(from),
                    to: Arc::clone(&to.path),
                    to_targets: shown(to),
                });
            }
        };
        Ok(EndpointStep { action, from, to: Some(to) })
    }
}

/// Names of the targets; none where workers pull.
pub(crate) fn targets(route: &Route) -> Option<Vec<&str>> {
    match &route.work {
        RouteWork::Pull(_) => None,
        RouteWork::Deliver { targets, .. } => Some(targets.iter().map(|delivery| &*delivery.target).collect()),
    }
}

fn shown(route: &Route) -> String {
    match targets(route) {
        None => "workers that pull".to_owned(),
        Some(targets) => format!("the targets {}", targets.join(", ")),
    }
}
