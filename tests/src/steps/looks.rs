//! Steps that look at what the server did elsewhere: at the sink, in its metrics, logs and files.

use std::fs;
use std::time::Duration;

use regex_lite::Regex;
use serde_json::{Map, Value, json};

use super::calls::expected;
use crate::clock::{self, POLL};
use crate::expect::{containing, diff_headers, lacking};
use crate::fail::{Attempt, Fail, fail};
use crate::files;
use crate::http::Request;
use crate::matching::{diff, short, short_text};
use crate::names::plain;
use crate::run::Run;
use crate::sign;
use crate::sink::Taken;
use crate::step::Step;

/// Compares what arrived at the sink.
pub(super) fn sink(run: &mut Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    let want = expected(run, step, 0)?;
    let want = want.as_array().cloned().unwrap_or_default();
    let listed = if step.get("expect").is_some_and(Value::is_array) { want.len() } else { 1 };
    let count = step.count("count").unwrap_or(listed);
    let Some(sink) = &mut run.sink else { return fail("no {{sink}} in this scenario") };
    let mut taken = sink.take(count, step.millis("within_ms", 5_000), step.millis("settle_ms", 0));
    let mut diffs = vec![];
    if taken.len() != count {
        let brief = |one: &Taken| json!([one.seen.get("method"), one.seen.get("path"), one.seen.get("body")]);
        let all = short(&taken.iter().map(brief).collect(), 400);
        diffs.push(format!("sink: want {count} requests, got {}: {all}", taken.len()));
    }
    if let Some(keys) = step.get("sort").and_then(Value::as_array) {
        let value = |one: &Taken, key: &Value| plain(one.seen.get(plain(key)).unwrap_or(&Value::Null));
        taken.sort_by_cached_key(|one| keys.iter().map(|key| value(one, key)).collect::<Vec<_>>());
    }
    if let Some(how) = step.get("verify") {
        let how = run.names.deep(how, 0)?;
        diffs.extend(taken.iter().flat_map(|one| sign::verify(&how, &one.seen, &one.raw)));
    }
    diffs.extend(diff_gaps(step, &taken));
    for (i, (want, one)) in want.iter().zip(&taken).enumerate() {
        diffs.extend(diff_taken(want, &one.seen, &format!("sink[{i}]")));
    }
    if diffs.is_empty() {
        run.names.save_from(step.get("save"), &taken.into_iter().map(|one| one.seen).collect())?;
    }
    Ok(diffs)
}

fn diff_gaps(step: &Step, taken: &[Taken]) -> Vec<String> {
    let pairs = taken.iter().zip(taken.iter().skip(1));
    let gaps: Vec<Duration> = pairs.map(|(one, next)| next.at.saturating_duration_since(one.at)).collect();
    let (least, most) = (step.millis("min_gap_ms", 0), step.millis("max_gap_ms", u64::MAX / 2_000));
    let mut diffs = vec![];
    if gaps.iter().any(|gap| *gap < least) {
        diffs.push(format!("sink: gaps {gaps:.0?}, want at least {least:?}"));
    }
    // Gaps are compared in whole milliseconds.
    if gaps.iter().any(|gap| gap.as_millis() > most.as_millis()) {
        diffs.push(format!("sink: gaps {gaps:.0?}, want at most {most:?}"));
    }
    diffs
}

fn diff_taken(want: &Value, seen: &Value, at: &str) -> Vec<String> {
    let mut diffs = vec![];
    for (key, value) in want.as_object().into_iter().flatten() {
        let got = seen.get(key).unwrap_or(&Value::Null);
        diffs.extend(match key.as_str() {
            "headers" => diff_headers(value, got, &format!("{at}.headers")),
            "json" => {
                let body = seen.get("body").and_then(Value::as_str).unwrap_or_default();
                match serde_json::from_str::<Value>(body) {
                    Ok(found) => diff(value, &found, &format!("{at}.json")),
                    Err(_) => vec![format!("{at}: body is not JSON: {}", short_text(body, 160))],
                }
            }
            _ => diff(value, got, &format!("{at}.{key}")),
        });
    }
    diffs
}

/// Compares samples of the metrics page until they hold.
pub(super) fn metrics(run: &Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    let want = expected(run, step, 0)?;
    let mut members = json!({"to": step.to(), "method": "GET", "path": step.text("path").unwrap_or("/metrics")});
    if let (Some(headers), Some(members)) = (step.get("headers"), members.as_object_mut()) {
        members.insert("headers".to_owned(), headers.clone());
    }
    let page = Step::new(members.as_object().cloned().unwrap_or_default());
    let looked = clock::settle(step.millis("within_ms", 2_000), Duration::from_millis(100), || {
        let seen = Request::new(&page, &run.names, 0)?.send()?;
        let status = seen.get("status").unwrap_or(&Value::Null);
        if status != 200 {
            return fail(format!("metrics: status {status}"));
        }
        let samples = samples(seen.get("text").and_then(Value::as_str).unwrap_or_default())?;
        Ok((diff_samples(&want, &samples)?, ()))
    });
    looked.map(|(diffs, ())| diffs)
}

