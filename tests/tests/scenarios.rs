//! Runs `scenarios/**.json` against the real binary; see `e2e::harness` for what it understands.

use std::process::ExitCode;

fn main() -> ExitCode {
    e2e::harness::main()
}
