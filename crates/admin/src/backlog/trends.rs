//! `GET /backlog/trends`: samples in equal buckets, and what they say.

use std::time::Duration;

use hookaido_http::Response;
use hookaido_model::{Span, UnixMillis};
use serde_json::{Map, Value};

use super::Selector;
use crate::Table;
use crate::error::{Fault, Refusal};
use crate::go_duration::show;
use crate::query::Query;
use crate::state::{Counts, Point};
use crate::{json, signals};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);
const LONGEST_WINDOW: Duration = Duration::from_secs(168 * 3600);
/// Most buckets of an answer.
const MAX_POINTS: u128 = 1000;

/// The rollup.
pub(crate) fn trends(table: &Table, query: &Query) -> Result<Response, Refusal> {
    let selector = Selector::of(query)?;
    let window = duration(query, "window", HOUR, (Duration::from_millis(1), LONGEST_WINDOW))?;
    let step = duration(query, "step", 5 * MINUTE, (MINUTE, HOUR))?;
    let count = window.as_millis().div_ceil(step.as_millis().max(1));
    if window < step || count > MAX_POINTS {
        return Err(Fault::Query.because("`window` takes 1 to 1000 times `step`"));
    }
    let until = query.time("until")?.unwrap_or_else(|| table.queue.clock().now());
    let since = until.minus(window);
    let points = table.state.points(since, until, selector.route.as_deref(), selector.target.as_deref());
    let buckets = buckets(&points, since, until, step);
    let latest = points.last();
    let mut answer = Map::new();
    let mut set = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    set("window", show(window).into());
    set("step", show(step).into());
    set("since", since.to_string().into());
    set("until", until.to_string().into());
    set("sample_count", points.len().into());
    set("point_count", buckets.len().into());
    set("non_empty_point_count", buckets.iter().filter(|bucket| !bucket.points.is_empty()).count().into());
    set("truncated", false.into());
    if let Some(latest) = latest {
        set("latest_captured_at", latest.at.to_string().into());
    }
    set("latest_total", latest.map_or(0, |point| point.counts.total()).into());
    set("max_total", points.iter().map(|point| point.counts.total()).max().unwrap_or(0).into());
    set("selector", selector.json());
    set("signals", signals::evaluate(&points, &table.trends, window, until));
    set("items", buckets.iter().map(Bucket::json).collect());
    Ok(json::ok(&Value::Object(answer)))
}

fn duration(
    query: &Query,
    name: &'static str,
    default: Duration,
    (least, most): (Duration, Duration),
) -> Result<Duration, Refusal> {
    let Some(text) = query.get(name) else { return Ok(default) };
    let read = Span::parse(text).map(Span::or_zero).filter(|duration| (least..=most).contains(duration));
    read.ok_or_else(|| {
        let detail = format!("`{name}` takes a duration such as 90s or 2h, from {} to {}", show(least), show(most));
        Fault::Query.because(detail)
    })
}

/// The samples of one stretch of time.
struct Bucket<'a> {
    start: UnixMillis,
    end: UnixMillis,
    points: &'a [Point],
}

fn buckets(points: &[Point], since: UnixMillis, until: UnixMillis, step: Duration) -> Vec<Bucket<'_>> {
    let mut buckets = Vec::new();
    let (mut start, mut rest) = (since, points);
    while start < until {
        let end = start.plus(step).min(until);
        let last = end == until;
        let inside = rest.partition_point(|point| point.at < end || last);
        let (points, later) = rest.split_at_checked(inside).unwrap_or((rest, &[]));
        buckets.push(Bucket { start, end, points });
        (start, rest) = (end, later);
    }
    buckets
}

impl Bucket<'_> {
    fn json(&self) -> Value {
        let last = self.points.last();
        let counts = last.map_or_else(Counts::default, |point| point.counts);
        let most = |part: fn(Counts) -> u64| self.points.iter().map(|point| part(point.counts)).max().unwrap_or(0);
        let mut row = Map::new();
        let mut set = |name: &str, value: Value| row.insert(name.to_owned(), value);
        set("bucket_start", self.start.to_string().into());
        set("bucket_end", self.end.to_string().into());
        set("sample_count", self.points.len().into());
        if let Some(last) = last {
            set("last_captured_at", last.at.to_string().into());
        }
        for (name, value) in [
            ("queued_last", counts.queued),
            ("leased_last", counts.leased),
            ("dead_last", counts.dead),
            ("total_last", counts.total()),
            ("queued_max", most(|counts| counts.queued)),
            ("leased_max", most(|counts| counts.leased)),
            ("dead_max", most(|counts| counts.dead)),
            ("total_max", most(Counts::total)),
        ] {
            set(name, value.into());
        }
        Value::Object(row)
    }
}
