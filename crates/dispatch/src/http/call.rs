//! Single requests beside deliveries, such as a question to an authentication server.
//!
//! The URL is the configuration's own, so the egress policy, which guards what is pushed to, does not apply. Redirects are never followed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookaido_model::Clock;
use hookaido_model::config::Egress;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::response::Parts;
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use parking_lot::Mutex;

use super::resolve::Resolve;
use super::url::TargetUrl;
use super::{HttpClient, Tls, drain, failure, headers};
use crate::egress::EgressPolicy;

/// Connections to one host that are kept while nothing is asked.
const IDLE_CONNECTIONS: usize = 32;
/// Longest time for the rest of an answer whose head is known, so that its connection can be used again.
const DRAINING: Duration = Duration::from_millis(50);

/// Why there is no answer, or never can be one. Names no secrets of the URL.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CallError(String);

/// Makes endpoints. Those of one caller share connections, also over reloads.
#[derive(Debug)]
pub struct Caller {
    resolver: Arc<dyn Resolve>,
    clock: Arc<dyn Clock>,
    clients: Mutex<Clients>,
}

#[derive(Debug, Default)]
struct Clients {
    plain: Option<HttpClient>,
    secure: Option<HttpClient>,
}

/// One URL to ask. Clones share connections.
#[derive(Clone, Debug)]
pub struct Endpoint {
    client: HttpClient,
    url: TargetUrl,
}

impl Caller {
    /// A caller without connections.
    #[must_use]
    pub fn new(resolver: Arc<dyn Resolve>, clock: Arc<dyn Clock>) -> Self {
        Self { resolver, clock, clients: Mutex::default() }
    }

    /// The endpoint of a URL. May read files when it is the first over `https`.
    ///
    /// # Errors
    /// The URL cannot be asked, or TLS cannot be set up.
    pub fn endpoint(&self, url: &str) -> Result<Endpoint, CallError> {
        let url = TargetUrl::parse(url).map_err(|error| CallError(error.to_string()))?;
        let mut clients = self.clients.lock();
        let secure = url.scheme() == "https";
        let slot = if secure { &mut clients.secure } else { &mut clients.plain };
        let client = match slot {
            Some(client) => client.clone(),
            None => {
                let tls = secure.then(Tls::with_system_roots).transpose();
                let tls = tls.map_err(|error| CallError(error.to_string()))?;
                slot.insert(self.client(tls)).clone()
            }
        };
        Ok(Endpoint { client, url })
    }

    fn client(&self, tls: Option<Tls>) -> HttpClient {
        let anywhere = Egress {
            https_only: false,
            redirects: false,
            dns_rebind_protection: false,
            allow: Vec::new(),
            deny: Vec::new(),
        };
        let policy = EgressPolicy::new(&anywhere);
        HttpClient::new(policy, Arc::clone(&self.resolver), tls, IDLE_CONNECTIONS, Arc::clone(&self.clock))
    }
}

impl Endpoint {
    /// One request and the head of its answer. Takes as long as the other side does: bound it. `Host` and what frames the body are added;
    /// credentials of the URL yield to those in `headers`.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn call(&self, method: Method, mut headers: HeaderMap, body: Bytes) -> Result<Parts, CallError> {
        if let Some(credentials) = &self.url.credentials {
            headers.entry(AUTHORIZATION).or_insert_with(|| credentials.clone());
        }
        headers.entry(USER_AGENT).or_insert(headers::OUR_USER_AGENT);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.url.uri.clone();
        *request.headers_mut() = headers;
        let answer = self.client.client.request(request).await;
        let (head, body) = answer.map_err(|error| CallError(failure(&error).to_string()))?.into_parts();
        drain(body, DRAINING).await;
        Ok(head)
    }
}

#[cfg(test)]
mod tests;
