//! `POST /messages/publish` and the same below an endpoint: what is checked in which order, and the one transaction.
//!
//! First what the head decides (the server's policy, the endpoint, who asks), then the form of all items, then each item against its
//! route. Nothing is stored unless everything is good.

mod item;

use std::collections::HashSet;

use hookaido_http::Response;
use hookaido_http::json::Object;
use hookaido_model::config::Managed;
use hookaido_queue::store::{NewMessage, StoreError};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use self::item::Item;
use crate::Table;
use crate::audit::{Audit, Mutation};
use crate::body::parse;
use crate::error::{Fault, Refusal};
use crate::filter::scope_json;
use crate::json;
use crate::query::endpoint;
use crate::table::RouteEntry;

/// Most messages of a request.
const MAX_ITEMS: usize = 1000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PublishBody<'a> {
    #[serde(borrow)]
    items: Option<Vec<Object<Item<'a>>>>,
}

/// A publish whose head is good.
#[derive(Debug)]
pub(crate) struct Gate<'a> {
    table: &'a Table,
    scope: Option<&'a RouteEntry>,
    audit: Audit,
}

impl<'a> Gate<'a> {
    /// Everything that can be said before the body.
    pub(crate) fn open(table: &'a Table, labels: Option<&Managed>, headers: &HeaderMap) -> Result<Self, Refusal> {
        let scope = match labels {
            None if !table.policy.direct => {
                return Err(Fault::DirectDisabled.because("`defaults.publish_policy.direct` is off"));
            }
            Some(_) if !table.policy.managed => {
                return Err(Fault::ManagedDisabled.because("`defaults.publish_policy.managed` is off"));
            }
            labels => labels.map(|labels| endpoint(table, labels)).transpose()?,
        };
        let audit = Audit::read(headers)?;
        match scope {
            None => audit.identified(table)?,
            Some(route) => {
                audit.allowed(table)?;
                item::open_for(table, route, true)?;
            }
        }
        Ok(Self { table, scope, audit })
    }

    /// Checks the items and stores them.
    pub(crate) async fn publish(&self, body: &[u8]) -> Result<Response, Refusal> {
        let body: PublishBody<'_> = parse(body)?;
        let items = body.items.unwrap_or_default();
        if items.is_empty() || items.len() > MAX_ITEMS {
            return Err(Fault::Body.because("`items` takes 1 to 1000 entries"));
        }
        self.check_forms(&items)?;
        let now = self.table.queue.clock().now();
        let mut batch = Batch { messages: Vec::with_capacity(items.len()), route: None, target: None };
        for (index, Object(item)) in items.iter().enumerate() {
            let (route, target, message) =
                item.message(self.table, self.scope, now).map_err(|refusal| refusal.at(index))?;
            batch.add(route, target, message);
        }
        let Batch { messages, route, target } = batch;
        let count = messages.len();
        self.table.queue.enqueue(messages).await.map_err(|error| conflict(error, &items))?;
        self.table.metrics.publish.accepted(count as u64, self.scope.is_some());
        let mutation = Mutation {
            operation: "publish_messages",
            labels: self.scope.and_then(|route| route.managed.as_ref()),
            route: route.unwrap_or_default(),
            target: target.unwrap_or_default(),
            state: "queued",
            limit: count,
            matched: count,
            changed: count,
            ..Mutation::default()
        };
        mutation.log(&self.audit, now);
        Ok(self.answer(count))
    }

    /// The first pass: what needs no route. It comes before the second one for all items.
    fn check_forms(&self, items: &[Object<Item<'_>>]) -> Result<(), Refusal> {
        let mut ids = HashSet::with_capacity(items.len());
        for (index, Object(item)) in items.iter().enumerate() {
            item.check_form(self.scope.is_some()).map_err(|refusal| refusal.at(index))?;
            if !ids.insert(item.id.trimmed()) {
                return Err(Fault::Body.because(format!("the id `{}` is there twice", item.id.trimmed())).at(index));
            }
        }
        Ok(())
    }

    fn answer(&self, count: usize) -> Response {
        let mut answer = Map::new();
        answer.insert("published".to_owned(), count.into());
        if let Some(scope) = self.scope {
            answer.insert("scope".to_owned(), scope_json(scope));
        }
        answer.insert("audit".to_owned(), self.audit.json());
        json::ok(&Value::Object(answer))
    }
}

/// Messages to store; route and target while all have the same, for the log.
struct Batch<'a> {
    messages: Vec<NewMessage>,
    route: Option<&'a str>,
    target: Option<&'a str>,
}

impl<'a> Batch<'a> {
    fn add(&mut self, route: &'a str, target: &'a str, message: NewMessage) {
        let first = self.messages.is_empty();
        self.route = if first { Some(route) } else { self.route.filter(|known| *known == route) };
        self.target = if first { Some(target) } else { self.target.filter(|known| *known == target) };
        self.messages.push(message);
    }
}

/// Names the item whose id exists already.
fn conflict(error: StoreError, items: &[Object<Item<'_>>]) -> Refusal {
    let index = match &error {
        StoreError::Conflict(id) => {
            let id = id.to_string();
            items.iter().position(|Object(item)| item.id.trimmed() == id)
        }
        _ => None,
    };
    let refusal = Refusal::from(error);
    match index {
        Some(index) => refusal.at(index),
        None => refusal,
    }
}
