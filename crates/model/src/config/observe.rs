//! `observability { ... }`.

use std::time::Duration;

/// Logs, metrics, traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Observability {
    /// One line a request.
    pub access_log: AccessLog,
    /// What the process does.
    pub runtime_log: RuntimeLog,
    /// Prometheus endpoint; `None` for none.
    pub metrics: Option<Metrics>,
    /// OpenTelemetry export; `None` for none.
    pub tracing: Option<Tracing>,
}

/// `access_log`.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLog {
    /// On by default.
    pub enabled: bool,
    /// Where lines go.
    pub output: LogOutput,
}

/// `runtime_log`.
#[derive(Clone, Debug, PartialEq)]
pub struct RuntimeLog {
    /// `None` where the file names none: the command line decides.
    pub level: Option<LogLevel>,
    /// Where lines go.
    pub output: LogOutput,
}

/// Where log lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard error.
    #[default]
    Stderr,
    /// Standard output.
    Stdout,
    /// Appended to a file.
    File(String),
}

/// Least severity that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// The default.
    Info,
    /// Warnings and errors.
    Warn,
    /// Errors only.
    Error,
    /// Nothing.
    Off,
}

impl LogLevel {
    /// The level of a word of the language or the command line.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "debug" => Some(Self::Debug),
            "info" => Some(Self::Info),
            "warn" | "warning" => Some(Self::Warn),
            "error" => Some(Self::Error),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// `metrics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// `host:port`, as written.
    pub listen: String,
    /// Path of the endpoint.
    pub prefix: String,
}

/// `tracing`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// URL of the collector.
    pub collector: String,
    /// Path on the collector.
    pub url_path: Option<String>,
    /// Longest time of one export.
    pub timeout: Option<Duration>,
    /// `gzip` or `none`.
    pub compression: Option<String>,
    /// Allow cleartext.
    pub insecure: bool,
    /// HTTP proxy.
    pub proxy_url: Option<String>,
    /// TLS towards the collector.
    pub tls: TracingTls,
    /// Repeats of a failed export.
    pub retry: Option<TracingRetry>,
    /// Headers of every export.
    pub headers: Vec<(String, String)>,
}

/// TLS towards the collector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TracingTls {
    /// CAs.
    pub ca_file: Option<String>,
    /// Client certificate.
    pub cert_file: Option<String>,
    /// Its key.
    pub key_file: Option<String>,
    /// Name to verify instead of the host.
    pub server_name: Option<String>,
    /// Verify nothing.
    pub insecure_skip_verify: bool,
}

/// Repeats of a failed export.
#[derive(Clone, Debug, PartialEq)]
pub struct TracingRetry {
    /// On by default.
    pub enabled: bool,
    /// First delay.
    pub initial_interval: Option<Duration>,
    /// Longest delay.
    pub max_interval: Option<Duration>,
    /// Total time.
    pub max_elapsed_time: Option<Duration>,
}
