//! `observability`.

use std::time::Duration;

use hookaido_model::config::{
    AccessLog, LogLevel, LogOutput, Metrics, Observability, RuntimeLog, Tracing, TracingRetry, TracingTls,
};
use hookaido_syntax::Diagnostic;

use super::Lowering;
use super::listeners::{address, prefix};
use super::values::is_given;
use crate::Context;
use crate::read::{Node, Section};
use crate::value::{self, trim};

/// `observability`, and tracing as written even where it is off.
pub(crate) fn observability(lowering: &mut Lowering, section: &Section) -> (Observability, Option<Tracing>) {
    let (tracing, tracing_on) = tracing(lowering, section);
    let observability = Observability {
        access_log: access_log(lowering, section),
        runtime_log: runtime_log(lowering, section),
        metrics: metrics(lowering, section),
        tracing: tracing.clone().filter(|_| tracing_on),
    };
    (observability, tracing)
}

fn access_log(lowering: &mut Lowering, section: &Section) -> AccessLog {
    let mut log = AccessLog { enabled: true, output: LogOutput::Stderr };
    let Some(node) = section.find("access_log") else { return log };
    if let Some(on) = short_form(lowering, section.context, node) {
        log.enabled = on;
    }
    if let Some(block) = &node.block {
        log.enabled = lowering.switch(block, "enabled");
        log.output = output(lowering, block);
    }
    log
}

fn runtime_log(lowering: &mut Lowering, section: &Section) -> RuntimeLog {
    let mut log = RuntimeLog { level: None, output: LogOutput::Stderr };
    let Some(node) = section.find("runtime_log") else { return log };
    if let Some(arg) = node.args.first() {
        log.level = lowering.one_of_arg(node.row, section.context, arg).and_then(LogLevel::from_word);
    }
    if let Some(block) = &node.block {
        log.level = lowering.one_of(block, "level").and_then(LogLevel::from_word);
        if !is_given(block, "level") {
            log.level = Some(LogLevel::Info);
        }
        log.output = output(lowering, block);
    }
    log
}

fn short_form(lowering: &mut Lowering, context: Context, node: &Node) -> Option<bool> {
    node.args.first().and_then(|arg| lowering.switch_of(node.row, context, arg))
}

fn output(lowering: &mut Lowering, section: &Section) -> LogOutput {
    let output = lowering.one_of(section, "output");
    let path = lowering.text(section, "path");
    let _json_is_the_only_form = lowering.one_of(section, "format");
    let title = section.context.title();
    match (output, path) {
        (Some("file"), Some(path)) => return LogOutput::File(path),
        (Some("file"), None) if !is_given(section, "path") => {
            let span = section.find("output").map_or(section.span, |node| node.span);
            lowering.error_help("E0410", span, format!("`{title}` to a file needs `path`"), "write `path FILE`");
        }
        (None, _) if is_given(section, "output") => {}
        (Some("stdout" | "stderr") | None, Some(_)) => {
            let span = section.find("path").map_or(section.span, |node| node.span);
            lowering.error_help(
                "E0410",
                span,
                format!("`{title}.path` needs `output file`"),
                "add `output file`, or remove `path`",
            );
        }
        _ => {}
    }
    if output == Some("stdout") { LogOutput::Stdout } else { LogOutput::Stderr }
}

fn metrics(lowering: &mut Lowering, section: &Section) -> Option<Metrics> {
    let node = section.find("metrics")?;
    let absent = Section::absent(Context::Metrics);
    let block = node.block.as_ref().unwrap_or(&absent);
    let enabled = match node.args.first() {
        Some(_) => short_form(lowering, section.context, node).unwrap_or(true),
        None => lowering.switch(block, "enabled"),
    };
    if !enabled {
        for name in ["listen", "prefix"] {
            if let Some(ignored) = block.find(name) {
                lowering.warn("W0402", ignored.span, format!("`metrics.{name}` is ignored because metrics are off"));
            }
        }
        return None;
    }
    for (name, default) in [("listen", "127.0.0.1:9900"), ("prefix", "/metrics")] {
        let written =
            block.find(name).and_then(|node| node.args.first()).is_some_and(|arg| !trim(&arg.text).is_empty());
        if !written {
            let message = format!("`observability.metrics.{name}` is not given, so the default {default} is used");
            lowering.warn("W0201", node.span, message);
        }
    }
    let listen =
        if is_given(block, "listen") { address(lowering, block, "listen") } else { "127.0.0.1:9900".to_owned() };
    let written = block.find("prefix").and_then(|node| node.args.first()).is_some_and(|arg| trim(&arg.text) == "/");
    let prefix = prefix(lowering, block, "prefix");
    let prefix = match prefix.as_str() {
        "" if written => "/".to_owned(),
        "" => "/metrics".to_owned(),
        _ => prefix,
    };
    Some(Metrics { listen, prefix })
}

