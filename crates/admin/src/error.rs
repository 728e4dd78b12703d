//! Every way in which the admin API refuses a request, and the one mapping to what the caller and the metrics see.

use std::borrow::Cow;

use hookaido_auth::ChangeError;
use hookaido_http::{BodyError, Problem, Response};
use hookaido_queue::store::StoreError;
use hookaido_telemetry::PublishReject;
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::EndpointError;

/// What is wrong, without the particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is at this path.
    NotFound,
    /// Another method is wanted; these are allowed.
    Method(&'static str),
    /// No or a wrong token.
    Unauthorized,
    /// A parameter of the URL.
    Query,
    /// The body, or a label in the path.
    Body,
    /// The body came too slowly.
    BodyTimeout,
    /// Too many bodies are being received.
    Overloaded,
    /// The reason is missing, or an audit header is too long.
    AuditReason,
    /// The actor is missing.
    ActorRequired,
    /// The request id is missing.
    RequestIdRequired,
    /// The actor is not on the list.
    ActorNotAllowed,
    /// Selectors that do not go together.
    SelectorMismatch,
    /// Selectors below the path of an endpoint.
    SelectorForbidden,
    /// No route has these labels.
    ManagedEndpointNotFound,
    /// A managed route was named by its path, or could be touched.
    ManagedSelectorRequired,
    /// A managed route was named outside its own path.
    ScopedPublishRequired,
    /// `publish_policy { direct off }`.
    DirectDisabled,
    /// `publish_policy { managed off }`.
    ManagedDisabled,
    /// `publish off` of a route.
    RouteDisabled,
    /// `publish_policy { allow_pull_routes off }`.
    PullDisabled,
    /// `publish_policy { allow_deliver_routes off }`.
    DeliverDisabled,
    /// No such route.
    RouteNotFound,
    /// The route has several targets, or not this one.
    Target,
    /// `received_at`.
    ReceivedAt,
    /// `next_run_at`.
    NextRunAt,
    /// `payload_b64`.
    PayloadB64,
    /// The decoded payload is over the limit of the route.
    PayloadTooLarge,
    /// `headers`.
    Header,
    /// The headers are over the limit of the route.
    HeadersTooLarge,
    /// The id exists.
    DuplicateId,
    /// The queue is full.
    QueueFull,
    /// The store failed.
    StoreUnavailable,
    /// No route has this endpoint label (management views).
    ManagementEndpointNotFound,
    /// An endpoint cannot be changed at present: the configuration file stands in the way.
    ManagementUnavailable,
    /// An endpoint is to be put on a route that the configuration does not have.
    ManagementRouteNotFound,
    /// The route belongs to another endpoint.
    ManagementRouteMapped,
    /// The route is closed to publishing by endpoint.
    ManagementPublishDisabled,
    /// The endpoint's present route has other targets.
    ManagementTargetMismatch,
    /// The endpoint's present route has messages that wait or are leased.
    ManagementBacklog,
    /// No pool of runtime secrets has this name.
    SecretPoolNotFound,
    /// The value is missing.
    SecretValueEmpty,
    /// The end is not after the beginning.
    SecretWindow,
    /// The pool has as many versions as it may.
    SecretPoolFull,
    /// The pool has no such version.
    SecretIdNotFound,
    /// The value could not be sealed.
    SecretSeal,
    /// The change could not be stored.
    SecretPersist,
}

/// A refusal with its particulars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) fault: Fault,
    detail: Cow<'static, str>,
    item: Option<usize>,
}

