//! Changes to all messages that match: `cancel_by_filter`, `requeue_by_filter`, `resume_by_filter`.

use std::sync::Arc;

use hookaido_http::Response;
use hookaido_model::config::Managed;
use hookaido_model::state::Move;
use hookaido_model::{State, UnixMillis};
use hookaido_queue::store::{ListQuery, Step};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Table;
use crate::audit::{Audit, Mutation};
use crate::body::{Text, parse};
use crate::error::{Fault, Refusal};
use crate::query::{DEFAULT_LIMIT, MAX_LIMIT, endpoint, selector};
use crate::table::RouteEntry;

/// A change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FilterOp {
    Cancel,
    Requeue,
    Resume,
}

impl FilterOp {
    pub(crate) fn of(verb: &str) -> Option<Self> {
        match verb {
            "cancel_by_filter" => Some(Self::Cancel),
            "requeue_by_filter" => Some(Self::Requeue),
            "resume_by_filter" => Some(Self::Resume),
            _ => None,
        }
    }

    fn operation(self) -> &'static str {
        match self {
            Self::Cancel => "cancel_by_filter",
            Self::Requeue => "requeue_by_filter",
            Self::Resume => "resume_by_filter",
        }
    }

    /// Member of the answer that tells how many changed.
    fn member(self) -> &'static str {
        match self {
            Self::Cancel => "canceled",
            Self::Requeue => "requeued",
            Self::Resume => "resumed",
        }
    }

    fn step(self) -> Move {
        match self {
            Self::Cancel => Move::Cancel,
            Self::Requeue => Move::Requeue,
            Self::Resume => Move::Resume,
        }
    }

    /// The states it takes messages from.
    fn states(self) -> Vec<State> {
        State::ALL.into_iter().filter(|state| state.after(self.step()).is_some()).collect()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FilterBody<'a> {
    #[serde(borrow)]
    route: Text<'a>,
    #[serde(borrow)]
    application: Text<'a>,
    #[serde(borrow)]
    endpoint_name: Text<'a>,
    #[serde(borrow)]
    target: Text<'a>,
    #[serde(borrow)]
    state: Text<'a>,
    #[serde(borrow)]
    before: Text<'a>,
    limit: Option<i64>,
    preview_only: Option<bool>,
}

/// A body that was checked.
struct Wish {
    /// Labels that the body gives.
    labels: Option<Managed>,
    list: ListQuery,
    /// As given.
    state: &'static str,
    preview_only: bool,
}

/// Changes what matches. `scope` is the endpoint of the path.
pub(crate) async fn change(
    table: &Table,
    op: FilterOp,
    scope: Option<&RouteEntry>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Refusal> {
    let wish = wish(op, body, scope.is_some())?;
    let selected = wish.labels.as_ref().map(|labels| endpoint(table, labels)).transpose()?;
    let audit = Audit::read(headers)?;
    let scope = scope.or(selected);
    if scope.is_none() {
        spare_managed(table, &wish)?;
    }
    if scope.is_some() {
        audit.allowed(table)?;
    }
    let route = scope.map_or(wish.list.route.clone(), |scope| Some(Arc::clone(&scope.path)));
    let list = ListQuery { route, ..wish.list };
    let (states, limit) = (list.states.clone(), list.limit);
    let (route, target) = (list.route.clone(), list.target.clone());
    let ids: Vec<_> = table.queue.list(list).await?.into_iter().map(|message| message.id).collect();
    let matched = ids.len();
    let changed = if wish.preview_only {
        0
    } else {
        table.queue.transition(ids, Step::Move(op.step()), states).await?.changed.len()
    };
    let mutation = Mutation {
        operation: op.operation(),
        labels: scope.and_then(|route| route.managed.as_ref()),
        route: route.as_deref().unwrap_or_default(),
        target: target.as_deref().unwrap_or_default(),
        state: wish.state,
        limit: usize::try_from(limit).unwrap_or_default(),
        preview_only: wish.preview_only,
        matched,
        changed,
    };
    mutation.log(&audit, table.queue.clock().now());
    let mut answer = Map::new();
    answer.insert("matched".to_owned(), matched.into());
    if changed > 0 {
        answer.insert(op.member().to_owned(), changed.into());
    }
    answer.insert("preview_only".to_owned(), wish.preview_only.into());
    if let Some(scope) = scope {
        answer.insert("scope".to_owned(), scope_json(scope));
    }
    answer.insert("audit".to_owned(), audit.json());
    Ok(crate::json::ok(&Value::Object(answer)))
}

/// Labels and route, as repeated in the answer.
pub(crate) fn scope_json(route: &RouteEntry) -> Value {
    let labels = route.managed.as_ref();
    json!({
        "application": labels.map(|labels| &labels.application),
        "endpoint_name": labels.map(|labels| &labels.endpoint),
        "route": &*route.path,
    })
}

/// Managed routes are reached through their labels only.
fn spare_managed(table: &Table, wish: &Wish) -> Result<(), Refusal> {
    let touches = match &wish.list.route {
        Some(route) => table.route(route).is_some_and(|route| route.managed.is_some()),
        None => !table.managed.is_empty(),
    };
    if touches {
        let detail = "this could touch a managed route; select it by `application` and `endpoint_name`";
        return Err(Fault::ManagedSelectorRequired.because(detail));
    }
    Ok(())
}

fn wish(op: FilterOp, body: &[u8], scoped: bool) -> Result<Wish, Refusal> {
    let body: FilterBody<'_> = parse(body)?;
    let (route, application, endpoint_name) =
        (body.route.given(), body.application.given(), body.endpoint_name.given());
    let states = op.states();
    let state = match body.state.given() {
        None => None,
        Some(word) => {
            let state = word.to_ascii_lowercase().parse().ok().filter(|state| states.contains(state));
            Some(state.ok_or_else(|| Fault::Body.because("`state` takes a state that this change applies to"))?)
        }
    };
    let limit = match body.limit {
        None | Some(0) => DEFAULT_LIMIT,
        Some(limit) => u32::try_from(limit.min(i64::from(MAX_LIMIT)))
            .map_err(|_negative| Fault::Body.because("`limit` takes a whole number from 0 on"))?,
    };
    let before = body.before.given().map(UnixMillis::parse_rfc3339).transpose();
    let before = before.map_err(|error| Fault::Body.because(format!("`before`: {error}")))?;
    if scoped && (route.is_some() || application.is_some() || endpoint_name.is_some()) {
        return Err(Fault::SelectorForbidden.because("the path says which endpoint is meant; leave selectors out"));
    }
    let labels = selector(application, endpoint_name, route.is_some())?;
    if route.is_some_and(|route| !route.starts_with('/')) {
        return Err(Fault::Body.because("`route` starts with a slash"));
    }
    let list = ListQuery {
        route: route.map(Arc::from),
        target: body.target.given().map(Arc::from),
        states: state.map_or(states, |state| vec![state]),
        before,
        limit,
        ..ListQuery::default()
    };
    let state = state.map_or("", State::as_str);
    Ok(Wish { labels, list, state, preview_only: body.preview_only.unwrap_or(false) })
}
