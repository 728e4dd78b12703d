//! Directives of `observability`.

use super::{Kind, Row, Shape};
use crate::Context;

const LEVELS: Kind = Kind::OneOf(&["debug", "info", "warn", "warning", "error", "off"]);
const OUTPUT: Row =
    Row::word("output", Kind::OneOf(&["stdout", "stderr", "file"]), "stderr", "Where lines go.").restart();
const PATH: Row =
    Row::word("path", Kind::Text, "", "The file; required with `output file`, an error without it.").restart();
const FORMAT: Row = Row::word("format", Kind::OneOf(&["json"]), "json", "Form of the lines.").restart();

pub(super) static OBSERVABILITY: &[Row] = &[
    Row::block("access_log", Context::AccessLog, "One line a request: `on`, `off` or a block.")
        .shaped(Shape::WordOrBlock)
        .of_kind(Kind::Switch)
        .by_default("on")
        .restart(),
    Row::block("runtime_log", Context::RuntimeLog, "What the process does: a level or a block.")
        .shaped(Shape::WordOrBlock)
        .of_kind(LEVELS)
        .restart(),
    Row::block("metrics", Context::Metrics, "The Prometheus endpoint: `on`, `off` or a block.")
        .shaped(Shape::WordOrBlock)
        .of_kind(Kind::Switch)
        .by_default("off")
        .restart(),
    Row::block("tracing", Context::Tracing, "OpenTelemetry export: `on`, `off` or a block.")
        .shaped(Shape::WordOrBlock)
        .of_kind(Kind::Switch)
        .by_default("off")
        .restart(),
];

pub(super) static ACCESS_LOG: &[Row] =
    &[Row::word("enabled", Kind::Switch, "on", "Whether lines are written.").restart(), OUTPUT, PATH, FORMAT];

pub(super) static RUNTIME_LOG: &[Row] = &[
    Row::word("level", LEVELS, "", "Least severity that is written; the command line decides if not given.").restart(),
    OUTPUT,
    PATH,
    FORMAT,
];

pub(super) static METRICS: &[Row] = &[
    Row::word("enabled", Kind::Switch, "on", "Whether the endpoint is served.").restart(),
    Row::word("listen", Kind::Address, "127.0.0.1:9900", "Address to bind; never shared.").restart(),
    Row::word("prefix", Kind::Prefix, "/metrics", "Path of the endpoint.").restart(),
];

pub(super) static TRACING: &[Row] = &[
    Row::word("enabled", Kind::Switch, "off", "Whether traces are exported.").restart(),
    Row::word("collector", Kind::Url, "", "URL of the collector.").restart(),
    Row::word("url_path", Kind::Path, "", "Path on the collector.").restart(),
    Row::word("timeout", Kind::PositiveDuration, "", "Longest time of one export.").restart(),
    Row::word("compression", Kind::OneOf(&["none", "gzip"]), "", "Compression of exports.").restart(),
    Row::word("insecure", Kind::Switch, "off", "Allow cleartext; not together with `tls`.").restart(),
    Row::word("proxy_url", Kind::Url, "", "HTTP proxy towards the collector.").restart(),
    Row::block("tls", Context::TracingTls, "TLS towards the collector.").restart(),
    Row::block("retry", Context::TracingRetry, "Repeats of a failed export.").restart(),
    Row::new("header", Shape::Words(2), Kind::HeaderName, "Name and value of a header of every export.")
        .many()
        .restart(),
];

pub(super) static TRACING_TLS: &[Row] = &[
    Row::word("ca_file", Kind::Text, "", "PEM file with the CAs of the collector.").restart(),
    Row::word("cert_file", Kind::Text, "", "PEM file with the client certificate; only with `key_file`.").restart(),
    Row::word("key_file", Kind::Text, "", "PEM file with its key; only with `cert_file`.").restart(),
    Row::word("server_name", Kind::Text, "", "Name to verify instead of the host.").restart(),
    Row::word("insecure_skip_verify", Kind::Switch, "off", "Verify nothing; for tests.").restart(),
];

pub(super) static TRACING_RETRY: &[Row] = &[
    Row::word("enabled", Kind::Switch, "on", "Whether failed exports are repeated.").restart(),
    Row::word("initial_interval", Kind::PositiveDuration, "5s", "First delay.").restart(),
    Row::word("max_interval", Kind::PositiveDuration, "30s", "Longest delay; not below `initial_interval`.").restart(),
    Row::word("max_elapsed_time", Kind::Duration, "1m", "Total time; `off` for no bound.").restart(),
];
