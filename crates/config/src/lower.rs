//! Sections to the compiled form: every value read as its row says, rules inside of one block checked.
//!
//! A value that is missing or wrong is replaced by its default, so that everything else is still checked. Rules between blocks are
//! the business of `check`.

mod auth;
mod backoff;
mod deliver;
mod front;
mod listeners;
mod matching;
mod observe;
mod policy;
mod redelivery;
mod route;
mod secrets;
mod storage;
mod values;

pub(crate) use listeners::{admin_api, default_listen, ingress, pull_api};
pub(crate) use matching::{Matchers, matchers};
pub(crate) use observe::observability;
pub use policy::Defaults;
pub(crate) use policy::defaults;
pub(crate) use route::{LoweredRoute, Scope, is_unconstrained, routes};
pub(crate) use secrets::secrets;
pub(crate) use storage::{queue_limits, retentions};

use hookaido_syntax::{Diagnostic, Span};

/// Where problems go while lowering.
#[derive(Debug, Default)]
pub(crate) struct Lowering {
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Lowering {
    /// Reports an error and gives it back, to be completed.
    pub(crate) fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(code, span, message));
    }

    /// Reports an error with advice.
    pub(crate) fn error_help(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.diagnostics.push(Diagnostic::error(code, span, message).with_help(help));
    }

    /// Reports a warning.
    pub(crate) fn warn(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::warning(code, span, message));
    }

    /// Reports something completed by the caller.
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }
}
