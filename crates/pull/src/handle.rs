//! Requests over HTTP: which endpoint and operation, then body, operation, answer.

use std::sync::Arc;
use std::time::Duration;

use hookaido_http::{Body, Handler, Peer, Reply, Request, Response, clean_path, read_body};
use hookaido_queue::store::{LeaseLost, Settlement};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};

use crate::ops::{Ended, Wish, nack};
use crate::request::{Dequeue, Extend, Settle, parse, span};
use crate::table::{Endpoint, Table};
use crate::{PullError, encode, stream};

/// Largest body of a request. The largest legal one names a few thousand leases.
const MAX_BODY: u64 = 1 << 20;
/// Longest time for a body.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// Serves one table on a listener.
#[derive(Clone, Debug)]
pub struct PullApi(pub Arc<Table>);

impl Handler for PullApi {
    fn handle(&self, request: Request, _peer: &Arc<Peer>) -> Reply {
        let path = clean_path(request.uri().path()).into_owned();
        match admit(&self.0, &request, &path) {
            Ok(Admitted::Stream(endpoint)) => {
                Reply::ready(stream::open(&self.0, &endpoint, request.uri().query()).unwrap_or_else(refuse))
            }
            Ok(Admitted::Operation(endpoint, operation)) => {
                let table = Arc::clone(&self.0);
                Reply::later(async move { operate(&table, &endpoint, operation, request).await.unwrap_or_else(refuse) })
            }
            Err(error) => Reply::ready(refuse(error)),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that unwrap_or_else asks for")]
fn refuse(error: PullError) -> Response {
    error.problem().into_response()
}

enum Admitted {
    Stream(Arc<Endpoint>),
    Operation(Arc<Endpoint>, Operation),
}

#[derive(Clone, Copy)]
enum Operation {
    Dequeue,
    Ack,
    Nack,
    Extend,
}

/// Everything before the body. The order is part of the contract: method, token, endpoint, operation; for streams token, method, endpoint.
fn admit(table: &Table, request: &Request, path: &str) -> Result<Admitted, PullError> {
    let (endpoint, operation) = table.find(path);
    let stream = operation == "stream";
    if !stream && request.method() != Method::POST {
        return Err(PullError::Method);
    }
    let tokens = endpoint.and_then(|endpoint| endpoint.tokens.as_ref()).unwrap_or(&table.tokens);
    let presented = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    if !tokens.check(presented) {
        return Err(PullError::Unauthorized);
    }
    if stream && request.method() != Method::GET {
        return Err(PullError::Method);
    }
    let endpoint = Arc::clone(endpoint.ok_or(PullError::RouteNotFound)?);
    let operation = match operation {
        "stream" => return Ok(Admitted::Stream(endpoint)),
        "dequeue" => Operation::Dequeue,
        "ack" => Operation::Ack,
        "nack" => Operation::Nack,
        "extend" => Operation::Extend,
        _ => return Err(PullError::OperationNotFound),
    };
    Ok(Admitted::Operation(endpoint, operation))
}

async fn operate(
    table: &Arc<Table>,
    endpoint: &Endpoint,
    operation: Operation,
    request: Request,
) -> Result<Response, PullError> {
    let body = read_body(request.into_body(), MAX_BODY, BODY_DEADLINE, &table.bodies).await;
    match operation {
        Operation::Dequeue => {
            let answer = match body {
                Ok(body) => dequeue(table, endpoint, &body).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = &answer {
                endpoint.metrics.dequeue(error.problem().status.as_u16(), 0);
            }
            answer
        }
        Operation::Ack => settle(table, endpoint, &body?, true).await,
        Operation::Nack => settle(table, endpoint, &body?, false).await,
        Operation::Extend => extend(table, endpoint, &body?).await,
    }
}

async fn dequeue(table: &Table, endpoint: &Endpoint, body: &[u8]) -> Result<Response, PullError> {
    let body: Dequeue = parse(body, true)?;
    let wish = Wish {
        batch: body.batch,
        lease_ttl: span("lease_ttl", body.lease_ttl.as_deref())?.map(|span| span.or_zero()),
        max_wait: span("max_wait", body.max_wait.as_deref())?.map(|span| span.or_zero()),
    };
    // From here on the worker is answered; until here its leases are given back should it go away.
    let envelopes = table.dequeue(endpoint, wish).await?.map(hookaido_queue::LeasedBatch::keep).unwrap_or_default();
    endpoint.metrics.dequeue(200, u64::try_from(envelopes.len()).unwrap_or(u64::MAX));
    Ok(json(StatusCode::OK, encode::items(&envelopes)))
}

async fn settle(table: &Table, endpoint: &Endpoint, body: &[u8], ack: bool) -> Result<Response, PullError> {
    let body: Settle = parse(body, false)?;
    let delay = span("delay", body.delay.as_deref().filter(|_| !ack))?.map_or(Duration::ZERO, |span| span.or_zero());
    let (leases, single) = named(body.lease_id, body.lease_ids, table.limits.max_lease_batch)?;
    let settlement = if ack {
        Settlement::Ack
    } else {
        nack(table.queue.clock().now(), delay, body.dead.unwrap_or_default(), body.reason)
    };
    let ended = table.settle(endpoint, &leases, &settlement).await?;
    if !single {
        return Ok(batch_answer(if ack { "acked" } else { "succeeded" }, &ended));
    }
    match ended.conflicts.into_iter().next() {
        None => Ok(no_content()),
        Some((_, lost)) => Err(PullError::Lost(lost)),
    }
}

/// The leases that a body names, and whether it is the form for one.
fn named(one: Option<String>, many: Option<Vec<String>>, most: u32) -> Result<(Vec<String>, bool), PullError> {
    let invalid = |text: &str| Err(PullError::Invalid(text.to_owned()));
    let clean = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let one = one.and_then(clean);
    let given = many.as_ref().is_some_and(|many| !many.is_empty());
    if one.is_some() && given {
        return invalid("use either lease_id or lease_ids, not both");
    }
    if let Some(one) = one {
        return Ok((vec![one], true));
    }
    let mut many: Vec<String> = many.unwrap_or_default().into_iter().filter_map(clean).collect();
    if many.is_empty() {
        return invalid("lease_id or lease_ids is required");
    }
    let mut seen = std::collections::HashSet::new();
    many.retain(|lease| seen.insert(lease.clone()));
    if many.len() > usize::try_from(most).unwrap_or(usize::MAX) {
        return Err(PullError::Invalid(format!("lease_ids names more than {most} leases; send them in parts")));
    }
    Ok((many, false))
}

async fn extend(table: &Table, endpoint: &Endpoint, body: &[u8]) -> Result<Response, PullError> {
    let body: Extend = parse(body, false)?;
    let lease = body.lease_id.map(|lease| lease.trim().to_owned()).filter(|lease| !lease.is_empty());
    let (Some(lease), Some(by)) = (lease, span("extend_by", body.extend_by.as_deref())?) else {
        return Err(PullError::Invalid("lease_id and extend_by are required".to_owned()));
    };
    table.extend(endpoint, &lease, by.or_zero()).await?;
    Ok(no_content())
}

fn batch_answer(word: &str, ended: &Ended) -> Response {
    if ended.conflicts.is_empty() {
        return json(StatusCode::OK, format!("{{\"{word}\":{}}}\n", ended.done).into_bytes());
    }
    let conflicts: Vec<serde_json::Value> = ended
        .conflicts
        .iter()
        .map(|(lease, lost)| serde_json::json!({ "lease_id": lease, "reason": reason(*lost) }))
        .collect();
    let body = serde_json::json!({
        "code": "lease_conflict",
        "detail": "one or more leases are invalid or have expired",
        word: ended.done,
        "conflicts": conflicts,
    });
    json(StatusCode::CONFLICT, format!("{body}\n").into_bytes())
}

/// A lease of another route is as good as none: its existence is nobody's business here.
fn reason(lost: LeaseLost) -> &'static str {
    match lost {
        LeaseLost::NotFound | LeaseLost::Foreign => "lease_not_found",
        LeaseLost::Expired => "lease_expired",
    }
}

pub(crate) fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
