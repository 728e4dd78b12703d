//! Runs the checks of `tests/tests/interop` against the tools of other languages, which a plain `cargo test` leaves out.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// Runs the areas whose name contains one of `names`, or all of them.
pub(crate) fn run(root: &Path, names: &[&str]) -> Result<ExitCode> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--quiet", "--package", "e2e", "--test", "interop", "--"]).args(names);
    command.env("HOOKAIDO_INTEROP", "1").current_dir(root);
    let status = command.status().context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