fn tracing(lowering: &mut Lowering, section: &Section) -> (Option<Tracing>, bool) {
    let Some(node) = section.find("tracing") else { return (None, false) };
    let absent = Section::absent(Context::Tracing);
    let block = node.block.as_ref().unwrap_or(&absent);
    let enabled = match node.args.first() {
        Some(_) => short_form(lowering, section.context, node).unwrap_or(false),
        None => lowering.switch(block, "enabled"),
    };
    if node.block.is_some() && !is_given(block, "enabled") {
        lowering.warn("W0201", node.span, "`observability.tracing.enabled` is not given, so tracing stays off");
    }
    let mut url = |name: &str| {
        let arg = block.find(name).and_then(|node| node.args.first())?;
        lowering.url_of(&format!("`observability.tracing.{name}`"), arg)
    };
    let (collector, proxy_url) = (url("collector"), url("proxy_url"));
    let tracing = Tracing {
        collector: collector.unwrap_or_default(),
        url_path: url_path(lowering, block),
        timeout: lowering.duration_given(block, "timeout"),
        compression: lowering.one_of(block, "compression").map(str::to_owned),
        insecure: lowering.switch(block, "insecure"),
        proxy_url,
        tls: tracing_tls(lowering, block),
        retry: block.section("retry").map(|block| tracing_retry(lowering, block)),
        headers: headers(lowering, block),
    };
    if tracing.insecure && tracing.tls != TracingTls::default() {
        let span = block.find("insecure").map_or(block.span, |node| node.span);
        let mut problem = Diagnostic::error("E0411", span, "`insecure` and `tls` contradict each other")
            .with_help("remove one of them");
        if let Some(tls) = block.find("tls") {
            problem = problem.with_related(tls.span, "TLS is configured here");
        }
        lowering.report(problem);
    }
    (Some(tracing), enabled)
}

fn url_path(lowering: &mut Lowering, block: &Section) -> Option<String> {
    let node = block.find("url_path")?;
    let arg = node.args.first()?;
    let text = lowering.not_empty(node.row, block.context, arg)?;
    let path = value::path(text);
    if path.is_none() {
        lowering.wrong("E0211", node.row, block.context, arg, "a path that starts with `/`");
    }
    path
}

fn tracing_tls(lowering: &mut Lowering, block: &Section) -> TracingTls {
    let Some(section) = block.section("tls") else { return TracingTls::default() };
    let tls = TracingTls {
        ca_file: lowering.text(section, "ca_file"),
        cert_file: lowering.text(section, "cert_file"),
        key_file: lowering.text(section, "key_file"),
        server_name: lowering.text(section, "server_name"),
        insecure_skip_verify: lowering.switch(section, "insecure_skip_verify"),
    };
    if is_given(section, "cert_file") != is_given(section, "key_file") {
        let message = "`cert_file` and `key_file` must be given together";
        lowering.error_help("E0412", section.span, message, "add the other one, or remove this one");
    }
    tls
}

fn tracing_retry(lowering: &mut Lowering, section: &Section) -> TracingRetry {
    let retry = TracingRetry {
        enabled: lowering.switch(section, "enabled"),
        initial_interval: lowering.duration_given(section, "initial_interval"),
        max_interval: lowering.duration_given(section, "max_interval"),
        max_elapsed_time: lowering.duration_given(section, "max_elapsed_time"),
    };
    let initial = lowering.duration(section, "initial_interval");
    let longest = lowering.duration(section, "max_interval");
    let elapsed = lowering.duration(section, "max_elapsed_time");
    let mut below = |name: &str| {
        let span =
            section.find(name).or_else(|| section.find("initial_interval")).map_or(section.span, |node| node.span);
        lowering.error_help(
            "E0413",
            span,
            format!("`{name}` must not be below `initial_interval`"),
            format!("raise `{name}` or lower `initial_interval`"),
        );
    };
    if longest < initial {
        below("max_interval");
    }
    if elapsed > Duration::ZERO && elapsed < initial {
        below("max_elapsed_time");
    }
    retry
}

fn headers(lowering: &mut Lowering, block: &Section) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for node in block.all("header") {
        let [name, content] = node.args.as_slice() else { continue };
        if trim(&content.text).is_empty() {
            lowering.empty("the value of a header of traces", content);
            continue;
        }
        let Some(text) = lowering.header_name_of(node.row, block.context, name) else { continue };
        if let Some(bad) = value::forbidden_in_header_value(&content.text) {
            let message = format!("a header value must not hold the character {}", bad.escape_unicode());
            lowering.error("E0218", content.span, message);
        } else if headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(&text)) {
            lowering.error_help("E0414", name.span, format!("header `{text}` is given twice"), "remove one of them");
        } else {
            headers.push((text, trim(&content.text).to_owned()));
        }
    }
    headers
}
