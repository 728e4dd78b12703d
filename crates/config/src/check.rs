//! Rules between blocks: listeners that share an address, tokens, routes that get in each other's way.
//!
//! Reads what has been lowered; changes nothing. Every check is linear in the number of routes.

mod listeners;
mod routes;

use hookaido_model::config::{AdminApi, Ingress, Metrics, PullApi};

use crate::lower::{LoweredRoute, Lowering};
use crate::read::Section;

/// What the checks look at.
pub(crate) struct Checked<'a> {
    pub(crate) top: &'a Section<'a>,
    pub(crate) ingress: &'a Ingress,
    pub(crate) pull_api: &'a PullApi,
    pub(crate) admin_api: &'a AdminApi,
    pub(crate) metrics: Option<&'a Metrics>,
    pub(crate) routes: &'a [LoweredRoute],
}

impl Checked<'_> {
    /// Whether any route is pulled.
    pub(crate) fn pulled(&self) -> bool {
        self.routes.iter().any(|route| route.pulled)
    }
}

/// Checks what holds whatever else is wrong with a file: names that are used twice.
pub(crate) fn check_names(lowering: &mut Lowering, routes: &[LoweredRoute]) {
    routes::names(lowering, routes);
}

/// Checks everything.
pub(crate) fn check(lowering: &mut Lowering, checked: &Checked<'_>) {
    listeners::check(lowering, checked);
    listeners::tokens(lowering, checked);
    listeners::client_certs(lowering, checked);
    routes::check(lowering, checked);
}