fn diff_samples(want: &Value, samples: &Map<String, Value>) -> Attempt<Vec<String>> {
    let mut diffs = vec![];
    for (name, want) in want.as_object().into_iter().flatten() {
        let Some(got) = samples.get(&series(name)?) else {
            if want != "$absent" {
                diffs.push(format!("{name}: missing"));
            }
            continue;
        };
        if want == "$absent" {
            diffs.push(format!("{name}: want absent, got {got}"));
        } else if want.is_object() {
            let bound = |key: &str| want.get(key).and_then(Value::as_f64);
            let number = got.as_f64().unwrap_or(f64::NAN);
            if bound("min").is_some_and(|min| number < min) || bound("max").is_some_and(|max| number > max) {
                diffs.push(format!("{name}: want {want}, got {got}"));
            }
        } else {
            diffs.extend(diff(want, got, name));
        }
    }
    Ok(diffs)
}

/// The samples of a page in the text format of Prometheus.
fn samples(text: &str) -> Attempt<Map<String, Value>> {
    let form = regex(r"^([A-Za-z_:][\w:]*)(\{.*\})?\s+(\S+)")?;
    let mut found = Map::new();
    for parts in text.lines().filter_map(|line| form.captures(line)) {
        let part = |i: usize| parts.get(i).map(|part| part.as_str()).unwrap_or_default();
        let name = series(&format!("{}{}", part(1), part(2)))?;
        found.insert(name, part(3).parse::<f64>().map_or(Value::Null, Value::from));
    }
    Ok(found)
}

/// The name of a series with its labels in order.
fn series(text: &str) -> Attempt<String> {
    let Some(parts) = regex(r"^([\w:]+)(?:\{(.*)\})?$")?.captures(text.trim()).map(|parts| {
        let part = |i: usize| parts.get(i).map(|part| part.as_str().to_owned()).unwrap_or_default();
        (part(1), part(2))
    }) else {
        return Ok(text.to_owned());
    };
    let form = regex(r#"\w+="(?:[^"\\]|\\.)*""#)?;
    let mut labels: Vec<&str> = form.find_iter(&parts.1).map(|label| label.as_str()).collect();
    labels.sort_unstable();
    if labels.is_empty() { Ok(parts.0) } else { Ok(format!("{}{{{}}}", parts.0, labels.join(","))) }
}

fn regex(form: &str) -> Attempt<Regex> {
    Regex::new(form).map_err(|error| Fail(format!("bad expression {form}: {error}")))
}

/// Compares the JSON log lines that match, in order, until they hold.
pub(super) fn log(run: &Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    let want = expected(run, step, 0)?;
    let only = run.names.deep(step.get("match").unwrap_or(&json!({})), 0)?;
    let source = step.text("from").unwrap_or("stderr");
    let logs = match source {
        "stderr" | "stdout" => run.server.logs(source),
        file => vec![run.names.dir().join(file)],
    };
    let looked = clock::settle(step.millis("within_ms", 2_500), Duration::from_millis(50), || {
        let text: String = logs.iter().map(|log| read(log)).collect();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| json!({"text": line})));
        let matching: Value = lines.filter(|line| diff(&only, line, "").is_empty()).collect();
        Ok::<_, Fail>((diff(&want, &matching, "log"), ()))
    });
    looked.map(|(diffs, ())| diffs)
}

/// A file as text, one line break at its end; empty if it is not there.
fn read(log: &std::path::Path) -> String {
    let mut text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Compares a file until it holds.
pub(super) fn file(run: &Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    let name = run.names.expand(step.text("file").unwrap_or_default(), 0)?;
    let path = files::path(run.names.dir(), &name);
    let mut want = expected(run, step, 0)?;
    let mut part = |key: &str| want.as_object_mut().and_then(|want| want.remove(key)).unwrap_or_default();
    let (has, lacks) = (part("has"), part("lacks"));
    let want = if want.is_null() { json!({}) } else { want };
    let (diffs, text) = clock::settle(step.millis("within_ms", 0), POLL, || {
        let bytes = fs::read(&path);
        let exists = bytes.is_ok();
        let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
        let missing = lacking(&has, &text)
            .map(|part| format!("file: {} not found in {}", short_text(part, 160), short_text(&text, 600)));
        let left = containing(&lacks, &text).map(|part| format!("file: {} still in the text", short_text(part, 160)));
        let mut diffs: Vec<String> = missing.chain(left).collect();
        diffs.extend(diff(&want, &json!({"exists": exists, "text": text}), "file"));
        Ok::<_, Fail>((diffs, text))
    })?;
    if diffs.is_empty() {
        save_parts(run, step, &text)?;
    }
    Ok(diffs)
}

fn save_parts(run: &Run<'_>, step: &Step, text: &str) -> Attempt<()> {
    for (name, form) in step.get("save").and_then(Value::as_object).into_iter().flatten() {
        let form = plain(form);
        let found = regex(&form)?.captures(text).and_then(|parts| parts.get(1).or(parts.get(0)).map(|m| m.as_str()));
        match found {
            Some(part) => run.names.save(name, part.into()),
            None => return fail(format!("save {name}: {form} does not match the file")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_whatever_the_order_of_labels() {
        let page = "# TYPE a counter\na{y=\"2\",x=\"1,\\\"q\\\"\"} 3\nb 0.5 1700000000\n";
        let samples = samples(page).unwrap();
        let diffs = |want: Value| diff_samples(&want, &samples).unwrap();
        assert_eq!(diffs(json!({"a{x=\"1,\\\"q\\\"\",y=\"2\"}": 3, "b": {"min": 0.5}, "c": "$absent"})).len(), 0);
        assert_eq!(diffs(json!({"a": 3, "b": {"max": 0.4}, "c": 1})).len(), 3);
    }
}
