//! `GET /messages`, `/dlq`, `/attempts` and the messages of an endpoint.

use std::sync::Arc;

use hookaido_http::Response;
use hookaido_model::config::Managed;
use hookaido_model::{EnvelopeId, State};
use hookaido_queue::store::{AttemptQuery, ListQuery};

use crate::Table;
use crate::error::{Fault, Refusal};
use crate::json::{Include, items};
use crate::query::{Query, endpoint};

const STATES: &str = "queued, leased, delivered, dead, canceled";

/// Messages in any state, the newest first.
pub(crate) async fn messages(table: &Table, query: &Query) -> Result<Response, Refusal> {
    let (filter, include) = filter(query)?;
    let states = states(query)?;
    let route = query.selected(table)?;
    show(table, ListQuery { route, states, target: query.target(), ..filter }, include).await
}

/// The messages of one endpoint.
pub(crate) async fn scoped(table: &Table, query: &Query, labels: &Managed) -> Result<Response, Refusal> {
    if ["route", "application", "endpoint_name"].iter().any(|name| query.get(name).is_some()) {
        return Err(Fault::SelectorForbidden.because("the path says which endpoint is meant; leave selectors out"));
    }
    let route = Some(Arc::clone(&endpoint(table, labels)?.path));
    let (filter, include) = filter(query)?;
    let states = states(query)?;
    show(table, ListQuery { route, states, target: query.target(), ..filter }, include).await
}

/// The dead letters, the newest first.
pub(crate) async fn dlq(table: &Table, query: &Query) -> Result<Response, Refusal> {
    let (filter, include) = filter(query)?;
    let route = query.route()?;
    let include = Include { state: false, ..include };
    show(table, ListQuery { route, states: vec![State::Dead], ..filter }, include).await
}

/// Tries of push, the newest first.
pub(crate) async fn attempts(table: &Table, query: &Query) -> Result<Response, Refusal> {
    let (limit, before) = (query.limit()?, query.time("before")?);
    let outcome = query.word("outcome", "acked, retry, dead")?;
    let route = query.selected(table)?;
    let event_id = query.get("event_id").map(EnvelopeId::from);
    let filter = AttemptQuery { event_id, route, target: query.target(), outcome, before, limit };
    let attempts = table.queue.attempts(filter).await?;
    Ok(items(&attempts, |members, attempt| members.attempt(attempt)))
}

fn states(query: &Query) -> Result<Vec<State>, Refusal> {
    Ok(query.word("state", STATES)?.into_iter().collect())
}

/// What all lists of messages understand.
fn filter(query: &Query) -> Result<(ListQuery, Include), Refusal> {
    let (limit, before) = (query.limit()?, query.time("before")?);
    let include = Include {
        payload: query.flag("include_payload")?,
        headers: query.flag("include_headers")?,
        trace: query.flag("include_trace")?,
        state: true,
    };
    Ok((ListQuery { before, limit, content: include.content(), ..ListQuery::default() }, include))
}

async fn show(table: &Table, filter: ListQuery, include: Include) -> Result<Response, Refusal> {
    let messages = table.queue.list(filter).await?;
    Ok(items(&messages, |members, message| members.envelope(message, include)))
}
