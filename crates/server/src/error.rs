//! Why a start fails, each with the name of its log event.

use std::io;

use hookaido_auth::RuntimeError;
use hookaido_syntax::{Diagnostic, Tree};

use crate::DotenvError;

/// Why the server did not start. Its text is one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `--dotenv`.
    #[error(transparent)]
    Dotenv(#[from] DotenvError),
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Read {
        /// As given.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The configuration file has errors.
    #[error("{path}: {}", first(.diagnostics))]
    Config {
        /// As given.
        path: String,
        /// The file.
        tree: Box<Tree>,
        /// All of its problems.
        diagnostics: Vec<Diagnostic>,
    },
    /// A secret that the configuration refers to cannot be read.
    #[error("{0}")]
    Auth(String),
    /// What is kept of runtime secrets cannot be used.
    #[error("{0}")]
    RuntimeSecrets(String),
    /// The queue cannot be opened.
    #[error("{0}")]
    Queue(String),
    /// An address cannot be listened on, or a certificate cannot be read.
    #[error("{0}")]
    Listen(String),
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] hookaido_telemetry::LogError),
    /// `--pid-file`.
    #[error("cannot write the pid file: {0}")]
    PidFile(io::Error),
    /// The asynchronous runtime does not start.
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
}

impl From<RuntimeError> for StartError {
    fn from(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Auth(_) | RuntimeError::NoKey | RuntimeError::Key(..) => Self::Auth(error.to_string()),
            RuntimeError::Seed { .. }
            | RuntimeError::File { .. }
            | RuntimeError::OtherKey { .. }
            | RuntimeError::Changed { .. } => Self::RuntimeSecrets(error.to_string()),
        }
    }
}

fn first(diagnostics: &[Diagnostic]) -> String {
    let mut errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
    let Some(error) = errors.next() else { return "the file is not valid".to_owned() };
    let more = errors.count();
    let rest = if more == 0 { String::new() } else { format!(" (and {more} more)") };
    format!("[{}] {}{rest}", error.code, error.message)
}

impl StartError {
    /// Name of the event in the log.
    fn event(&self) -> &'static str {
        match self {
            Self::Dotenv(_) => "dotenv_failed",
            Self::Read { .. } => "read_config_failed",
            Self::Config { diagnostics, .. } if diagnostics.iter().any(Diagnostic::breaks_structure) => {
                "parse_config_failed"
            }
            Self::Config { .. } => "compile_config_failed",
            Self::Auth(_) => "load_auth_failed",
            Self::Queue(_) => "open_queue_failed",
            Self::Listen(_) | Self::RuntimeSecrets(_) => "start_servers_failed",
            Self::Log(_) => "open_log_failed",
            Self::PidFile(_) => "pid_file_failed",
            Self::Runtime(_) => "start_runtime_failed",
        }
    }

    /// Writes the event.
    pub(crate) fn log(&self) {
        tracing::error!(target: "hookaido", err = %self, "{}", self.event());
    }
}
