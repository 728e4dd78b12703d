//! Steps that start, stop and signal the server, change its files, and run its commands.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::calls::expected;
use crate::clock;
use crate::expect::{containing, lacking};
use crate::fail::{Attempt, fail};
use crate::files;
use crate::matching::{diff, short_text};
use crate::names::plain;
use crate::run::Run;
use crate::scenario::lines;
use crate::server::code_of;
use crate::step::Step;

/// How long the server may take to stop.
const SHUTDOWN_MS: u64 = 20_000;

pub(super) fn sleep(step: &Step) -> Attempt<Vec<String>> {
    clock::pause(step.millis("ms", 0));
    Ok(vec![])
}

pub(super) fn start(run: &mut Run<'_>) -> Attempt<Vec<String>> {
    run.start()?;
    Ok(vec![])
}

pub(super) fn restart(run: &mut Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    let code = run.server.stop("TERM", step.millis("within_ms", SHUTDOWN_MS))?;
    let diffs = step.get("expect").map(|want| diff(want, &json!({"rc": code}), "")).unwrap_or_default();
    run.start()?;
    Ok(diffs)
}

pub(super) fn kill9(run: &mut Run<'_>) -> Attempt<Vec<String>> {
    run.server.stop("KILL", Duration::from_millis(SHUTDOWN_MS))?;
    run.start()?;
    Ok(vec![])
}

pub(super) fn stop(run: &mut Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    let started = Instant::now();
    let signal = step.text("name").unwrap_or("TERM");
    let code = run.server.stop(signal, step.millis("within_ms", SHUTDOWN_MS))?;
    let millis = clock::millis_since(started);
    let mut want = step.get("expect").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut diffs = vec![];
    if want.remove("max_ms").and_then(|most| most.as_u64()).is_some_and(|most| millis > most) {
        diffs.push(format!("stop took {millis} ms"));
    }
    diffs.extend(diff(&want.into(), &json!({"rc": code, "ms": millis}), ""));
    Ok(diffs)
}

pub(super) fn signal(run: &mut Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    run.server.signal(step.text("name").unwrap_or_default())?;
    clock::pause(step.millis("settle_ms", 400));
    Ok(vec![])
}

pub(super) fn write(run: &Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    run.write(step.text("file").unwrap_or_default(), &step.get("text").map(lines).unwrap_or_default())?;
    clock::pause(step.millis("settle_ms", 0));
    Ok(vec![])
}

pub(super) fn remove(run: &Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    let path = files::path(run.names.dir(), step.text("file").unwrap_or_default());
    if path.exists() {
        fs::remove_file(path)?;
    }
    Ok(vec![])
}

/// Runs the binary with other arguments and compares its exit code and output.
pub(super) fn cli(run: &Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    let (code, out, err) = run_command(run, step)?;
    let want = expected(run, step, 0)?;
    let mut want = want.as_object().cloned().unwrap_or_default();
    let mut diffs = diff_parts(&mut want, &out, &err);
    let mut seen = json!({"rc": code, "stdout": out, "stderr": err});
    for (key, text) in [("json", &out), ("stderr_json", &err)] {
        if let (Ok(value), Some(seen)) = (serde_json::from_str::<Value>(text), seen.as_object_mut()) {
            seen.insert(key.to_owned(), value);
        }
    }
    diffs.extend(diff(&want.into(), &seen, ""));
    if diffs.iter().any(|line| line.starts_with("rc:")) {
        diffs.push(format!("output was {}", short_text(&format!("{out}{err}"), 400)));
    }
    if diffs.is_empty() {
        if let Some(name) = step.text("save_stdout") {
            files::write(run.names.dir(), name, &out)?;
        }
        run.names.save_from(step.get("save"), seen.get("json").unwrap_or(&Value::Null))?;
    }
    Ok(diffs)
}

/// Compares and takes out of `want` what is expected of parts of the output.
fn diff_parts(want: &mut Map<String, Value>, out: &str, err: &str) -> Vec<String> {
    let mut part = |key: String| want.remove(&key).unwrap_or_default();
    let mut diffs = vec![];
    for (stream, text) in [("stdout", out), ("stderr", err)] {
        let (has, lacks) = (part(format!("{stream}_has")), part(format!("{stream}_lacks")));
        diffs.extend(
            lacking(&has, text)
                .map(|one| format!("{stream}: {} not in {}", short_text(one, 160), short_text(text, 500))),
        );
        diffs.extend(containing(&lacks, text).map(|one| format!("{stream}: {} present", short_text(one, 160))));
    }
    let both = format!("{out}{err}");
    let missing = part("output_has".to_owned());
    diffs.extend(
        lacking(&missing, &both)
            .map(|one| format!("neither stdout nor stderr has {}: {}", short_text(one, 160), short_text(&both, 500))),
    );
    diffs
}

fn run_command(run: &Run<'_>, step: &Step) -> Attempt<(i32, String, String)> {
    let args = step.get("args").and_then(Value::as_array).into_iter().flatten();
    let args = args.map(|arg| run.names.expand(&plain(arg), 0)).collect::<Attempt<Vec<_>>>()?;
    // Files rather than pipes: nobody has to read while the command runs.
    let (mut input, mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?, tempfile::tempfile()?);
    input.write_all(run.names.expand(&step.get("stdin").map(lines).unwrap_or_default(), 0)?.as_bytes())?;
    input.rewind()?;
    let mut command = Command::new(run.binary);
    command.args(args).current_dir(run.names.dir()).env_clear().envs(run.environment(step.get("env"))?);
    command.stdin(input).stdout(out.try_clone()?).stderr(err.try_clone()?);
    let mut child = command.spawn()?;
    let patience = step.millis("timeout_ms", 10_000);
    let status = clock::poll(patience, Duration::from_millis(2), || child.try_wait().transpose());
    match status {
        Some(status) => Ok((code_of(status?), text_of(&mut out)?, text_of(&mut err)?)),
        None => {
            child.kill()?;
            child.wait()?;
            fail(format!("cli: still running after {} ms", patience.as_millis()))
        }
    }
}

fn text_of(file: &mut File) -> Attempt<String> {
    let mut bytes = vec![];
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
