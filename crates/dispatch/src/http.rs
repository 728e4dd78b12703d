//! HTTP targets: one request, its answer, and what the answer means.
//!
//! Owns the client of one egress policy. Follows 307 and 308 where the policy says so; every hop passes the same connector. Never
//! decides about retries: it says what happened ([`Reply`]).

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookaido_model::config::{Delivery, HttpDelivery};
use hookaido_model::{Clock, Content};
use http::header::{CONTENT_LENGTH, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout, timeout_at};

use crate::egress::{EgressPolicy, Refused};
use crate::reply::Reply;
use crate::target::Secrets;

pub(crate) mod call;
mod connect;
mod headers;
pub(crate) mod resolve;
pub(crate) mod retry_after;
mod signing;
mod stream;
pub(crate) mod tls;
pub(crate) mod url;

pub(crate) use connect::Tls;
use connect::{ConnectError, Connector};
use headers::{Configured, Unsendable};
use resolve::Resolve;
use signing::{SigningError, TargetSigner};
use url::{TargetUrl, UrlError};

/// Most requests of one delivery, the first included.
const HOPS: usize = 10;
/// Most of an answer's body that is read, so that the connection can be used again.
const BODY: usize = 64 * 1024;
/// Longest time that reading it may take: the answer is known already.
const DRAINING: Duration = Duration::from_secs(1);
/// An unused connection is closed after this time.
const IDLE: Duration = Duration::from_secs(30);

/// The client of one egress policy: its connections were all checked against it.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    connector: Connector,
    client: Client<Connector, Full<Bytes>>,
    clock: Arc<dyn Clock>,
}

/// One HTTP target, ready to be sent to.
#[derive(Debug)]
pub(crate) struct HttpTarget {
    client: HttpClient,
    url: Result<TargetUrl, UrlError>,
    configured: Result<Configured, Unsendable>,
    signer: Option<TargetSigner>,
    timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error(transparent)]
    Header(#[from] Unsendable),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("redirected to an unusable `Location`: {0}")]
    Location(UrlError),
    #[error("{0}")]
    Exchange(String),
}

impl HttpTarget {
    /// Prepares a target. What cannot be sent is reported by every delivery instead, so that a running queue never depends on it.
    ///
    /// # Errors
    /// A signing secret cannot be read.
    pub(crate) fn new(
        delivery: &Delivery,
        http: &HttpDelivery,
        client: &HttpClient,
        secrets: &Secrets,
    ) -> Result<Self, hookaido_auth::AuthError> {
        let signer =
            http.signing.as_ref().map(|signing| TargetSigner::new(signing, secrets, client.clock.now())).transpose()?;
        Ok(Self {
            client: client.clone(),
            url: TargetUrl::parse(&delivery.target),
            configured: Configured::new(&http.headers),
            signer,
            timeout: delivery.timeout,
        })
    }

    /// One delivery.
    pub(crate) async fn deliver(&self, content: &Content) -> Reply {
        self.client.deliver(self, content).await
    }
}

impl HttpClient {
    /// `idle` is the most connections to one host that are kept while nothing is sent.
    pub(crate) fn new(
        policy: EgressPolicy,
        resolver: Arc<dyn Resolve>,
        tls: Option<Tls>,
        idle: usize,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let connector = Connector::new(policy, resolver, tls);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(idle)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http1_max_buf_size(BODY)
            .http1_title_case_headers(true)
            .build(connector.clone());
        Self { connector, client, clock }
    }

    async fn deliver(&self, target: &HttpTarget, content: &Content) -> Reply {
        let deadline = Instant::now() + target.timeout;
        match timeout_at(deadline, self.exchange(target, content)).await {
            Err(_elapsed) => Reply::unreachable(format!("no answer within {:?}", target.timeout)),
            Ok(Err(Failure::Refused(refused))) => Reply::denied(refused.to_string()),
            Ok(Err(failure)) => Reply::unreachable(failure.to_string()),
            Ok(Ok(answer)) => {
                let status = answer.status();
                let wish = retry_after::wish(answer.headers(), self.clock.now());
                drain(answer.into_body(), DRAINING).await;
                Reply::answered(status.as_u16(), wish)
            }
        }
    }

    /// Requests until an answer is no redirect to follow.
    async fn exchange(&self, target: &HttpTarget, content: &Content) -> Result<Response<Incoming>, Failure> {
        let mut url = target.url.clone()?;
        let configured = target.configured.as_ref().map_err(Clone::clone)?;
        let mut headers = headers::first(&content.headers, configured, url.credentials.as_ref())?;
        let mut own = true;
        for hop in 1..=HOPS {
            let answer = self.request(target, &url, headers.clone(), content, own).await?;
            let Some(next) = self.redirect(&url, &answer)?.filter(|_| hop < HOPS) else { return Ok(answer) };
            drain(answer.into_body(), DRAINING).await;
            if !url.same_origin(&next) {
                own = false;
                headers::strip_for_other_origin(&mut headers, configured);
            }
            url = next;
        }
        Err(Failure::Exchange("too many redirects".to_owned()))
    }

    /// One request. `own` says that the target is the configured one and not where it redirected to: only that is signed for.
    async fn request(
        &self,
        target: &HttpTarget,
        url: &TargetUrl,
        mut headers: HeaderMap,
        content: &Content,
        own: bool,
    ) -> Result<Response<Incoming>, Failure> {
        if let Some(signer) = target.signer.as_ref().filter(|_| own) {
            let signed = signer.sign(url.uri.path(), &content.payload, self.clock.now()).await?;
            for (name, value) in [signed.signature, signed.timestamp] {
                headers.insert(name, value);
            }
        }
        // asked here too: a connection that is used again was checked when it was opened, but the answer should not depend on that
        self.connector.policy().check_name(url.scheme(), url.host())?;
        headers.insert(CONTENT_LENGTH, HeaderValue::from(content.payload.len()));
        let mut request = Request::new(Full::new(content.payload.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.uri.clone();
        *request.headers_mut() = headers;
        self.client.request(request).await.map_err(|error| failure(&error))
    }

    /// Where an answer redirects to, if it is to be followed.
    fn redirect(&self, from: &TargetUrl, answer: &Response<Incoming>) -> Result<Option<TargetUrl>, Failure> {
        let follows = matches!(answer.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
            && self.connector.policy().redirects;
        let Some(location) = answer.headers().get(LOCATION).filter(|_| follows) else { return Ok(None) };
        let location = std::str::from_utf8(location.as_bytes()).unwrap_or("");
        match from.join(location) {
            Ok(next) if from.scheme() == "https" && next.scheme() == "http" => Err(Refused::Downgrade.into()),
            Ok(next) => Ok(Some(next)),
            Err(UrlError::Scheme(scheme)) => Err(Refused::Scheme(scheme).into()),
            Err(error) => Err(Failure::Location(error)),
        }
    }
}

/// Reads what is left of an answer, within bounds, so that its connection is used again; what is too long or too slow costs the
/// connection.
async fn drain(mut body: Incoming, within: Duration) {
    let all = async {
        let mut left = BODY;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // an elapsed bound is as good as an end
    let _ = timeout(within, all).await;
}

/// The refusal inside a client error, or its causes in one line.
fn failure(error: &hyper_util::client::legacy::Error) -> Failure {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(ConnectError::Refused(refused)) = inner.downcast_ref() {
            return Failure::Refused(refused.clone());
        }
        let words = inner.to_string();
        if !text.ends_with(&words) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&words);
        }
        cause = inner.source();
    }
    Failure::Exchange(if text.is_empty() { error.to_string() } else { text })
}

#[cfg(test)]
mod tests;
