//! Metrics, logs and their sinks.
