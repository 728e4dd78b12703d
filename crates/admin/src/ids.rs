//! Changes to messages by id: cancel, requeue, resume, and the two of the dead letters.

use std::collections::HashSet;

use hookaido_http::Response;
use hookaido_model::state::Move;
use hookaido_model::{EnvelopeId, State};
use hookaido_queue::store::{ListQuery, Step};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Table;
use crate::audit::{Audit, Mutation, has_rules};
use crate::body::{Text, parse};
use crate::error::{Fault, Refusal};
use crate::json;

/// Most ids of a request.
const MAX_IDS: usize = 1000;

/// A change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdsOp {
    DlqRequeue,
    DlqDelete,
    Cancel,
    Requeue,
    Resume,
}

/// How a change is named and what it does.
struct Shape {
    operation: &'static str,
    /// Member of the answer that tells how many changed.
    member: &'static str,
    /// As logged.
    state: &'static str,
    step: Step,
    only: &'static [State],
}

impl IdsOp {
    pub(crate) fn of_dlq(verb: &str) -> Option<Self> {
        match verb {
            "requeue" => Some(Self::DlqRequeue),
            "delete" => Some(Self::DlqDelete),
            _ => None,
        }
    }

    pub(crate) fn of_messages(verb: &str) -> Option<Self> {
        match verb {
            "cancel" => Some(Self::Cancel),
            "requeue" => Some(Self::Requeue),
            "resume" => Some(Self::Resume),
            _ => None,
        }
    }

    fn shape(self) -> Shape {
        let (operation, member, state, step, only): (_, _, _, _, &[State]) = match self {
            Self::DlqRequeue => ("dlq_requeue", "requeued", "dead", Step::Move(Move::Requeue), &[State::Dead]),
            Self::DlqDelete => ("dlq_delete", "deleted", "dead", Step::Delete, &[State::Dead]),
            Self::Cancel => ("cancel_messages", "canceled", "canceled", Step::Move(Move::Cancel), &[]),
            Self::Requeue => ("requeue_messages", "requeued", "queued", Step::Move(Move::Requeue), &[]),
            Self::Resume => ("resume_messages", "resumed", "queued", Step::Move(Move::Resume), &[]),
        };
        Shape { operation, member, state, step, only }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct IdsBody<'a> {
    #[serde(borrow)]
    ids: Option<Vec<Text<'a>>>,
}

/// Changes the messages that the body names.
pub(crate) async fn change(table: &Table, op: IdsOp, audit: &Audit, body: &[u8]) -> Result<Response, Refusal> {
    let ids = ids(body)?;
    let shape = op.shape();
    protect_managed(table, audit, &ids, &shape).await?;
    let count = ids.len();
    let changed = table.queue.transition(ids, shape.step, shape.only.to_vec()).await?.changed.len();
    let mutation = Mutation {
        operation: shape.operation,
        state: shape.state,
        limit: count,
        matched: count,
        changed,
        ..Mutation::default()
    };
    mutation.log(audit, table.queue.clock().now());
    let mut answer = Map::new();
    answer.insert(shape.member.to_owned(), changed.into());
    answer.insert("audit".to_owned(), audit.json());
    Ok(json::ok(&Value::Object(answer)))
}

/// The ids, each once.
fn ids(body: &[u8]) -> Result<Vec<EnvelopeId>, Refusal> {
    let body: IdsBody<'_> = parse(body)?;
    let texts = body.ids.unwrap_or_default();
    if texts.is_empty() || texts.len() > MAX_IDS || texts.iter().any(|id| id.given().is_none()) {
        return Err(Fault::Body.because("`ids` takes 1 to 1000 texts that are not empty"));
    }
    let mut seen = HashSet::with_capacity(texts.len());
    Ok(texts.iter().map(Text::trimmed).filter(|id| seen.insert(*id)).map(EnvelopeId::from).collect())
}

impl Shape {
    /// The states it takes messages from; none for all.
    fn states(&self) -> Vec<State> {
        match self.step {
            Step::Move(step) if self.only.is_empty() => {
                State::ALL.into_iter().filter(|state| state.after(step).is_some()).collect()
            }
            _ => self.only.to_vec(),
        }
    }
}

/// Whoever changes a message of a managed route must be allowed to. Looks only when there are rules, and at what would change.
async fn protect_managed(table: &Table, audit: &Audit, ids: &[EnvelopeId], shape: &Shape) -> Result<(), Refusal> {
    if table.managed.is_empty() || !has_rules(table) {
        return Ok(());
    }
    let limit = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    let list = ListQuery { ids: Some(ids.to_vec()), states: shape.states(), limit, ..ListQuery::default() };
    let messages = table.queue.list(list).await?;
    let managed = |route: &str| table.route(route).is_some_and(|route| route.managed.is_some());
    if messages.iter().any(|message| managed(&message.lane.route)) { audit.allowed(table) } else { Ok(()) }
}
