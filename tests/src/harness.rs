//! The test program: picks scenarios, runs several at a time, judges and reports.
//!
//! It takes the arguments of other test programs (names to run, `--exact`, `--skip`, `--list`, `--test-threads`) and
//! its own: `--report` runs everything and tells what holds without failing, `--keep` leaves the folders of scenarios
//! that do not hold. The environment may say the same: `SCENARIO`, `SCENARIO_REPORT=1`, `SCENARIO_JOBS`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::binary;
use crate::clock;
use crate::fail::{Attempt, Fail};
use crate::manifest::Manifest;
use crate::report::{self, Outcome, Verdict};
use crate::run::{self, Broken};
use crate::scenario::{self, Scenario};
use crate::settings;

/// Most scenarios wait most of the time.
const JOBS: usize = 4;

/// What to run and how.
#[derive(Debug, Clone, Default)]
struct Options {
    filters: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
    ignored_only: bool,
    report: bool,
    keep: bool,
    jobs: Option<usize>,
}

impl Options {
    fn new(args: impl Iterator<Item = String>) -> Self {
        let mut options = Self {
            filters: settings::variable("SCENARIO").into_iter().collect(),
            report: settings::variable("SCENARIO_REPORT").is_some_and(|value| value != "0"),
            jobs: settings::variable("SCENARIO_JOBS").and_then(|jobs| jobs.parse().ok()),
            ..Self::default()
        };
        options.read(args);
        options
    }

    fn read(&mut self, args: impl Iterator<Item = String>) {
        // `--name=value` is `--name value`.
        let mut words = args.flat_map(|arg| match arg.split_once('=') {
            Some((name, value)) if name.starts_with('-') => vec![name.to_owned(), value.to_owned()],
            _ => vec![arg],
        });
        while let Some(word) = words.next() {
            match word.as_str() {
                "--exact" => self.exact = true,
                "--list" => self.list = true,
                "--ignored" => self.ignored_only = true,
                "--report" => self.report = true,
                "--keep" => self.keep = true,
                "--skip" => self.skipped.extend(words.next()),
                "--jobs" | "--test-threads" => self.jobs = words.next().and_then(|jobs| jobs.parse().ok()),
                // What they ask for does not matter here.
                "--format" | "--color" | "--logfile" | "-Z" => drop(words.next()),
                other if other.starts_with('-') => {}
                _ => self.filters.push(word),
            }
        }
    }

    fn wants(&self, name: &str) -> bool {
        let matches = |text: &String| if self.exact { name == text } else { name.contains(text.as_str()) };
        let chosen = self.filters.is_empty() || self.filters.iter().any(matches);
        chosen && !self.ignored_only && !self.skipped.iter().any(matches)
    }
}

/// Runs what the arguments of this process ask for.
pub fn main() -> ExitCode {
    let options = Options::new(std::env::args().skip(1));
    match work(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Fail(text)) => {
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
    }
}

fn work(options: &Options) -> Attempt<bool> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = Manifest::load(&home.join("data"))?;
    let folder = home.join("scenarios");
    let names = scenario::names(&folder)?;
    let chosen: Vec<&String> = names.iter().filter(|name| options.wants(name)).collect();
    if options.list {
        chosen.iter().for_each(|name| println!("{name}: test"));
        return Ok(true);
    }
    let started = Instant::now();
    let binary = if chosen.is_empty() { PathBuf::new() } else { binary::locate()? };
    if !options.report {
        println!("\nrunning {} scenarios", chosen.len());
    }
    let outcomes = run_all(&Job { folder: &folder, binary: &binary, options, manifest: &manifest }, &chosen);
    if options.report {
        print!("{}", report::plain(&outcomes, &manifest));
        return Ok(true);
    }
    let mut problems = manifest.problems(&names);
    if chosen.len() == names.len() {
        let holds: BTreeMap<&str, bool> =
            outcomes.iter().map(|outcome| (outcome.name.as_str(), outcome.broken.is_none())).collect();
        let finished = manifest.finished_areas(&holds);
        problems.extend(finished.iter().map(|area| format!("not-yet: all of {area} holds: take it off")));
    }
    Ok(close(&outcomes, &manifest, &problems, (names.len(), started)))
}

/// Prints failures and sums; true if all is well.
fn close(outcomes: &[Outcome], manifest: &Manifest, problems: &[String], (all, started): (usize, Instant)) -> bool {
    let judged: Vec<(&Outcome, Verdict)> = outcomes.iter().map(|one| (one, one.verdict(manifest))).collect();
    let count = |wanted: fn(&Verdict) -> bool| judged.iter().filter(|(_, verdict)| wanted(verdict)).count();
    let failed = count(|verdict| *verdict == Verdict::Fail);
    if failed > 0 {
        println!("\nfailures:\n");
        for (outcome, _) in judged.iter().filter(|(_, verdict)| *verdict == Verdict::Fail) {
            println!("{}", outcome.details());
        }
    }
    for problem in problems {
        println!("error: tests/data/expected.json: {problem}");
    }
    if manifest.unpinned() > 0 {
        println!("note: {} differences on purpose have no scenario of our own yet", manifest.unpinned());
    }
    let well = failed == 0 && problems.is_empty();
    println!(
        "\ntest result: {}. {} passed; {failed} failed; {} ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if well { "ok" } else { "FAILED" },
        count(|verdict| *verdict == Verdict::Pass),
        count(|verdict| matches!(verdict, Verdict::Ignored(_))),
        all - outcomes.len(),
        started.elapsed().as_secs_f64(),
    );
    well
}

struct Job<'a> {
    folder: &'a Path,
    binary: &'a Path,
    options: &'a Options,
    manifest: &'a Manifest,
}

/// Runs all of them, several at a time; the outcomes are in the order of the names.
fn run_all(job: &Job<'_>, names: &[&String]) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..job.options.jobs.unwrap_or(JOBS).max(1) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(name) = names.get(i) else { break };
                    let outcome = run_one(job, name);
                    if !job.options.report {
                        println!("{}", outcome.line(job.manifest));
                    }
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(i, outcome);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

fn run_one(job: &Job<'_>, name: &str) -> Outcome {
    let started = Instant::now();
    let (about, result) = match Scenario::load(job.folder, name) {
        Ok(scenario) => {
            let result = run::scenario(&scenario, job.binary, job.options.keep);
            (scenario.about, result)
        }
        Err(Fail(text)) => (String::new(), Err(Broken { at: "load".to_owned(), diffs: vec![text] })),
    };
    Outcome { name: name.to_owned(), about, broken: result.err(), millis: clock::millis_since(started) }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn arguments_of_other_test_programs_are_understood() {
        let mut options = Options::default();
        let args = ["pull/", "--nocapture", "--format", "terse", "--test-threads=2", "--skip", "nack", "-q"];
        options.read(args.into_iter().map(str::to_owned));
        assert_eq!((options.filters.len(), options.jobs), (1, Some(2)));
        assert!(options.wants("pull/ack") && !options.wants("pull/nack") && !options.wants("push/ack"));
        options.exact = true;
        assert!(!options.wants("pull/ack"));
    }
}