/// What a fault looks like.
struct Shape(u16, &'static str, PublishReject);

impl Fault {
    /// A refusal in these words.
    pub(crate) fn because(self, detail: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { fault: self, detail: detail.into(), item: None }
    }

    fn shape(self) -> Shape {
        use PublishReject::{Conflict, Policy, QueueFull, Store, Validation};
        match self {
            Self::NotFound => Shape(404, "not_found", Validation),
            Self::Method(_) => Shape(405, "method_not_allowed", Validation),
            Self::Unauthorized => Shape(401, "unauthorized", Policy),
            Self::Query => Shape(400, "invalid_query", Validation),
            Self::Body => Shape(400, "invalid_body", Validation),
            Self::BodyTimeout => Shape(408, "body_timeout", Validation),
            Self::Overloaded => Shape(503, "overloaded", Store),
            Self::AuditReason => Shape(400, "audit_reason_required", Validation),
            Self::ActorRequired => Shape(400, "audit_actor_required", Validation),
            Self::RequestIdRequired => Shape(400, "audit_request_id_required", Validation),
            Self::ActorNotAllowed => Shape(400, "audit_actor_not_allowed", Policy),
            Self::SelectorMismatch => Shape(400, "selector_scope_mismatch", Policy),
            Self::SelectorForbidden => Shape(400, "selector_scope_forbidden", Policy),
            Self::ManagedEndpointNotFound => Shape(404, "managed_endpoint_not_found", Policy),
            Self::ManagedSelectorRequired => Shape(400, "managed_selector_required", Policy),
            Self::ScopedPublishRequired => Shape(400, "scoped_publish_required", Policy),
            Self::DirectDisabled => Shape(403, "global_publish_disabled", Policy),
            Self::ManagedDisabled => Shape(403, "scoped_publish_disabled", Policy),
            Self::RouteDisabled => Shape(403, "route_publish_disabled", Policy),
            Self::PullDisabled => Shape(403, "pull_route_publish_disabled", Policy),
            Self::DeliverDisabled => Shape(403, "deliver_route_publish_disabled", Policy),
            Self::RouteNotFound => Shape(400, "route_not_found", Policy),
            Self::Target => Shape(400, "target_unresolvable", Policy),
            Self::ReceivedAt => Shape(400, "invalid_received_at", Validation),
            Self::NextRunAt => Shape(400, "invalid_next_run_at", Validation),
            Self::PayloadB64 => Shape(400, "invalid_payload_b64", Validation),
            Self::PayloadTooLarge => Shape(413, "payload_too_large", Validation),
            Self::Header => Shape(400, "invalid_header", Validation),
            Self::HeadersTooLarge => Shape(413, "headers_too_large", Validation),
            Self::DuplicateId => Shape(409, "duplicate_id", Conflict),
            Self::QueueFull => Shape(503, "queue_full", QueueFull),
            Self::StoreUnavailable => Shape(503, "store_unavailable", Store),
            Self::ManagementEndpointNotFound => Shape(404, "management_endpoint_not_found", Validation),
            Self::ManagementUnavailable => Shape(503, "management_unavailable", Store),
            Self::ManagementRouteNotFound => Shape(404, "management_route_not_found", Validation),
            Self::ManagementRouteMapped => Shape(409, "management_route_already_mapped", Conflict),
            Self::ManagementPublishDisabled => Shape(409, "management_route_publish_disabled", Policy),
            Self::ManagementTargetMismatch => Shape(409, "management_route_target_mismatch", Conflict),
            Self::ManagementBacklog => Shape(409, "management_route_backlog_active", Conflict),
            Self::SecretPoolNotFound => Shape(404, "secret_pool_not_found", Validation),
            Self::SecretValueEmpty => Shape(400, "secret_value_empty", Validation),
            Self::SecretWindow => Shape(400, "secret_invalid_window", Validation),
            Self::SecretPoolFull => Shape(413, "secret_pool_full", Conflict),
            Self::SecretIdNotFound => Shape(404, "secret_id_not_found", Validation),
            Self::SecretSeal => Shape(500, "secret_seal_failure", Store),
            Self::SecretPersist => Shape(500, "secret_persist_failure", Store),
        }
    }

    /// The class under which the metrics count it when a publish is refused for it.
    pub(crate) fn class(self) -> PublishReject {
        self.shape().2
    }

    /// Seconds after which trying again makes sense.
    fn retry_after(self) -> Option<u64> {
        match self {
            Self::QueueFull | Self::StoreUnavailable => Some(5),
            Self::Overloaded => Some(1),
            _ => None,
        }
    }
}

impl Refusal {
    /// Says which item of the request it is about.
    pub(crate) fn at(self, item: usize) -> Self {
        Self { item: Some(item), ..self }
    }

    /// The answer.
    pub(crate) fn respond(self) -> Response {
        let Shape(status, code, _) = self.fault.shape();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut problem = Problem::new(status, code, self.detail);
        if let Some(item) = self.item {
            problem = problem.with("item_index", item);
        }
        if let Some(seconds) = self.fault.retry_after() {
            problem = problem.with_header(RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self.fault {
            Fault::Method(allowed) => problem = problem.with_header(ALLOW, HeaderValue::from_static(allowed)),
            Fault::Unauthorized => {
                problem = problem.with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"hookaido\""));
            }
            _ => {}
        }
        problem.into_response()
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        let fault = match error {
            BodyError::TooLarge { .. } | BodyError::Broken(_) => Fault::Body,
            BodyError::TimedOut => Fault::BodyTimeout,
            BodyError::Overloaded => Fault::Overloaded,
        };
        fault.because(error.to_string())
    }
}

impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Self {
        let fault = match &error {
            ChangeError::NoPool => Fault::SecretPoolNotFound,
            ChangeError::NoVersion => Fault::SecretIdNotFound,
            ChangeError::Full(_) => Fault::SecretPoolFull,
            ChangeError::Seal => Fault::SecretSeal,
            ChangeError::Save(_) => Fault::SecretPersist,
        };
        fault.because(error.to_string())
    }
}

