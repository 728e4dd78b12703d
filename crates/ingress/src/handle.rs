//! One request, from its head to its answer.
//!
//! What the head decides is answered at once; the rest waits for the body, checks the signature over it, and answers 202 when the queue
//! has stored the message.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hookaido_auth::{Claim, HmacVerifier, SignedRequest};
use hookaido_http::{Body, Handler, Peer, Reply, Request, Response, clean_path, read_body};
use hookaido_model::content::push_string;
use hookaido_model::{Content, JsonMap, UnixMillis};
use hookaido_queue::store::{Enqueued, NewMessage, StoreError};
use http::header::CONTENT_TYPE;
use http::request::Parts as Head;
use http::{HeaderValue, StatusCode};

use crate::Table;
use crate::error::{Challenge, Reject};
use crate::forward::Granted;
use crate::headers;
use crate::table::{Compiled, Gate};

/// Answers a request from one table.
pub fn handle(table: &Arc<Table>, request: Request, peer: &Arc<Peer>) -> Reply {
    match table.admit(&request, peer) {
        Err(reject) => Reply::ready(reject.respond(&table.metrics)),
        Ok(route) => Reply::later(answer(Arc::clone(table), route, request, Arc::clone(peer))),
    }
}

/// Serves one table on a listener.
#[derive(Clone, Debug)]
pub struct Ingress(pub Arc<Table>);

impl Handler for Ingress {
    fn handle(&self, request: Request, peer: &Arc<Peer>) -> Reply {
        handle(&self.0, request, peer)
    }
}

async fn answer(table: Arc<Table>, route: usize, request: Request, peer: Arc<Peer>) -> Response {
    let Some(route) = table.route(route) else { return Reject::NotFound.respond(&table.metrics) };
    match receive(&table, route, request, &peer).await {
        Ok(enqueued) => {
            table.metrics.ingress.accepted(enqueued.ids.len() as u64);
            queued()
        }
        Err(reject) => reject.respond(&table.metrics),
    }
}

/// The answer of a stored message.
fn queued() -> Response {
    let mut response = Response::new(Body::full(Bytes::from_static(b"{\"status\":\"queued\"}\n")));
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Reads, authenticates and stores.
async fn receive(table: &Table, route: &Compiled, request: Request, peer: &Peer) -> Result<Enqueued, Reject> {
    let (head, body) = request.into_parts();
    let payload =
        read_body(body, route.max_body, table.body_deadline, &table.state.bodies).await.map_err(Reject::Body)?;
    let now = table.queue.clock().now();
    let (message, claim) = accept(table, route, &head, payload, now, peer).await?;
    Ok(store(table, message, claim).await?)
}

/// What a proof leaves behind.
#[derive(Default)]
struct Proof {
    /// On a nonce; given back when it is dropped.
    claim: Option<Claim>,
    granted: Granted,
}

/// What a proof is judged by besides the request.
struct Moment<'a> {
    /// Cleaned.
    path: &'a str,
    now: UnixMillis,
    peer: &'a Peer,
}

/// Everything between the last byte of the body and the queue. The order is part of the contract: first the proof, then the size of
/// the headers, so that only who is known learns of the limit.
async fn accept(
    table: &Table,
    route: &Compiled,
    head: &Head,
    payload: Bytes,
    now: UnixMillis,
    peer: &Peer,
) -> Result<(NewMessage, Option<Claim>), Reject> {
    let path = clean_path(head.uri.path());
    let Proof { claim, granted } = prove(table, route, head, &payload, &Moment { path: &path, now, peer }).await?;
    let listed = match &route.gate {
        Gate::Forward(forward) => forward.listed(),
        Gate::Open | Gate::Basic(_) | Gate::Hmac(_) => &[],
    };
    let kept = headers::Kept { sender: &head.headers, listed, copied: &granted.copied };
    let headers = kept.stored(route.max_headers).map_err(|headers::TooLarge| Reject::HeadersTooLarge)?;
    let content = Content { payload, headers, trace: trace(&path, peer) };
    let message = NewMessage { lanes: route.lanes.clone(), id: None, content, received_at: now, next_run_at: now };
    Ok((message, claim))
}

