//! The `hookaido` command: reads arguments, calls the server or the compiler, turns results into text and exit codes.
//!
//! Exit codes: 0 fine, 1 failed (or the file is invalid), 2 bad usage.

mod args;
mod config;
mod db;
mod file;
mod progress;
mod render;
mod run;
mod version;

use std::process::ExitCode;

use args::{Arguments, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match args::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let Arguments { command } = arguments;
    match command {
        Command::Run(options) => run::run(&options),
        Command::Config { command } => config::run(command),
        Command::Db { command } => db::run(command),
        Command::Version(options) => version::print(&options),
    }
}
