//! Every way in which ingress refuses a request, and the one mapping to what the sender and the metrics see.

use std::time::Duration;

use hookaido_auth::ClaimError;
use hookaido_http::{BodyError, Problem, Response};
use hookaido_queue::store::StoreError;
use hookaido_telemetry::{IngressReject, Metrics, Pressure};
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

/// Why a request is refused.
#[derive(Debug)]
pub(crate) enum Reject {
    /// No route takes it.
    NotFound,
    /// A route would, but not by this method; these are allowed.
    Method(HeaderValue),
    /// There will be a token in this time.
    RateLimited(Duration),
    /// Credentials or signature are missing or wrong.
    Unauthorized(Challenge),
    /// The authentication server does not know the sender, and says how to prove oneself.
    Denied(Option<HeaderValue>),
    /// The authentication server knows the sender and refuses it.
    Forbidden,
    /// The authentication server gives no usable answer.
    AuthUnavailable,
    /// The body.
    Body(BodyError),
    /// The headers to keep are longer than the route allows.
    HeadersTooLarge,
    /// The queue falls behind.
    Pressure(Pressure),
    /// No message more fits.
    QueueFull,
    /// The queue cannot be written.
    Unavailable,
    /// Its nonce cannot be remembered.
    NoncesFull,
}

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Hmac,
}

/// What a refusal looks like.
struct Shape {
    status: StatusCode,
    code: &'static str,
    detail: &'static str,
    reason: IngressReject,
    /// In seconds.
    retry_after: Option<u64>,
}

impl Reject {
    /// The answer; counts it.
    pub(crate) fn respond(self, metrics: &Metrics) -> Response {
        let Shape { status, code, detail, reason, retry_after } = self.shape();
        metrics.ingress.rejected(reason, status.as_u16());
        let mut problem = Problem::new(status, code, detail);
        if let Some(seconds) = retry_after {
            problem = problem.with_header(RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self {
            Self::Method(allowed) => problem = problem.with_header(ALLOW, allowed),
            Self::Unauthorized(challenge) => problem = problem.with_header(WWW_AUTHENTICATE, challenge.header()),
            Self::Denied(Some(challenge)) => problem = problem.with_header(WWW_AUTHENTICATE, challenge),
            _ => {}
        }
        problem.into_response()
    }

    fn shape(&self) -> Shape {
        let (status, code, detail, reason) = match self {
            Self::NotFound => {
                (StatusCode::NOT_FOUND, "route_not_found", "no route takes this request", IngressReject::NotFound)
            }
            Self::Method(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "the route does not take this method; see the header Allow",
                IngressReject::Method,
            ),
            Self::RateLimited(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "too many requests; try again after the time in Retry-After",
                IngressReject::RateLimit,
            ),
            Self::Unauthorized(_) | Self::Denied(_) => {
                (StatusCode::UNAUTHORIZED, "unauthorized", "missing or wrong credentials", IngressReject::Auth)
            }
            Self::Forbidden => {
                (StatusCode::FORBIDDEN, "forbidden", "these credentials may not send here", IngressReject::Auth)
            }
            Self::AuthUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "auth_unavailable",
                "the credentials could not be checked; try again later",
                IngressReject::Auth,
            ),
            Self::Body(error) => body_shape(error),
            Self::HeadersTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "headers_too_large",
                "the headers are longer than this route allows",
                IngressReject::HeadersTooLarge,
            ),
            Self::Pressure(pressure) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "adaptive_backpressure",
                "the queue falls behind; try again later",
                IngressReject::AdaptiveBackpressure(*pressure),
            ),
            Self::QueueFull => {
                (StatusCode::SERVICE_UNAVAILABLE, "queue_full", "the queue is full", IngressReject::QueueFull)
            }
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "store_unavailable",
                "the message could not be stored",
                IngressReject::Store,
            ),
            Self::NoncesFull => (
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "too many signed requests at present",
                IngressReject::Other,
            ),
        };
        Shape { status, code, detail, reason, retry_after: self.retry_after() }
    }

    /// When it makes sense to try again; only where trying again can help.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited(wait) => Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).map(|s| s.max(1)),
            Self::Pressure(_) | Self::QueueFull | Self::Unavailable | Self::NoncesFull | Self::AuthUnavailable => {
                Some(5)
            }
            Self::Body(BodyError::Overloaded) => Some(1),
            Self::NotFound | Self::Method(_) | Self::Body(_) | Self::HeadersTooLarge => None,
            Self::Unauthorized(_) | Self::Denied(_) | Self::Forbidden => None,
        }
    }
}

