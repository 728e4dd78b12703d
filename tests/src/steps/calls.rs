//! Requests: one, many in a row or at once, repeated until they hold, or in the background.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clock;
use crate::expect::{Seen, diff_answer};
use crate::fail::{Attempt, Fail, fail};
use crate::http::Request;
use crate::matching::diff;
use crate::run::Run;
use crate::step::Step;

/// How soon a request with `until_ms` is sent again.
const AGAIN: Duration = Duration::from_millis(50);

/// A request that still waits for its answer.
#[derive(Debug)]
pub(crate) struct Background {
    answer: Receiver<Attempt<Seen>>,
}

/// Sends what the step says.
pub(super) fn request(run: &mut Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    if let Some(name) = step.text("background") {
        return in_background(run, step, name);
    }
    let count = step.count("repeat").unwrap_or(1);
    if count == 1 {
        return once(run, step);
    }
    let requests = (0..count).map(|i| Request::new(step, &run.names, i)).collect::<Attempt<Vec<_>>>()?;
    let answers = match step.count("parallel").unwrap_or(1) {
        0 | 1 => requests.iter().map(Request::send).collect::<Attempt<Vec<_>>>()?,
        threads => at_once(&requests, threads)?,
    };
    let diffs = diff_all(run, step, &answers)?;
    if let (true, Some(last)) = (diffs.is_empty(), answers.last()) {
        save(run, step, last)?;
    }
    Ok(diffs)
}

fn once(run: &Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    let want = expected(run, step, 0)?;
    let end = Instant::now() + step.millis("until_ms", 0);
    loop {
        let answer = Request::new(step, &run.names, 0)?.send();
        let diffs = match &answer {
            Ok(seen) => diff_answer(&want, seen),
            Err(Fail(text)) => vec![text.clone()],
        };
        if diffs.is_empty() || Instant::now() > end {
            if let (true, Ok(seen)) = (diffs.is_empty(), answer) {
                save(run, step, &seen)?;
            }
            return Ok(diffs);
        }
        clock::pause(AGAIN);
    }
}

/// Sends all requests from `threads` threads; the answers are in the order of the requests.
fn at_once(requests: &[Request], threads: usize) -> Attempt<Vec<Seen>> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.min(requests.len()) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(request) = requests.get(i) else { break };
                    drop(sender.send((i, request.send())));
                }
            });
        }
    });
    drop(sender);
    let answers: BTreeMap<usize, Attempt<Seen>> = receiver.iter().collect();
    answers.into_values().collect()
}

fn diff_all(run: &Run<'_>, step: &Step, answers: &[Seen]) -> Attempt<Vec<String>> {
    let want = expected(run, step, 0)?;
    if let Some(statuses) = want.get("statuses").and_then(Value::as_object) {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for answer in answers {
            *counts.entry(answer.get("status").unwrap_or(&Value::Null).to_string()).or_default() += 1;
        }
        let all: BTreeSet<&String> = statuses.keys().chain(counts.keys()).collect();
        let zero = Value::from(0);
        let diff_one = |status: &String| {
            let got = counts.get(status).copied().unwrap_or(0);
            diff(statuses.get(status).unwrap_or(&zero), &got.into(), &format!("statuses.{status}"))
        };
        return Ok(all.into_iter().flat_map(diff_one).collect());
    }
    for (i, answer) in answers.iter().enumerate() {
        let diffs = diff_answer(&expected(run, step, i)?, answer);
        if !diffs.is_empty() {
            return Ok(diffs.into_iter().map(|line| format!("#{i} {line}")).collect());
        }
    }
    Ok(vec![])
}

fn in_background(run: &mut Run<'_>, step: &Step, name: &str) -> Attempt<Vec<String>> {
    let request = Request::new(step, &run.names, 0)?;
    let (sender, answer) = mpsc::channel();
    std::thread::spawn(move || drop(sender.send(request.send())));
    run.background.insert(name.to_owned(), Background { answer });
    clock::pause(step.millis("settle_ms", 150));
    Ok(vec![])
}

/// Waits for the answer to a request in the background.
pub(super) fn join(run: &mut Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    let name = step.text("name").unwrap_or_default();
    let Some(background) = run.background.remove(name) else {
        return fail(format!("no background request {name}"));
    };
    let Ok(answer) = background.answer.recv_timeout(step.millis("within_ms", 8_000)) else {
        return fail(format!("background request {name} still waiting"));
    };
    let seen = answer?;
    let diffs = diff_answer(&expected(run, step, 0)?, &seen);
    if diffs.is_empty() {
        save(run, step, &seen)?;
    }
    Ok(diffs)
}

/// What a step expects, with placeholders replaced; null if nothing.
pub(super) fn expected(run: &Run<'_>, step: &Step, index: usize) -> Attempt<Value> {
    run.names.deep(step.get("expect").unwrap_or(&Value::Null), index)
}

fn save(run: &Run<'_>, step: &Step, seen: &Seen) -> Attempt<()> {
    run.names.save_from(step.get("save"), seen.get("json").unwrap_or(&Value::Null))
}
