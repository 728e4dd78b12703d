//! Every way in which a call is refused, as a gRPC status. Codes and messages are those that workers of Hookaido 2.11 know.

use hookaido_http::BodyError;
use hookaido_pull::PullError;
use hookaido_pull::ops::NamingError;
use tonic::Status;

/// The call names no endpoint.
pub(crate) fn no_endpoint() -> Status {
    Status::invalid_argument("endpoint is required")
}

/// No token, or one that is not good for the endpoint.
pub(crate) fn unauthorized() -> Status {
    Status::unauthenticated("request is not authorized")
}

/// No route is pulled there.
pub(crate) fn unknown_endpoint() -> Status {
    Status::not_found("pull endpoint is not configured")
}

/// `extend` without what it needs.
pub(crate) fn no_extension() -> Status {
    Status::invalid_argument("lease_id and extend_by are required")
}

/// A duration outside of what `google.protobuf.Duration` allows.
pub(crate) fn not_a_duration(field: &str) -> Status {
    Status::invalid_argument(format!("{field} must be a valid duration"))
}

/// Leases are not named as they should be.
pub(crate) fn naming(error: NamingError) -> Status {
    Status::invalid_argument(match error {
        NamingError::Both => "use either lease_id or lease_ids, not both",
        NamingError::Neither => "lease_id or lease_ids is required",
        NamingError::Blank => "lease_ids must include at least one non-empty lease id",
        NamingError::TooMany { .. } => "lease_ids exceeds max batch",
    })
}

/// The one lease of a call is not held.
pub(crate) fn lost() -> Status {
    Status::failed_precondition("lease is invalid or expired")
}

/// An operation failed. What only HTTP can get wrong does not happen here.
pub(crate) fn operation(error: PullError) -> Status {
    match error {
        PullError::Lost(_) => lost(),
        PullError::Naming(error) => naming(error),
        PullError::Unauthorized => unauthorized(),
        PullError::RouteNotFound | PullError::OperationNotFound => unknown_endpoint(),
        PullError::Body(error) => body(&error),
        PullError::Invalid(what) => Status::invalid_argument(what),
        PullError::Method => Status::unimplemented(error.to_string()),
        // Why is in the log; it names files of the server.
        PullError::Store(_) => Status::unavailable("the queue is temporarily unavailable"),
    }
}

/// The request did not arrive as a whole.
pub(crate) fn body(error: &BodyError) -> Status {
    match error {
        BodyError::TooLarge { .. } => Status::resource_exhausted(error.to_string()),
        BodyError::TimedOut => Status::deadline_exceeded(error.to_string()),
        BodyError::Overloaded => Status::unavailable(error.to_string()),
        BodyError::Broken(_) => Status::cancelled(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use hookaido_queue::store::{LeaseLost, StoreError};
    use tonic::Code;

    use super::*;

    #[test]
    fn every_error_has_its_code() {
        let codes = [
            (PullError::Unauthorized, Code::Unauthenticated),
            (PullError::RouteNotFound, Code::NotFound),
            (PullError::Lost(LeaseLost::NotFound), Code::FailedPrecondition),
            (PullError::Lost(LeaseLost::Expired), Code::FailedPrecondition),
            (PullError::Naming(NamingError::TooMany { most: 3 }), Code::InvalidArgument),
            (PullError::Invalid("x".to_owned()), Code::InvalidArgument),
            (PullError::Body(BodyError::TooLarge { limit: 1 }), Code::ResourceExhausted),
            (PullError::Body(BodyError::TimedOut), Code::DeadlineExceeded),
            (PullError::Body(BodyError::Overloaded), Code::Unavailable),
            (PullError::Store(StoreError::Unavailable("disk full".into())), Code::Unavailable),
            (PullError::Method, Code::Unimplemented),
        ];
        for (error, code) in codes {
            let shown = format!("{error:?}");
            assert_eq!(operation(error).code(), code, "{shown}");
        }
    }
}
