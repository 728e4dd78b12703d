//! The runtime log and the access log.
//!
//! Both are lines of JSON. A line is formatted by whoever writes it, into a bounded buffer that a thread flushes: no worker ever waits
//! for a disk or a pipe. A full buffer drops lines and counts them. Outputs, levels and files can be changed while running.

pub mod access;
mod json;
pub mod layer;
mod sink;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hookaido_model::Clock;
use hookaido_model::config::{AccessLog as AccessConfig, LogLevel, LogOutput, RuntimeLog};
use parking_lot::Mutex;
use tracing_subscriber::layer::SubscriberExt;

use self::access::AccessLog;
use self::layer::{JsonLayer, Runtime};
use self::sink::Sink;

/// Why a log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be opened for appending.
    #[error("cannot open the log file `{path}`: {source}")]
    Open {
        /// As configured.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The writer thread could not be started.
    #[error("cannot start the log writer: {0}")]
    Thread(#[source] io::Error),
    /// The process has a subscriber already.
    #[error("logging is set up already")]
    AlreadySet,
}

impl LogError {
    fn open(output: &LogOutput, source: io::Error) -> Self {
        let path = match output {
            LogOutput::File(path) => path.clone(),
            LogOutput::Stderr => "stderr".to_owned(),
            LogOutput::Stdout => "stdout".to_owned(),
        };
        Self::Open { path, source }
    }
}

/// Lines that never reached an output, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogDrops {
    /// Of the access log, because its buffer was full.
    pub access: u64,
    /// Of the runtime log, because its buffer was full.
    pub runtime: u64,
    /// Of either, because the output took no more, such as a full disk; counted for the outputs in use.
    pub failed: u64,
}

/// Both logs of the process. Writes out what is left when dropped.
#[derive(Debug)]
pub struct LogHandles {
    access: Arc<AccessLog>,
    runtime: Arc<Runtime>,
    /// Held while outputs change.
    reloading: Mutex<()>,
}

impl LogHandles {
    /// The access log, for the listeners. Follows every [`reload`](Self::reload).
    #[must_use]
    pub fn access(&self) -> Arc<AccessLog> {
        Arc::clone(&self.access)
    }

    /// Changes level and outputs. `cli_level` wins over the level of the file, unless that is `off`. On an error nothing has changed.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn reload(
        &self,
        runtime: &RuntimeLog,
        access: &AccessConfig,
        cli_level: Option<LogLevel>,
    ) -> Result<(), LogError> {
        let _one_at_a_time = self.reloading.lock();
        let present = self.sinks();
        let runtime_sink = sink_for(&runtime.output, &present)?;
        let access_sink = if access.enabled {
            let present: Vec<_> = present.into_iter().chain([Arc::clone(&runtime_sink)]).collect();
            Some(sink_for(&access.output, &present)?)
        } else {
            None
        };
        self.runtime.sink.store(runtime_sink);
        self.access.sink.store(access_sink);
        self.runtime.set_level(level(runtime, cli_level));
        Ok(())
    }

    /// Opens log files anew, after they were moved away. Outputs that are no files are left alone.
    pub fn reopen(&self) {
        for sink in self.sinks().iter().filter(|sink| matches!(sink.output(), LogOutput::File(_))) {
            sink.reopen();
        }
    }

    /// Waits until everything written so far has reached its output, at most `budget`.
    pub fn flush(&self, budget: Duration) {
        let deadline = Instant::now() + budget;
        for sink in self.sinks() {
            sink.flush(deadline);
        }
    }

    /// Lines dropped so far.
    #[must_use]
    pub fn dropped(&self) -> LogDrops {
        LogDrops {
            access: self.access.dropped.load(Ordering::Relaxed),
            runtime: self.runtime.dropped.load(Ordering::Relaxed),
            failed: self.sinks().iter().map(|sink| sink.failed()).sum(),
        }
    }

    /// The outputs in use, each once.
    fn sinks(&self) -> Vec<Arc<Sink>> {
        let runtime = self.runtime.sink.load_full();
        let access = self.access.sink.load_full().filter(|sink| !Arc::ptr_eq(sink, &runtime));
        access.into_iter().chain([runtime]).collect()
    }
}

impl Drop for LogHandles {
    /// A subscriber that is set for the process is never dropped, so its lines are written out here.
    fn drop(&mut self) {
        self.flush(Duration::from_secs(1));
    }
}

/// Sets up both logs for the process. `cli_level` wins over the level of the file, unless that is `off`; without either it is `info`.
///
/// # Errors
/// A file that cannot be opened, or a second call.
pub fn init_logs(
    runtime: &RuntimeLog,
    access: &AccessConfig,
    cli_level: Option<LogLevel>,
    clock: Arc<dyn Clock>,
) -> Result<LogHandles, LogError> {
    let (handles, layer) = build_logs(runtime, access, cli_level, clock)?;
    let subscriber = tracing_subscriber::registry().with(layer);
    match tracing::subscriber::set_global_default(subscriber) {
        Ok(()) => Ok(handles),
        Err(_already_set) => Err(LogError::AlreadySet),
    }
}

/// Makes both logs without setting them up for the process: the caller puts the layer into a subscriber of its own.
///
/// # Errors
/// A file that cannot be opened.
pub fn build_logs(
    runtime: &RuntimeLog,
    access: &AccessConfig,
    cli_level: Option<LogLevel>,
    clock: Arc<dyn Clock>,
) -> Result<(LogHandles, JsonLayer), LogError> {
    let sink = Arc::new(Sink::open(&runtime.output)?);
    let access_sink = if access.enabled { Some(sink_for(&access.output, std::slice::from_ref(&sink))?) } else { None };
    let runtime = Arc::new(Runtime::new(sink, level(runtime, cli_level), Arc::clone(&clock)));
    let access = Arc::new(AccessLog::new(access_sink, clock));
    let layer = JsonLayer(Arc::clone(&runtime));
    Ok((LogHandles { access, runtime, reloading: Mutex::new(()) }, layer))
}

/// The command line says how much is logged, but not that there is a log where the file wants none.
fn level(runtime: &RuntimeLog, cli_level: Option<LogLevel>) -> LogLevel {
    if runtime.level == Some(LogLevel::Off) {
        return LogLevel::Off;
    }
    cli_level.or(runtime.level).unwrap_or(LogLevel::Info)
}

/// One output has one sink, however many logs go there: lines of both keep their order and are never torn.
fn sink_for(output: &LogOutput, present: &[Arc<Sink>]) -> Result<Arc<Sink>, LogError> {
    match present.iter().find(|sink| sink.output() == output) {
        Some(sink) => Ok(Arc::clone(sink)),
        None => Sink::open(output).map(Arc::new),
    }
}
