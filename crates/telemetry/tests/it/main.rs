//! Metrics and logs, as an operator sees them.
#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

mod logs;
mod metrics;
