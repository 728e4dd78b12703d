//! `GET /backlog/aging_summary`: how old messages are, by lane, over the oldest ones of each state.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookaido_http::Response;
use hookaido_model::{Envelope, State, UnixMillis};
use hookaido_queue::store::ListQuery;
use serde_json::{Map, Value, json};

use super::{Overview, Selector, head};
use crate::Table;
use crate::error::{Fault, Refusal};
use crate::json;
use crate::query::{MAX_LIMIT, Query};

/// The states it looks at when nobody says.
const STATES: [State; 3] = [State::Queued, State::Leased, State::Dead];
/// Upper bounds of the windows, in seconds.
const WINDOWS: [(&str, u64); 5] =
    [("le_5m", 300), ("gt_5m_le_15m", 900), ("gt_15m_le_1h", 3600), ("gt_1h_le_6h", 21_600), ("gt_6h", u64::MAX)];

/// The summary.
pub(crate) async fn summary(table: &Table, query: &Query) -> Result<Response, Refusal> {
    let (limit, selector, states) = (query.limit()?, Selector::of(query)?, states(query)?);
    let stats = table.queue.stats().await?;
    let now = table.queue.clock().now();
    let mut scans = Map::new();
    let mut all: Vec<u64> = Vec::new();
    let mut buckets: BTreeMap<(Arc<str>, Arc<str>), Bucket> = BTreeMap::new();
    for state in &states {
        let messages = scan(table, &selector, *state).await?;
        let truncated = messages.len() >= usize::try_from(MAX_LIMIT).unwrap_or(usize::MAX);
        scans.insert(state.as_str().to_owned(), json!({ "scanned": messages.len(), "truncated": truncated }));
        for message in &messages {
            let age = now.since(message.received_at).as_secs();
            all.push(age);
            let key = (Arc::clone(&message.lane.route), Arc::clone(&message.lane.target));
            buckets.entry(key).or_default().add(message, age, now);
        }
    }
    let mut rows: Vec<_> = buckets.into_iter().collect();
    rows.sort_by_key(|(_, bucket)| std::cmp::Reverse(bucket.ages.len()));
    let (bucket_count, most) = (rows.len(), usize::try_from(limit).unwrap_or(usize::MAX));
    rows.truncate(most);
    let items: Vec<Value> =
        rows.into_iter().map(|((route, target), bucket)| bucket.json(&route, &target, now)).collect();
    let source_bounded = scans.values().any(|scan| scan.get("truncated") == Some(&Value::Bool(true)));
    let overview = Overview::of(&stats);
    let mut answer = head(&overview, limit);
    answer.insert("states".to_owned(), states.iter().map(|state| Value::from(state.as_str())).collect());
    answer.insert("scanned".to_owned(), all.len().into());
    distribution(all, &mut answer);
    answer.insert("bucket_count".to_owned(), bucket_count.into());
    answer.insert("truncated".to_owned(), (bucket_count > most).into());
    answer.insert("source_bounded".to_owned(), source_bounded.into());
    answer.insert("state_scan".to_owned(), Value::Object(scans));
    overview.ages(now, &mut answer);
    answer.insert("selector".to_owned(), selector.json());
    answer.insert("items".to_owned(), items.into());
    Ok(json::ok(&Value::Object(answer)))
}

/// The states of the parameter, each once, in its order.
fn states(query: &Query) -> Result<Vec<State>, Refusal> {
    let Some(text) = query.get("states") else { return Ok(STATES.to_vec()) };
    let mut states = Vec::with_capacity(STATES.len());
    for word in text.split(',') {
        let state = word.trim().to_ascii_lowercase().parse().ok().filter(|state| STATES.contains(state));
        let state = state.ok_or_else(|| Fault::Query.because("`states` takes queued, leased and dead, with commas"))?;
        if !states.contains(&state) {
            states.push(state);
        }
    }
    Ok(states)
}

async fn scan(table: &Table, selector: &Selector, state: State) -> Result<Vec<Envelope>, Refusal> {
    let list = ListQuery {
        route: selector.route.clone(),
        target: selector.target.clone(),
        states: vec![state],
        oldest_first: true,
        limit: MAX_LIMIT,
        ..ListQuery::default()
    };
    Ok(table.queue.list(list).await?)
}

/// The messages of one lane.
#[derive(Debug, Default)]
struct Bucket {
    ages: Vec<u64>,
    queued: u64,
    leased: u64,
    dead: u64,
    oldest: Option<UnixMillis>,
    newest: Option<UnixMillis>,
    earliest: Option<UnixMillis>,
    overdue: u64,
}

impl Bucket {
    fn add(&mut self, message: &Envelope, age: u64, now: UnixMillis) {
        self.ages.push(age);
        match message.state {
            State::Queued => {
                self.queued += 1;
                self.oldest = self.oldest.into_iter().chain([message.received_at]).min();
                self.newest = self.newest.into_iter().chain([message.received_at]).max();
                self.earliest = self.earliest.into_iter().chain([message.next_run_at]).min();
                self.overdue += u64::from(message.next_run_at <= now);
            }
            State::Leased => self.leased += 1,
            State::Dead => self.dead += 1,
            State::Delivered | State::Canceled => {}
        }
    }

    fn json(self, route: &str, target: &str, now: UnixMillis) -> Value {
        let mut row = Map::new();
        row.insert("route".to_owned(), route.into());
        row.insert("target".to_owned(), target.into());
        row.insert("total_observed".to_owned(), self.ages.len().into());
        row.insert("queued_observed".to_owned(), self.queued.into());
        row.insert("leased_observed".to_owned(), self.leased.into());
        row.insert("dead_observed".to_owned(), self.dead.into());
        let counts = json!({ "queued": self.queued, "leased": self.leased, "dead": self.dead });
        row.insert("state_counts".to_owned(), counts);
        super::ages(self.oldest, self.earliest, now, &mut row);
        if let Some(newest) = self.newest {
            row.insert("newest_queued_received_at".to_owned(), newest.to_string().into());
            row.insert("newest_queued_age_seconds".to_owned(), now.since(newest).as_secs().into());
        }
        row.insert("ready_overdue_count".to_owned(), self.overdue.into());
        distribution(self.ages, &mut row);
        Value::Object(row)
    }
}

/// Windows and percentiles of ages.
fn distribution(mut ages: Vec<u64>, into: &mut Map<String, Value>) {
    ages.sort_unstable();
    let mut from = 0;
    let windows = WINDOWS.map(|(name, bound)| {
        let upto = ages.partition_point(|age| *age <= bound);
        let count = upto - from;
        from = upto;
        (name.to_owned(), count.into())
    });
    into.insert("age_sample_count".to_owned(), ages.len().into());
    into.insert("age_windows".to_owned(), Value::Object(windows.into_iter().collect()));
    if !ages.is_empty() {
        // Nearest rank.
        let rank = |percent: usize| ages.get((ages.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        let percentiles = json!({ "p50": rank(50), "p90": rank(90), "p99": rank(99) });
        into.insert("age_percentiles_seconds".to_owned(), percentiles);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_fall_into_windows_and_percentiles() {
        let mut row = Map::new();
        distribution(vec![1000, 10, 300, 301, 4000, 30_000], &mut row);
        let want = json!({
            "age_sample_count": 6,
            "age_windows": { "le_5m": 2, "gt_5m_le_15m": 1, "gt_15m_le_1h": 1, "gt_1h_le_6h": 1, "gt_6h": 1 },
            "age_percentiles_seconds": { "p50": 301, "p90": 30_000, "p99": 30_000 },
        });
        assert_eq!(Value::Object(row), want);
    }
}
