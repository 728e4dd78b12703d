//! Views of what waits: the fullest lanes, the oldest messages; ages and trends in modules of their own.

pub(crate) mod aging;
pub(crate) mod trends;

use std::time::Duration;

use hookaido_http::Response;
use hookaido_model::{Lane, State, UnixMillis};
use hookaido_queue::store::{LaneStats, ListQuery, Stats};
use serde_json::{Map, Value, json};

use crate::Table;
use crate::error::Refusal;
use crate::json;
use crate::query::Query;

/// Sums over all lanes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overview {
    counts: [u64; 5],
    oldest: Option<UnixMillis>,
    earliest: Option<UnixMillis>,
}

impl Overview {
    pub(crate) fn of(stats: &Stats) -> Self {
        stats.lanes.iter().fold(Self::default(), |mut sum, lane| {
            sum.counts.iter_mut().zip(lane.counts).for_each(|(sum, count)| *sum += count);
            sum.oldest = earlier(sum.oldest, lane.oldest_queued_received_at);
            sum.earliest = earlier(sum.earliest, lane.earliest_queued_next_run_at);
            sum
        })
    }

    pub(crate) fn count(&self, state: State) -> u64 {
        self.counts.get(usize::from(state.code())).copied().unwrap_or(0)
    }

    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds the times of the oldest and of the next message, and how long ago they were.
    pub(crate) fn ages(&self, now: UnixMillis, into: &mut Map<String, Value>) {
        ages(self.oldest, self.earliest, now, into);
    }
}

fn earlier(a: Option<UnixMillis>, b: Option<UnixMillis>) -> Option<UnixMillis> {
    a.into_iter().chain(b).min()
}

/// The present age of the oldest queued message, and how long the next one has been ready.
pub(crate) fn ages(
    oldest: Option<UnixMillis>,
    earliest: Option<UnixMillis>,
    now: UnixMillis,
    into: &mut Map<String, Value>,
) {
    if let Some(oldest) = oldest {
        into.insert("oldest_queued_received_at".to_owned(), oldest.to_string().into());
        into.insert("oldest_queued_age_seconds".to_owned(), secs(now.since(oldest)));
    }
    if let Some(earliest) = earliest {
        into.insert("earliest_queued_next_run_at".to_owned(), earliest.to_string().into());
        into.insert("ready_lag_seconds".to_owned(), secs(now.since(earliest)));
    }
}

fn secs(duration: Duration) -> Value {
    duration.as_secs().into()
}

/// Lanes with queued messages that are meant, the fullest first.
pub(crate) fn rows(stats: &Stats, now: UnixMillis, meant: impl Fn(&Lane) -> bool) -> Vec<Value> {
    let queued = |lane: &LaneStats| lane.counts.first().copied().unwrap_or(0);
    let mut lanes: Vec<_> = stats.lanes.iter().filter(|lane| queued(lane) > 0 && meant(&lane.lane)).collect();
    lanes.sort_by(|a, b| {
        queued(b).cmp(&queued(a)).then_with(|| (&a.lane.route, &a.lane.target).cmp(&(&b.lane.route, &b.lane.target)))
    });
    let row = |lane: &LaneStats| {
        let mut row = Map::new();
        row.insert("route".to_owned(), (*lane.lane.route).into());
        row.insert("target".to_owned(), (*lane.lane.target).into());
        row.insert("queued".to_owned(), queued(lane).into());
        ages(lane.oldest_queued_received_at, lane.earliest_queued_next_run_at, now, &mut row);
        Value::Object(row)
    };
    lanes.into_iter().map(row).collect()
}

/// What a view is limited to.
#[derive(Debug)]
pub(crate) struct Selector {
    pub(crate) route: Option<std::sync::Arc<str>>,
    pub(crate) target: Option<std::sync::Arc<str>>,
}

impl Selector {
    pub(crate) fn of(query: &Query) -> Result<Self, Refusal> {
        Ok(Self { route: query.route()?, target: query.target() })
    }

    pub(crate) fn takes(&self, lane: &Lane) -> bool {
        self.route.as_ref().is_none_or(|route| *route == lane.route)
            && self.target.as_ref().is_none_or(|target| *target == lane.target)
    }

    pub(crate) fn json(&self) -> Value {
        let pairs = [("route", &self.route), ("target", &self.target)];
        let given = pairs.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::from(text.as_deref()?))));
        Value::Object(given.collect())
    }
}

/// What every view starts with.
pub(crate) fn head(overview: &Overview, limit: u32) -> Map<String, Value> {
    let mut head = Map::new();
    head.insert("queue_total".to_owned(), overview.total().into());
    head.insert("queued_total".to_owned(), overview.count(State::Queued).into());
    head.insert("limit".to_owned(), limit.into());
    head
}

/// The lanes with the most queued messages.
pub(crate) async fn top_queued(table: &Table, query: &Query) -> Result<Response, Refusal> {
    let (limit, selector) = (query.limit()?, Selector::of(query)?);
    let stats = table.queue.stats().await?;
    let now = table.queue.clock().now();
    let overview = Overview::of(&stats);
    let mut items = rows(&stats, now, |lane| selector.takes(lane));
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut answer = head(&overview, limit);
    answer.insert("truncated".to_owned(), (items.len() > most).into());
    items.truncate(most);
    answer.insert("source_bounded".to_owned(), false.into());
    overview.ages(now, &mut answer);
    answer.insert("selector".to_owned(), selector.json());
    answer.insert("items".to_owned(), items.into());
    Ok(json::ok(&Value::Object(answer)))
}

/// The messages that have waited longest.
pub(crate) async fn oldest_queued(table: &Table, query: &Query) -> Result<Response, Refusal> {
    let (limit, selector) = (query.limit()?, Selector::of(query)?);
    let stats = table.queue.stats().await?;
    let list = ListQuery {
        route: selector.route.clone(),
        target: selector.target.clone(),
        states: vec![State::Queued],
        oldest_first: true,
        // One more than shown tells whether there are more.
        limit: limit + 1,
        ..ListQuery::default()
    };
    let mut messages = table.queue.list(list).await?;
    let now = table.queue.clock().now();
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let truncated = messages.len() > most;
    messages.truncate(most);
    let items: Vec<Value> = messages
        .iter()
        .map(|message| {
            json!({
                "id": message.id.to_string(),
                "route": &*message.lane.route,
                "target": &*message.lane.target,
                "received_at": message.received_at.to_string(),
                "attempt": message.attempt,
                "next_run_at": message.next_run_at.to_string(),
                "oldest_queued_age_seconds": now.since(message.received_at).as_secs(),
                "ready_lag_seconds": now.since(message.next_run_at).as_secs(),
            })
        })
        .collect();
    let overview = Overview::of(&stats);
    let mut answer = head(&overview, limit);
    answer.insert("returned".to_owned(), items.len().into());
    answer.insert("truncated".to_owned(), truncated.into());
    overview.ages(now, &mut answer);
    answer.insert("selector".to_owned(), selector.json());
    answer.insert("items".to_owned(), items.into());
    Ok(json::ok(&Value::Object(answer)))
}