/// Checks the proof that needs the body.
async fn prove(
    table: &Table,
    route: &Compiled,
    head: &Head,
    body: &Bytes,
    moment: &Moment<'_>,
) -> Result<Proof, Reject> {
    let Moment { path, now, peer } = *moment;
    let verifier = match &route.gate {
        // Basic credentials were checked before the body was read.
        Gate::Open | Gate::Basic(_) => return Ok(Proof::default()),
        Gate::Hmac(verifier) => verifier,
        Gate::Forward(forward) => {
            let client = table.trusts_proxies.then(|| peer.addr.ip().to_canonical());
            return Ok(Proof { claim: None, granted: forward.ask(head, path, body, client).await? });
        }
    };
    let request = SignedRequest { method: head.method.as_str(), path, headers: &head.headers, body };
    let verified = verifier.verify(&request, now).map_err(|denied| {
        tracing::debug!(target: "hookaido", route = %route.path, reason = %denied, "ingress_auth_denied");
        warn_of_no_secret(route, verifier, now);
        Reject::Unauthorized(Challenge::Hmac)
    })?;
    let Some((nonce, until)) = verified.nonce else { return Ok(Proof::default()) };
    let claim = table.state.nonces.claim(&route.path, nonce, until, now)?;
    Ok(Proof { claim: Some(claim), granted: Granted::default() })
}

/// Says that a route refuses everything for want of a secret: once, and again only after it had one.
fn warn_of_no_secret(route: &Compiled, verifier: &HmacVerifier, now: UnixMillis) {
    let lacks = !verifier.has_secret(now);
    if lacks && !route.lacks_secret.swap(true, Ordering::Relaxed) {
        let detail = "no secret of this route counts at present: every request is refused";
        tracing::warn!(target: "hookaido", route = %route.path, detail, "ingress_no_valid_secret");
    } else if !lacks {
        route.lacks_secret.store(false, Ordering::Relaxed);
    }
}

/// Stores the message. With a claim this goes on although the sender is gone, because only the outcome says whether the nonce is used.
async fn store(table: &Table, message: NewMessage, claim: Option<Claim>) -> Result<Enqueued, StoreError> {
    let Some(claim) = claim else { return table.queue.enqueue(vec![message]).await };
    let queue = table.queue.clone();
    let task = table.state.tasks.spawn(async move {
        let outcome = queue.enqueue(vec![message]).await;
        if outcome.is_ok() {
            claim.commit();
        }
        outcome
    });
    task.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the process is stopping".into())))
}

/// Where a message came from, as JSON text.
fn trace(path: &str, peer: &Peer) -> JsonMap {
    use std::io::Write as _;

    let mut text = Vec::with_capacity(path.len() + 72);
    text.extend_from_slice(b"{\"path\":");
    push_string(&mut text, path);
    text.extend_from_slice(b",\"remote_addr\":\"");
    // Writing to a vector cannot fail.
    let _ = write!(text, "{}", peer.shown());
    text.extend_from_slice(b"\"}");
    JsonMap::from_stored(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_names_the_path_and_the_peer() {
        let pairs = |path, peer: &str| {
            let addr = peer.parse().unwrap();
            trace(path, &Peer { addr, local: addr, tls: None }).pairs().unwrap()
        };
        let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        assert_eq!(pairs("/a\"b", "127.0.0.1:80"), [pair("path", "/a\"b"), pair("remote_addr", "127.0.0.1:80")]);
        assert_eq!(pairs("/", "[::ffff:10.0.0.1]:1"), [pair("path", "/"), pair("remote_addr", "10.0.0.1:1")]);
        assert_eq!(pairs("/", "10.0.0.1:0"), [pair("path", "/"), pair("remote_addr", "10.0.0.1")]);
        assert_eq!(pairs("/", "[::1]:1"), [pair("path", "/"), pair("remote_addr", "[::1]:1")]);
    }
}
