//! Every way in which the pull API refuses, and the one mapping to what workers see.

use hookaido_http::{BodyError, Problem};
use hookaido_queue::store::{LeaseLost, StoreError};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::ops::{Ended, NamingError};

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Not POST, or not GET for a stream.
    #[error("use POST; streams use GET")]
    Method,
    /// No token, or one that is not good here.
    #[error("a valid bearer token is required")]
    Unauthorized,
    /// No route has this endpoint.
    #[error("no pull route has this path")]
    RouteNotFound,
    /// The endpoint is there, the operation is not.
    #[error("the operations are dequeue, ack, nack, extend and stream")]
    OperationNotFound,
    /// The body or a parameter; says what is wrong.
    #[error("{0}")]
    Invalid(String),
    /// Leases are not named as they should be.
    #[error("{0}")]
    Naming(#[from] NamingError),
    /// The body did not arrive.
    #[error("{0}")]
    Body(#[from] BodyError),
    /// A single lease is not held.
    #[error("the lease is invalid or has expired")]
    Lost(LeaseLost),
    /// The queue cannot answer.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl PullError {
    /// The answer.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let (status, code) = match self {
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::RouteNotFound => (StatusCode::NOT_FOUND, "route_not_found"),
            Self::OperationNotFound => (StatusCode::NOT_FOUND, "operation_not_found"),
            Self::Invalid(_) | Self::Naming(_) | Self::Body(BodyError::Broken(_) | BodyError::TooLarge { .. }) => {
                (StatusCode::BAD_REQUEST, "invalid_body")
            }
            Self::Body(BodyError::TimedOut) => (StatusCode::REQUEST_TIMEOUT, "body_timeout"),
            Self::Body(BodyError::Overloaded) => (StatusCode::SERVICE_UNAVAILABLE, "queue_overload"),
            Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
            Self::Lost(_) => (StatusCode::CONFLICT, "lease_conflict"),
        };
        let problem = Problem::new(status, code, self.to_string());
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return problem.with_header(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        problem
    }

    /// The answer of a batch of which some leases are not held: what was done under `word`, and the others by name.
    pub(crate) fn conflicts(word: &'static str, ended: &Ended) -> Problem {
        let conflicts = ended.conflicts.iter().map(|(lease, lost)| json!({"lease_id": lease, "reason": reason(*lost)}));
        let detail = "leases of this batch are invalid or have expired";
        Problem::new(StatusCode::CONFLICT, "lease_conflict", detail)
            .with(word, ended.done)
            .with("conflicts", conflicts.collect::<serde_json::Value>())
    }
}

/// A lease of another route is as good as none: its existence is nobody's business here.
fn reason(lost: LeaseLost) -> &'static str {
    match lost {
        LeaseLost::NotFound | LeaseLost::Foreign => "lease_not_found",
        LeaseLost::Expired => "lease_expired",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_status() {
        let codes = [
            (PullError::Method, 405, "method_not_allowed"),
            (PullError::Unauthorized, 401, "unauthorized"),
            (PullError::RouteNotFound, 404, "route_not_found"),
            (PullError::OperationNotFound, 404, "operation_not_found"),
            (PullError::Invalid("x".into()), 400, "invalid_body"),
            (PullError::Naming(NamingError::Both), 400, "invalid_body"),
            (PullError::Body(BodyError::TooLarge { limit: 1 }), 400, "invalid_body"),
            (PullError::Body(BodyError::TimedOut), 408, "body_timeout"),
            (PullError::Body(BodyError::Overloaded), 503, "queue_overload"),
            (PullError::Lost(LeaseLost::NotFound), 409, "lease_conflict"),
            (PullError::Store(StoreError::Full), 503, "store_unavailable"),
        ];
        for (error, status, code) in codes {
            let problem = error.problem();
            assert_eq!((problem.status.as_u16(), problem.code), (status, code));
            assert_eq!(problem.headers.is_empty(), status != 503);
        }
    }
}
