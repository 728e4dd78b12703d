//! A look at everything that is stored, after each step.

use hookaido_model::{Envelope, State, UnixMillis};

use super::{START, World, at};
use crate::simulation::model::{Message, Model};
use crate::store::{ListQuery, Stats};

impl World {
    /// Compares all messages and counts with the oracle.
    pub(super) async fn look(&self) -> Result<(), String> {
        let found = self.everything().await?;
        compare(&self.model, &found).map_err(|difference| difference.in_words())?;
        let stats = self.store.stats().await.map_err(|error| format!("cannot be counted: {error}"))?;
        self.compare_stats(&stats)
    }

    /// Everything, in order of receipt.
    pub(super) async fn everything(&self) -> Result<Vec<Envelope>, String> {
        let query = ListQuery { oldest_first: true, limit: u32::MAX, ..ListQuery::default() };
        self.store.list(query).await.map_err(|error| format!("cannot be listed: {error}"))
    }

    fn compare_stats(&self, stats: &Stats) -> Result<(), String> {
        for (n, lane) in self.lanes.iter().enumerate() {
            let found = stats.lanes.iter().find(|found| found.lane.id == lane.id);
            let found = found.ok_or_else(|| format!("lane {n} is not counted"))?;
            let expected = self.model.counts(n);
            if found.counts != expected {
                return Err(format!("lane {n} counts {:?}, and holds {expected:?}", found.counts));
            }
            let queued = || self.model.messages.iter().filter(|m| m.lane == n && m.state == State::Queued);
            let oldest = queued().map(|message| message.received_at).min();
            let earliest = queued().map(|message| message.ready_at).min();
            let relative = |at: Option<UnixMillis>| at.map(|at| at.0 - START.0);
            let ages = (relative(found.oldest_queued_received_at), relative(found.earliest_queued_next_run_at));
            if ages != (oldest, earliest) {
                return Err(format!("lane {n} says oldest and earliest are {ages:?}, not {:?}", (oldest, earliest)));
            }
        }
        Ok(())
    }

    /// Takes over what only a look could tell: ids and leases that nobody was told.
    pub(super) fn learn(&mut self, found: &[Envelope]) {
        for (message, envelope) in self.model.messages.iter_mut().zip(found) {
            message.id.get_or_insert_with(|| envelope.id.clone());
            if let (Some(held), Some(lease)) = (&mut message.lease, envelope.lease) {
                held.id.get_or_insert(lease);
            }
        }
    }
}

/// The first thing that is not as it should be.
pub(super) enum Difference {
    Lost(usize),
    TooMany(String),
    Other { number: usize, found: String, expected: String },
}

impl Difference {
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Lost(number) => format!("message {number} is lost"),
            Self::TooMany(id) => format!("{id} should not be there"),
            Self::Other { number, found, expected } => {
                format!("message {number} is {found}\n             and should be {expected}")
            }
        }
    }
}

/// Compares what is stored, in order of receipt, with what should be.
pub(super) fn compare(model: &Model, found: &[Envelope]) -> Result<(), Difference> {
    if found.len() == model.messages.len() && found.iter().zip(&model.messages).all(|(is, wanted)| is_as(is, wanted)) {
        return Ok(());
    }
    let known = |envelope: &Envelope| model.by_id(&envelope.id).is_some();
    if let Some(lost) =
        model.messages.iter().find(|m| m.id.as_ref().is_some_and(|id| !found.iter().any(|e| e.id == *id)))
    {
        return Err(Difference::Lost(lost.number));
    }
    let unknown = model.messages.iter().filter(|message| message.id.is_none()).count();
    if let Some(extra) = found.iter().filter(|envelope| !known(envelope)).nth(unknown) {
        return Err(Difference::TooMany(extra.id.to_string()));
    }
    for (n, message) in model.messages.iter().enumerate() {
        let Some(envelope) = found.get(n) else { return Err(Difference::Lost(message.number)) };
        let (is, should_be) = (seen(envelope, message), wanted(message));
        if is != should_be {
            return Err(Difference::Other { number: message.number, found: is, expected: should_be });
        }
    }
    Ok(())
}

/// Whether a message is as it should be.
fn is_as(envelope: &Envelope, message: &Message) -> bool {
    let lease = match (message.lease, envelope.lease) {
        (None, None) => true,
        (Some(held), Some(lease)) => held.id.is_none_or(|told| told == lease),
        _ => false,
    };
    lease
        && message.id.as_ref().is_none_or(|id| *id == envelope.id)
        && envelope.state == message.state
        && envelope.received_at == at(message.received_at)
        && envelope.next_run_at == at(message.ready_at)
        && envelope.attempt == message.attempt
        && envelope.lease_until == message.lease.map(|held| at(held.until))
        && envelope.dead_reason.as_ref().map(|reason| reason.as_str()) == message.dead_reason.as_deref()
}

fn seen(envelope: &Envelope, message: &Message) -> String {
    let id = if message.id.as_ref().is_none_or(|id| *id == envelope.id) { "itself" } else { "another in its place" };
    let lease = match (message.lease.and_then(|held| held.id), envelope.lease) {
        (_, None) => "nobody's",
        (Some(told), Some(lease)) if told != lease => "somebody else's",
        _ => "held",
    };
    words(&[
        &id,
        &envelope.state,
        &format!("received {}", envelope.received_at.0 - START.0),
        &format!("ready {}", envelope.next_run_at.0 - START.0),
        &format!("attempt {}", envelope.attempt),
        &lease,
        &format!("until {:?}", envelope.lease_until.map(|until| until.0 - START.0)),
        &format!("because {:?}", envelope.dead_reason.as_ref().map(|reason| reason.as_str())),
    ])
}

fn wanted(message: &Message) -> String {
    let lease = if message.lease.is_some() { "held" } else { "nobody's" };
    words(&[
        &"itself",
        &message.state,
        &format!("received {}", at(message.received_at).0 - START.0),
        &format!("ready {}", message.ready_at),
        &format!("attempt {}", message.attempt),
        &lease,
        &format!("until {:?}", message.lease.map(|held| held.until)),
        &format!("because {:?}", message.dead_reason.as_deref()),
    ])
}

fn words(parts: &[&dyn std::fmt::Display]) -> String {
    parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
