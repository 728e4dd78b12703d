//! The real binary against tools and libraries of other languages: openssl, curl, Python, Node, the signers that
//! Stripe and GitHub publish, and Google's gRPC client.
//!
//! `make interop` runs this; a plain `cargo test` only says so, because none of those tools is needed to build. A tool
//! or registry that is not there skips its checks, by name; a check that does not hold fails the run.

mod edge;
mod grpc;
mod setup;
mod signatures;
mod signers;
mod site;
mod streams;
mod tls;
mod tool;
mod workers;

use std::process::ExitCode;
use std::time::Instant;

use e2e::fail::{Attempt, Fail};
use e2e::{binary, settings};

/// What became of the checks.
#[derive(Debug)]
pub(crate) struct Report {
    filters: Vec<String>,
    passed: usize,
    skipped: usize,
    failed: usize,
}

type Area = (&'static str, fn(&mut Report, &std::path::Path) -> Attempt<()>);

const AREAS: [Area; 7] = [
    ("signatures", signatures::check),
    ("workers", workers::check),
    ("streams", streams::check),
    ("tls", tls::check),
    ("edge", edge::check),
    ("signers", signers::check),
    ("grpc", grpc::check),
];

fn main() -> ExitCode {
    if settings::variable("HOOKAIDO_INTEROP").is_none() {
        println!("the interop checks are run by `make interop`");
        return ExitCode::SUCCESS;
    }
    let filters = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let mut report = Report { filters, passed: 0, skipped: 0, failed: 0 };
    let started = Instant::now();
    match binary::locate() {
        Ok(binary) => {
            for (name, check) in AREAS {
                if report.wants(name) {
                    check(&mut report, &binary).unwrap_or_else(|Fail(why)| report.failed(name, &why));
                }
            }
        }
        Err(Fail(why)) => report.failed("build", &why),
    }
    let Report { passed, skipped, failed, .. } = report;
    println!("{passed} ok, {skipped} skipped, {failed} failed in {:.1} s", started.elapsed().as_secs_f64());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Report {
    fn wants(&self, area: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| area.contains(filter.as_str()))
    }

    fn ok(&mut self, name: &str) {
        self.passed += 1;
        println!("ok {name}");
    }

    fn skipped(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        println!("skipped {name}: {why}");
    }

    fn failed(&mut self, name: &str, why: &str) {
        self.failed += 1;
        println!("FAILED {name}: {why}");
    }

    /// Notes how a check ended.
    fn note(&mut self, name: &str, result: Attempt<()>) {
        match result {
            Ok(()) => self.ok(name),
            Err(Fail(why)) => self.failed(name, &why),
        }
    }
}
