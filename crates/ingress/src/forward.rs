//! `auth forward`: another server says who may send.
//!
//! It gets the head of the request and what the route lets it see of the body. Only a 2xx answer opens the way; whatever else happens
//! refuses the request. How the question travels is for the [`AuthCaller`], which the server brings.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookaido_model::config::ForwardAuth;
use http::header::{FORWARDED, WWW_AUTHENTICATE};
use http::request::Parts as Head;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::error::Reject;
use crate::headers;

const ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-hookaido-original-method");
const ORIGINAL_PATH: HeaderName = HeaderName::from_static("x-hookaido-original-path");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Most questions of a route under way; others wait for their turn, within the same time.
const CALLS: usize = 512;
/// Longest challenge of the other server that the sender gets to see.
const CHALLENGE: usize = 1024;

/// What the authentication server is asked.
#[derive(Debug)]
pub struct CallRequest {
    /// That of the sender's request.
    pub method: Method,
    /// Those of the sender that do not belong to its connection, and the name of what it asked for.
    pub headers: HeaderMap,
    /// The first bytes of the body, as many as the route passes on.
    pub body: Bytes,
}

/// What it answered; the body does not matter.
#[derive(Debug)]
pub struct CallAnswer {
    /// Whether the sender is good.
    pub status: StatusCode,
    /// Some of them may go into the message.
    pub headers: HeaderMap,
}

/// Why there is no answer, or never can be one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CallError(pub String);

/// An answer that is under way.
pub type Calling<'a> = Pin<Box<dyn Future<Output = Result<CallAnswer, CallError>> + Send + 'a>>;

/// Asks one authentication server. Follows no redirects, and reads no more of an answer than it has a bound for. Dropping the future ends
/// the call.
pub trait AuthCaller: Send + Sync + fmt::Debug {
    /// One question.
    fn call(&self, request: CallRequest) -> Calling<'_>;
}

/// Who asks the authentication server of a URL.
pub type AuthCallers<'a> = dyn Fn(&str) -> Result<Arc<dyn AuthCaller>, CallError> + 'a;

/// The check of one route.
#[derive(Debug)]
pub(crate) struct ForwardGate {
    /// Path of the route, for the log.
    route: Arc<str>,
    caller: Arc<dyn AuthCaller>,
    timeout: Duration,
    body_limit: Option<usize>,
    /// Headers of the answer that go into the message; never taken from the sender.
    listed: Vec<HeaderName>,
    calls: Semaphore,
}

/// What a positive answer says about a message.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    /// To be stored in place of the sender's.
    pub(crate) copied: HeaderMap,
}

impl ForwardGate {
    pub(crate) fn new(route: &Arc<str>, auth: &ForwardAuth, caller: Arc<dyn AuthCaller>) -> Result<Self, CallError> {
        let name = |text: &String| {
            HeaderName::from_bytes(text.as_bytes())
                .map_err(|_invalid| CallError(format!("`{text}` is not a header name")))
        };
        Ok(Self {
            route: Arc::clone(route),
            caller,
            timeout: auth.timeout,
            // what does not fit the address space is no limit
            body_limit: auth.body_limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            listed: auth.copy_headers.iter().map(name).collect::<Result<_, _>>()?,
            calls: Semaphore::new(CALLS),
        })
    }

    /// Headers that count only when the answer brings them.
    pub(crate) fn listed(&self) -> &[HeaderName] {
        &self.listed
    }

    /// Asks about one request. `path` is the cleaned one, `client` the address that trusted proxies have told or confirmed.
    pub(crate) async fn ask(
        &self,
        head: &Head,
        path: &str,
        body: &Bytes,
        client: Option<IpAddr>,
    ) -> Result<Granted, Reject> {
        let answer = self.answer(head, path, body, client).await.map_err(|error| {
            tracing::warn!(target: "hookaido", route = %self.route, reason = %error, "ingress_auth_forward_failed");
            Reject::AuthUnavailable
        })?;
        match answer.status {
            status if status.is_success() => Ok(Granted { copied: self.copied(&answer.headers) }),
            StatusCode::UNAUTHORIZED => {
                let challenge = answer.headers.get(WWW_AUTHENTICATE).filter(|value| value.len() <= CHALLENGE);
                Err(Reject::Denied(challenge.cloned()))
            }
            StatusCode::FORBIDDEN => Err(Reject::Forbidden),
            status => {
                tracing::warn!(target: "hookaido", route = %self.route, status = status.as_u16(), "ingress_auth_forward_failed");
                Err(Reject::AuthUnavailable)
            }
        }
    }

    async fn answer(
        &self,
        head: &Head,
        path: &str,
        body: &Bytes,
        client: Option<IpAddr>,
    ) -> Result<CallAnswer, CallError> {
        let failed = |error: &dyn fmt::Display| CallError(error.to_string());
        let mut headers = headers::passed_on(&head.headers);
        let method = HeaderValue::from_str(head.method.as_str()).map_err(|error| failed(&error))?;
        headers.insert(ORIGINAL_METHOD, method);
        // a path that no header can carry cannot be asked about
        headers.insert(ORIGINAL_PATH, HeaderValue::from_bytes(path.as_bytes()).map_err(|error| failed(&error))?);
        if let Some(client) = client {
            // What the sender wrote there itself must not reach the server as if it were true.
            headers.remove(FORWARDED);
            let client = HeaderValue::from_str(&client.to_string()).map_err(|error| failed(&error))?;
            headers.insert(X_FORWARDED_FOR, client);
        }
        let body = body.slice(..self.body_limit.map_or(body.len(), |limit| limit.min(body.len())));
        let request = CallRequest { method: head.method.clone(), headers, body };
        let answer = timeout(self.timeout, async {
            let _turn = self.calls.acquire().await.map_err(|error| failed(&error))?;
            self.caller.call(request).await
        });
        answer.await.unwrap_or_else(|_elapsed| Err(CallError(format!("no answer within {:?}", self.timeout))))
    }

    fn copied(&self, answer: &HeaderMap) -> HeaderMap {
        let mut copied = HeaderMap::with_capacity(self.listed.len());
        for name in &self.listed {
            for value in answer.get_all(name) {
                copied.append(name.clone(), value.clone());
            }
        }
        copied
    }
}
