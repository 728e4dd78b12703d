//! `hookaido run`.

use std::process::ExitCode;

use hookaido_model::config::LogLevel;
use hookaido_server::{Options, StartError, WorkerGrpc};

use crate::args::{Level, Run};
use crate::{file, render};

#[cfg(feature = "grpc")]
const WORKER_GRPC: Option<WorkerGrpc> = Some(hookaido_pull_grpc::service);
#[cfg(not(feature = "grpc"))]
const WORKER_GRPC: Option<WorkerGrpc> = None;

pub(crate) fn run(options: &Run) -> ExitCode {
    let options = Options {
        config: file::choose(options.config.as_deref()),
        db: options.db.clone(),
        log_level: options.log_level.map(|level| match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        }),
        pid_file: options.pid_file.clone(),
        watch: options.watch,
        dotenv: options.dotenv.clone(),
        worker_grpc: WORKER_GRPC,
    };
    match hookaido_server::run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let StartError::Config { path, tree, diagnostics } = &error {
                eprintln!("{}", render::diagnostics(path, tree, diagnostics));
            } else {
                eprintln!("hookaido: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
