//! Requests over HTTP: which endpoint and operation, then body, operation, answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookaido_http::problem::JSON;
use hookaido_http::{Body, BodyError, Handler, Peer, Reply, Request, Response, clean_path, read_body};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};

use crate::ops::{Ended, Leases, Verdict};
use crate::request::{Dequeue, Settle, duration, stream_wish};
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
        handle(&self.0, request)
    }
}

/// Answers a request from one table.
pub fn handle(table: &Arc<Table>, request: Request) -> Reply {
    let path = clean_path(request.uri().path());
    match admit(table, &request, &path) {
        Ok((endpoint, Operation::Stream)) => {
            let wish = stream_wish(request.uri().query().unwrap_or_default());
            Reply::ready(wish.map_or_else(refuse, |wish| stream::open(table, &endpoint, wish)))
        }
        Ok((endpoint, Operation::Call(call))) => {
            let table = Arc::clone(table);
            Reply::later(async move { answer(&table, &endpoint, call, request).await.unwrap_or_else(refuse) })
        }
        Err(error) => Reply::ready(refuse(error)),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `unwrap_or_else` asks for")]
fn refuse(error: PullError) -> Response {
    error.problem().into_response()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Stream,
    Call(Call),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Dequeue,
    Ack,
    Nack,
    Extend,
}

/// Everything before the body. The order is part of the contract: method, token, endpoint, operation. POST to a stream is found out last.
fn admit(table: &Table, request: &Request, path: &str) -> Result<(Arc<Endpoint>, Operation), PullError> {
    let (endpoint, word) = table.find(path);
    let operation = match word {
        "stream" => Some(Operation::Stream),
        "dequeue" => Some(Operation::Call(Call::Dequeue)),
        "ack" => Some(Operation::Call(Call::Ack)),
        "nack" => Some(Operation::Call(Call::Nack)),
        "extend" => Some(Operation::Call(Call::Extend)),
        _ => None,
    };
    let stream = operation == Some(Operation::Stream);
    let get = request.method() == Method::GET;
    if request.method() != Method::POST && !(stream && get) {
        return Err(PullError::Method);
    }
    let authorization = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    if !table.allows(endpoint.map(|endpoint| &**endpoint), authorization) {
        return Err(PullError::Unauthorized);
    }
    let endpoint = endpoint.ok_or(PullError::RouteNotFound)?;
    if stream && !get {
        return Err(PullError::Method);
    }
    Ok((Arc::clone(endpoint), operation.ok_or(PullError::OperationNotFound)?))
}

async fn answer(table: &Table, endpoint: &Arc<Endpoint>, call: Call, request: Request) -> Result<Response, PullError> {
    let body = read_body(request.into_body(), MAX_BODY, BODY_DEADLINE, &table.bodies).await;
    match call {
        Call::Dequeue => dequeue(table, endpoint, body).await,
        Call::Ack | Call::Nack => settle(table, endpoint, call, &body?).await,
        Call::Extend => extend(table, endpoint, &body?).await,
    }
}

async fn dequeue(
    table: &Table,
    endpoint: &Arc<Endpoint>,
    body: Result<Bytes, BodyError>,
) -> Result<Response, PullError> {
    let wish = body.map_err(PullError::from).and_then(|body| Dequeue::parse(&body)?.wish());
    let wish = wish.inspect_err(|error| endpoint.metrics.dequeue(error.problem().status.as_u16(), 0))?;
    let messages = table.dequeue(endpoint, wish).await?;
    let body = encode::items(messages.envelopes());
    // Until here the messages go back should the worker have gone away.
    drop(messages.hand_over());
    Ok(json(StatusCode::OK, body))
}

async fn settle(table: &Table, endpoint: &Endpoint, call: Call, body: &[u8]) -> Result<Response, PullError> {
    let mut body = Settle::parse(body)?;
    let many = body.many();
    let leases = table.leases(body.lease_id, many)?;
    let (verdict, word) = match call {
        Call::Ack => (Verdict::Ack, "acked"),
        _ if body.dead == Some(true) => (Verdict::Dead(body.reason), "succeeded"),
        _ => {
            let delay = duration("delay", body.delay.as_deref())?;
            (Verdict::Nack { delay, reason: body.reason }, "succeeded")
        }
    };
    let mut ended = table.settle(endpoint, &leases, &verdict).await?;
    match leases {
        Leases::Many(_) => Ok(batch_answer(word, &ended)),
        Leases::One(_) => match ended.conflicts.pop() {
            None => Ok(no_content()),
            Some((_, lost)) => Err(PullError::Lost(lost)),
        },
    }
}

async fn extend(table: &Table, endpoint: &Endpoint, body: &[u8]) -> Result<Response, PullError> {
    let body = Settle::parse(body)?;
    let lease = body.lease_id.as_deref().map(str::trim).filter(|lease| !lease.is_empty());
    let (Some(lease), Some(by)) = (lease, duration("extend_by", body.extend_by.as_deref())?) else {
        return Err(PullError::Invalid("`lease_id` and `extend_by` are required".to_owned()));
    };
    table.extend(endpoint, lease, by).await?;
    Ok(no_content())
}

fn batch_answer(word: &'static str, ended: &Ended) -> Response {
    if ended.conflicts.is_empty() {
        return json(StatusCode::OK, format!("{{\"{word}\":{}}}\n", ended.done).into_bytes());
    }
    PullError::conflicts(word, ended).into_response()
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