fn body_shape(error: &BodyError) -> (StatusCode, &'static str, &'static str, IngressReject) {
    match error {
        BodyError::TooLarge { .. } => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "the body is longer than this route allows",
            IngressReject::BodyTooLarge,
        ),
        BodyError::TimedOut => {
            (StatusCode::REQUEST_TIMEOUT, "body_timeout", "the body did not arrive in time", IngressReject::Other)
        }
        BodyError::Overloaded => (
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "too many bodies are being received at present",
            IngressReject::MemoryPressure,
        ),
        BodyError::Broken(_) => {
            (StatusCode::BAD_REQUEST, "invalid_body", "the body is malformed or incomplete", IngressReject::Other)
        }
    }
}

impl Challenge {
    fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Basic => "Basic realm=\"hookaido\", charset=\"UTF-8\"",
            Self::Hmac => "HMAC realm=\"hookaido\"",
        })
    }
}

impl From<StoreError> for Reject {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::QueueFull,
            // Ingress brings no ids, so a conflict is a fault of the store.
            StoreError::Conflict(_) | StoreError::Unavailable(_) | StoreError::Corrupt(_) => Self::Unavailable,
        }
    }
}

impl From<ClaimError> for Reject {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Used => Self::Unauthorized(Challenge::Hmac),
            ClaimError::Full => Self::NoncesFull,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, code, metric reason and `Retry-After` of every refusal, as senders and dashboards know them.
    #[test]
    fn every_refusal_has_its_answer() {
        let cases = [
            (Reject::NotFound, "404 route_not_found NotFound None"),
            (Reject::Method(HeaderValue::from_static("PUT")), "405 method_not_allowed Method None"),
            (Reject::RateLimited(Duration::from_millis(10)), "429 rate_limited RateLimit Some(1)"),
            (Reject::RateLimited(Duration::from_millis(2001)), "429 rate_limited RateLimit Some(3)"),
            (Reject::RateLimited(Duration::from_secs(2)), "429 rate_limited RateLimit Some(2)"),
            (Reject::Unauthorized(Challenge::Hmac), "401 unauthorized Auth None"),
            (Reject::Denied(None), "401 unauthorized Auth None"),
            (Reject::Forbidden, "403 forbidden Auth None"),
            (Reject::AuthUnavailable, "503 auth_unavailable Auth Some(5)"),
            (Reject::Body(BodyError::TooLarge { limit: 1 }), "413 body_too_large BodyTooLarge None"),
            (Reject::Body(BodyError::TimedOut), "408 body_timeout Other None"),
            (Reject::Body(BodyError::Overloaded), "503 overloaded MemoryPressure Some(1)"),
            (Reject::HeadersTooLarge, "413 headers_too_large HeadersTooLarge None"),
            (Reject::Pressure(Pressure::ReadyLag), "503 adaptive_backpressure AdaptiveBackpressure(ReadyLag) Some(5)"),
            (Reject::from(StoreError::Full), "503 queue_full QueueFull Some(5)"),
            (Reject::from(StoreError::Unavailable("disk full".into())), "503 store_unavailable Store Some(5)"),
            (Reject::from(StoreError::Corrupt("".into())), "503 store_unavailable Store Some(5)"),
            (Reject::from(ClaimError::Used), "401 unauthorized Auth None"),
            (Reject::from(ClaimError::Full), "503 overloaded Other Some(5)"),
        ];
        for (reject, want) in cases {
            let Shape { status, code, reason, retry_after, .. } = reject.shape();
            assert_eq!(format!("{} {code} {reason:?} {retry_after:?}", status.as_u16()), want, "{reject:?}");
        }
    }

    #[test]
    fn answers_carry_the_headers_of_their_kind() {
        let (metrics, _) = Metrics::new();
        let response = Reject::Method(HeaderValue::from_static("PUT, GET")).respond(&metrics);
        assert_eq!(response.headers().get(ALLOW).unwrap(), "PUT, GET");
        let response = Reject::Unauthorized(Challenge::Basic).respond(&metrics);
        assert!(response.headers().get(WWW_AUTHENTICATE).unwrap().as_bytes().starts_with(b"Basic realm="));
        let response = Reject::QueueFull.respond(&metrics);
        assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), "5");
        assert_eq!(metrics.ingress.snapshot().rejected, 3);
    }
}
