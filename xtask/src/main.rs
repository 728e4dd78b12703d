//! Project checks and code generation: `cargo xtask COMMAND`.

mod codegen;
mod conformance;
mod interop;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "usage: cargo xtask COMMAND
  tidy                     check the arrows between crates, file sizes, module docs and banned words
  reference                write docs/configuration.md from the directive table
  codegen [--check]        write the code of the gRPC service from its .proto file, or only compare; run it as `cargo codegen`
  interop [NAME]...        check the binary against other languages' tools; of the areas that NAME says, or of all
  conformance FILE.jsonl   compile each recorded text and compare verdict and meaning with the record";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["tidy"] => run_tidy(),
        ["reference"] => run_reference(),
        ["codegen"] => codegen::run(root()?, false),
        ["codegen", "--check"] => codegen::run(root()?, true),
        ["interop", names @ ..] => interop::run(root()?, names),
        ["conformance", file] => conformance::run(root()?, Path::new(file)),
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("{USAGE}"),
    }
}

fn run_tidy() -> Result<ExitCode> {
    let findings = tidy::check(root()?)?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    let failures = findings.iter().filter(|finding| finding.is_failure()).count();
    eprintln!("tidy: {failures} failures, {} warnings", findings.len() - failures);
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_reference() -> Result<ExitCode> {
    let path = root()?.join("docs/configuration.md");
    std::fs::create_dir_all(root()?.join("docs"))?;
    std::fs::write(&path, hookaido_config::markdown()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The top folder of the workspace.
fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in no workspace")
}
