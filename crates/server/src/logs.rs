//! The logs of the process: set up before anything can fail, then led by the configuration.

use std::sync::Arc;
use std::time::Duration;

use hookaido_model::SystemClock;
use hookaido_model::config::{AccessLog, LogLevel, LogOutput, Observability, RuntimeLog};
use hookaido_telemetry::{LogHandles, init_logs};

use crate::StartError;

/// Time that lines under way are given at the end.
const FLUSH: Duration = Duration::from_secs(2);

#[derive(Debug, Clone)]
pub(crate) struct Logs {
    pub(crate) handles: Arc<LogHandles>,
    level: Option<LogLevel>,
}

impl Logs {
    /// Runtime log on standard error until the configuration is known.
    pub(crate) fn start(level: Option<LogLevel>) -> Result<Self, StartError> {
        let runtime = RuntimeLog { level: None, output: LogOutput::Stderr };
        let access = AccessLog { enabled: true, output: LogOutput::Stderr };
        let handles = Arc::new(init_logs(&runtime, &access, level, Arc::new(SystemClock))?);
        Ok(Self { handles, level })
    }

    /// Takes levels and outputs of a configuration.
    pub(crate) fn follow(&self, observability: &Observability) -> Result<(), StartError> {
        self.handles.reload(&observability.runtime_log, &observability.access_log, self.level)?;
        Ok(())
    }

    pub(crate) fn flush(&self) {
        self.handles.flush(FLUSH);
    }
}