impl From<EndpointError> for Refusal {
    fn from(error: EndpointError) -> Self {
        let fault = match &error {
            EndpointError::NoEndpoint => Fault::ManagementEndpointNotFound,
            EndpointError::NoRoute => Fault::ManagementRouteNotFound,
            EndpointError::Mapped { .. } => Fault::ManagementRouteMapped,
            EndpointError::PublishOff { .. } => Fault::ManagementPublishDisabled,
            EndpointError::OtherTargets { .. } => Fault::ManagementTargetMismatch,
            EndpointError::Backlog { .. } => Fault::ManagementBacklog,
            EndpointError::Unavailable(_) => Fault::ManagementUnavailable,
        };
        fault.because(error.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let fault = match error {
            StoreError::Full => Fault::QueueFull,
            StoreError::Conflict(_) => Fault::DuplicateId,
            StoreError::Unavailable(_) | StoreError::Corrupt(_) => Fault::StoreUnavailable,
        };
        fault.because(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[(Fault, u16, &str)] = &[
        (Fault::NotFound, 404, "not_found"),
        (Fault::Method("GET"), 405, "method_not_allowed"),
        (Fault::Unauthorized, 401, "unauthorized"),
        (Fault::Query, 400, "invalid_query"),
        (Fault::Body, 400, "invalid_body"),
        (Fault::BodyTimeout, 408, "body_timeout"),
        (Fault::Overloaded, 503, "overloaded"),
        (Fault::AuditReason, 400, "audit_reason_required"),
        (Fault::ActorRequired, 400, "audit_actor_required"),
        (Fault::RequestIdRequired, 400, "audit_request_id_required"),
        (Fault::ActorNotAllowed, 400, "audit_actor_not_allowed"),
        (Fault::SelectorMismatch, 400, "selector_scope_mismatch"),
        (Fault::SelectorForbidden, 400, "selector_scope_forbidden"),
        (Fault::ManagedEndpointNotFound, 404, "managed_endpoint_not_found"),
        (Fault::ManagedSelectorRequired, 400, "managed_selector_required"),
        (Fault::ScopedPublishRequired, 400, "scoped_publish_required"),
        (Fault::DirectDisabled, 403, "global_publish_disabled"),
        (Fault::ManagedDisabled, 403, "scoped_publish_disabled"),
        (Fault::RouteDisabled, 403, "route_publish_disabled"),
        (Fault::PullDisabled, 403, "pull_route_publish_disabled"),
        (Fault::DeliverDisabled, 403, "deliver_route_publish_disabled"),
        (Fault::RouteNotFound, 400, "route_not_found"),
        (Fault::Target, 400, "target_unresolvable"),
        (Fault::ReceivedAt, 400, "invalid_received_at"),
        (Fault::NextRunAt, 400, "invalid_next_run_at"),
        (Fault::PayloadB64, 400, "invalid_payload_b64"),
        (Fault::PayloadTooLarge, 413, "payload_too_large"),
        (Fault::Header, 400, "invalid_header"),
        (Fault::HeadersTooLarge, 413, "headers_too_large"),
        (Fault::DuplicateId, 409, "duplicate_id"),
        (Fault::QueueFull, 503, "queue_full"),
        (Fault::StoreUnavailable, 503, "store_unavailable"),
        (Fault::ManagementEndpointNotFound, 404, "management_endpoint_not_found"),
        (Fault::ManagementUnavailable, 503, "management_unavailable"),
        (Fault::ManagementRouteNotFound, 404, "management_route_not_found"),
        (Fault::ManagementRouteMapped, 409, "management_route_already_mapped"),
        (Fault::ManagementPublishDisabled, 409, "management_route_publish_disabled"),
        (Fault::ManagementTargetMismatch, 409, "management_route_target_mismatch"),
        (Fault::ManagementBacklog, 409, "management_route_backlog_active"),
        (Fault::SecretPoolNotFound, 404, "secret_pool_not_found"),
        (Fault::SecretValueEmpty, 400, "secret_value_empty"),
        (Fault::SecretWindow, 400, "secret_invalid_window"),
        (Fault::SecretPoolFull, 413, "secret_pool_full"),
        (Fault::SecretIdNotFound, 404, "secret_id_not_found"),
        (Fault::SecretSeal, 500, "secret_seal_failure"),
        (Fault::SecretPersist, 500, "secret_persist_failure"),
    ];

    #[test]
    fn every_fault_has_its_status_and_code() {
        for (fault, status, code) in TABLE {
            let response = fault.because("why").at(3).respond();
            assert_eq!(response.status().as_u16(), *status, "{code}");
            let body = std::str::from_utf8(response.body().as_bytes().unwrap()).unwrap();
            assert_eq!(body, format!("{{\"code\":\"{code}\",\"detail\":\"why\",\"item_index\":3}}\n"));
            assert_eq!(
                response.headers().contains_key(RETRY_AFTER),
                *status == 503 && *code != "management_unavailable"
            );
            assert_eq!(response.headers().contains_key(ALLOW), *status == 405);
            assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), *status == 401);
        }
    }

    #[test]
    fn errors_of_the_store_keep_their_kind() {
        for (error, fault) in [
            (StoreError::Full, Fault::QueueFull),
            (StoreError::Conflict("x".into()), Fault::DuplicateId),
            (StoreError::Unavailable("x".into()), Fault::StoreUnavailable),
            (StoreError::Corrupt("x".into()), Fault::StoreUnavailable),
        ] {
            assert_eq!(Refusal::from(error).fault, fault);
        }
    }
}
