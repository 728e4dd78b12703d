//! `hookaido db ...`: look at queue files and change them. The work is `hookaido-queue-sqlite`'s; this prints and exits.

mod stats;

use std::process::ExitCode;

use hookaido_model::{Clock, State, SystemClock};
use hookaido_queue_sqlite::tool::{self, Check, Imported, ToolError};
use serde_json::{Value, json};

use crate::args::{Backup, Db, DbFile, Format, Import};
use crate::progress::{Shown, size, thousands};

/// Lowers the priority of a command that works beside a server.
const NICE: i32 = 10;

/// What a command has to say, and whether that is good news.
struct Answer {
    text: String,
    json: Value,
    fine: bool,
}

pub(crate) fn run(command: Db) -> ExitCode {
    let (format, answer) = match command {
        Db::Stats(options) => (options.format, stats::stats(&options)),
        Db::Check(options) => (options.format, check(&options)),
        Db::Vacuum(options) => (options.format, vacuum(&options)),
        Db::Backup(options) => (options.queue.format, backup(&options)),
        Db::Import(options) => (options.queue.format, import(&options)),
    };
    match (format, answer) {
        (Format::Text, Ok(answer)) => {
            println!("{}", answer.text.trim_end());
            code(answer.fine)
        }
        (Format::Json, Ok(answer)) => {
            println!("{:#}", answer.json);
            code(answer.fine)
        }
        (Format::Text, Err(error)) => {
            eprintln!("hookaido: {error}");
            ExitCode::FAILURE
        }
        (Format::Json, Err(error)) => {
            eprintln!("{:#}", json!({ "ok": false, "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

fn code(fine: bool) -> ExitCode {
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Does long work with its progress shown.
fn watched<T>(work: impl FnOnce(tool::Watch<'_>) -> Result<T, ToolError>) -> Result<T, ToolError> {
    let mut shown = Shown::start();
    let done = work(&mut |progress| shown.update(progress));
    shown.end();
    done
}

/// Leaves the processor to the server where both want it.
fn step_back() {
    let _it_is_only_a_courtesy = rustix::process::nice(NICE);
}

fn check(options: &DbFile) -> Result<Answer, ToolError> {
    step_back();
    let found = watched(|watch| tool::check(&options.db, watch))?;
    let Check { problems, schema_version, messages, attempts, lanes, .. } = &found;
    let file = options.db.display();
    let mut text = String::new();
    for problem in problems {
        text += &format!("{problem}\n");
    }
    text += &if found.is_sound() {
        let (messages, attempts) = (thousands(*messages), thousands(*attempts));
        format!("{file} is sound: {messages} messages, {attempts} attempts, {lanes} lanes, schema {schema_version}")
    } else {
        format!("{file} IS DAMAGED; keep it, and go on with a backup (docs/operations.md)")
    };
    let json = json!({
        "ok": found.is_sound(), "file": options.db, "problems": problems, "schema_version": schema_version,
        "messages": messages, "attempts": attempts, "lanes": lanes,
    });
    Ok(Answer { text, json, fine: found.is_sound() })
}

fn vacuum(options: &DbFile) -> Result<Answer, ToolError> {
    let done = watched(|watch| tool::vacuum(&options.db, watch))?;
    let back = done.before.saturating_sub(done.after);
    let text = format!("{}: {} given back, {} left", options.db.display(), size(back), size(done.after));
    let json = json!({ "ok": true, "file": options.db, "bytes_before": done.before, "bytes_after": done.after });
    Ok(Answer { text, json, fine: true })
}

fn backup(options: &Backup) -> Result<Answer, ToolError> {
    step_back();
    let done = watched(|watch| tool::backup(&options.queue.db, &options.to, options.force, watch))?;
    let (messages, bytes) = (thousands(done.messages), size(done.bytes));
    let text = format!("{}: {messages} messages, {bytes}", options.to.display());
    let json = json!({ "ok": true, "file": options.to, "messages": done.messages, "bytes": done.bytes });
    Ok(Answer { text, json, fine: true })
}

fn import(options: &Import) -> Result<Answer, ToolError> {
    let order = tool::Import {
        source: &options.from,
        queue: &options.queue.db,
        only_new: options.only_new,
        now: SystemClock.now(),
    };
    let done = watched(|watch| tool::import(&order, watch))?;
    let Imported { messages, attempts, known, secrets, samples } = done;
    let all: u64 = messages.iter().sum();
    let states = State::ALL.into_iter().zip(messages);
    let told: Vec<String> = states.clone().map(|(state, count)| format!("{} {state}", thousands(count))).collect();
    let mut text =
        format!("imported {} messages ({}) and {} attempts", thousands(all), told.join(", "), thousands(attempts));
    for (count, what) in [
        (known, "rows were imported before and passed over"),
        (secrets, "runtime secrets were not taken over; set them again"),
        (samples, "samples of the backlog's trend were not taken over"),
    ] {
        if count > 0 {
            text += &format!("\n{} {what}", thousands(count));
        }
    }
    let states: serde_json::Map<String, Value> =
        states.map(|(state, count)| (state.as_str().to_owned(), json!(count))).collect();
    let json = json!({
        "ok": true, "file": options.queue.db, "source": options.from, "messages": states, "attempts": attempts,
        "imported_before": known, "not_imported": { "runtime_secrets": secrets, "backlog_trend_samples": samples },
    });
    Ok(Answer { text, json, fine: true })
}
