//! One request, from its head to its answer.

use std::sync::Arc;

use bytes::Bytes;
use hookaido_http::{Handler, Peer, Reply, Request, Response};
use hookaido_model::config::Managed;
use http::request::Parts as Head;

use crate::error::Refusal;
use crate::query::Query;
use crate::router::Call;
use crate::{Table, backlog, body, endpoint, filter, health, ids, list, model, publish, secrets};

/// Answers a request from one table.
pub fn handle(table: &Arc<Table>, request: Request) -> Reply {
    match table.admit(&request) {
        Err(refusal) => Reply::ready(refusal.respond()),
        Ok(Call::Alive) => Reply::ready(health::alive(table)),
        Ok(call) => Reply::later(answer(Arc::clone(table), call, request)),
    }
}

/// Serves one table on a listener.
#[derive(Clone, Debug)]
pub struct AdminApi(pub Arc<Table>);

impl Handler for AdminApi {
    fn handle(&self, request: Request, _peer: &Arc<Peer>) -> Reply {
        handle(&self.0, request)
    }
}

async fn answer(table: Arc<Table>, call: Call, request: Request) -> Response {
    match respond(&table, call, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.respond(),
    }
}

async fn respond(table: &Arc<Table>, call: Call, request: Request) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let query = Query::parse(head.uri.query());
    match call {
        Call::Alive => Ok(health::alive(table)),
        Call::Health => health::details(table, &query).await,
        Call::Messages => list::messages(table, &query).await,
        Call::Dlq => list::dlq(table, &query).await,
        Call::Attempts => list::attempts(table, &query).await,
        Call::ScopedMessages(labels) => list::scoped(table, &query, &labels).await,
        Call::TopQueued => backlog::top_queued(table, &query).await,
        Call::OldestQueued => backlog::oldest_queued(table, &query).await,
        Call::AgingSummary => backlog::aging::summary(table, &query).await,
        Call::Trends => backlog::trends::trends(table, &query),
        Call::Model => Ok(model::model(table)),
        Call::Applications => Ok(model::applications(table)),
        Call::Endpoints(application) => model::endpoints(table, &application),
        Call::Endpoint(labels) => model::endpoint(table, &labels),
        Call::PutEndpoint(labels) => {
            let body = body::read(table, body).await?;
            endpoint::put(table, labels, &head.headers, &body).await
        }
        Call::DeleteEndpoint(labels) => endpoint::delete(table, labels, &head.headers).await,
        Call::Secrets(pool) => secrets::list(table, &pool),
        Call::AddSecret(pool) => {
            secrets::known(table, &pool)?;
            let body = body::read(table, body).await?;
            secrets::add(table, pool, &head.headers, &body).await
        }
        Call::DeleteSecret(pool, id) => secrets::delete(table, pool, id, &head.headers).await,
        Call::Ids(op) => {
            let audit = crate::audit::Audit::read(&head.headers)?;
            ids::change(table, op, &audit, &body::read(table, body).await?).await
        }
        Call::Filter(op) => {
            let body = body::read(table, body).await?;
            filter::change(table, op, None, &head.headers, &body).await
        }
        Call::ScopedFilter(op, labels) => {
            let route = crate::query::endpoint(table, &labels)?;
            let body = body::read(table, body).await?;
            filter::change(table, op, Some(route), &head.headers, &body).await
        }
        Call::Publish => counted(table, &head, None, body).await,
        Call::ScopedPublish(labels) => counted(table, &head, Some(&labels), body).await,
    }
}

/// A publish; refusals count.
async fn counted(
    table: &Table,
    head: &Head,
    labels: Option<&Managed>,
    body: hookaido_http::RequestBody,
) -> Result<Response, Refusal> {
    let scoped = labels.is_some();
    let outcome = async {
        let gate = publish::Gate::open(table, labels, &head.headers)?;
        let body: Bytes = body::read(table, body).await?;
        gate.publish(&body).await
    };
    outcome.await.inspect_err(|refusal| table.metrics.publish.rejected(refusal.fault.class(), scoped))
}
