//! `match` and named matchers.

use std::collections::BTreeMap;

use hookaido_model::config::{ClientCertRule, Match};
use hookaido_syntax::Diagnostic;

use super::Lowering;
use super::front::networks;
use crate::read::{Arg, Node, Section};
use crate::suggest::nearest;
use crate::value::{self, trim};

/// Named matchers, by name with its `@`.
pub(crate) type Matchers = BTreeMap<String, Match>;

/// The named matchers of the file.
pub(crate) fn matchers(lowering: &mut Lowering, top: &Section) -> Matchers {
    let mut matchers = Matchers::new();
    let mut first: BTreeMap<&str, &Node> = BTreeMap::new();
    for node in top.all("@NAME") {
        let name = &*node.name.text;
        if let Some(other) = first.get(name) {
            lowering.report(
                Diagnostic::error("E0501", node.name.span, format!("there are two matchers `{name}`"))
                    .with_related(other.name.span, "first defined here")
                    .with_help("give one of them another name"),
            );
            continue;
        }
        first.insert(name, node);
        let conditions = node.block.as_ref().map(|block| conditions(lowering, block)).unwrap_or_default();
        matchers.insert(name.to_owned(), conditions);
    }
    matchers
}

/// All conditions of a route: its block and the named ones, in the order of the file.
pub(super) fn route_match(lowering: &mut Lowering, route: &Section, matchers: &Matchers) -> Match {
    let mut all = Match::default();
    for node in route.all("match") {
        if let Some(block) = &node.block {
            let own = conditions(lowering, block);
            extend(&mut all, own);
        }
        for arg in &node.args {
            match matchers.get(&*arg.text) {
                Some(named) => extend(&mut all, named.clone()),
                None => {
                    let near = nearest(&arg.text, matchers.keys().map(String::as_str));
                    let help = near.map_or_else(
                        || format!("define it outside of any block: `{} {{ ... }}`", arg.text),
                        |near| format!("did you mean `{near}`?"),
                    );
                    lowering.error_help("E0502", arg.span, format!("there is no matcher `{}`", arg.text), help);
                }
            }
        }
    }
    all
}

fn extend(all: &mut Match, more: Match) {
    let Match { methods, hosts, headers, header_exists, query, query_exists, remote_ips, client_certs } = more;
    all.methods.extend(methods);
    all.hosts.extend(hosts);
    all.headers.extend(headers);
    all.header_exists.extend(header_exists);
    all.query.extend(query);
    all.query_exists.extend(query_exists);
    all.remote_ips.extend(remote_ips);
    all.client_certs.extend(client_certs);
}

fn conditions(lowering: &mut Lowering, block: &Section) -> Match {
    let mut found = Match::default();
    for method in lowering.texts(block, "method") {
        let text = method.value.to_uppercase();
        if value::is_header_name(&text) {
            found.methods.push(text);
        } else {
            let message = format!("`{}` is not a method", method.value.escape_debug());
            lowering.error_help("E0219", method.span.unwrap_or_default(), message, "write a method such as `POST`");
        }
    }
    for host in lowering.texts(block, "host") {
        match value::host_pattern(&host.value) {
            Ok(pattern) => found.hosts.push(pattern),
            Err(problem) => {
                let message = format!("`match host` {problem}");
                let help = "write a host name, `*.example.com` or `*`";
                lowering.error_help("E0215", host.span.unwrap_or_default(), message, help);
            }
        }
    }
    for (name, content) in pairs(lowering, block, "header") {
        found.headers.push((value::canonical_header(&name), content));
    }
    for node in block.all("header_exists") {
        for arg in &node.args {
            let name = lowering.header_name_of(node.row, block.context, arg);
            found.header_exists.extend(name.map(|name| value::canonical_header(&name)));
        }
    }
    found.query = pairs(lowering, block, "query");
    found.query_exists = lowering.texts(block, "query_exists").into_iter().map(|name| name.value).collect();
    found.remote_ips = networks(lowering, block, "remote_ip");
    found.client_certs = client_certs(lowering, block);
    found
}

fn client_certs(lowering: &mut Lowering, block: &Section) -> Vec<ClientCertRule> {
    let mut rules = Vec::new();
    for pair in block.all("client_cert").flat_map(|node| node.args.chunks(2)) {
        let [kind, content] = pair else { continue };
        match value::client_cert(trim(&kind.text), trim(&content.text)) {
            _ if trim(&content.text).is_empty() => lowering.empty("the value of `match client_cert`", content),
            Ok(rule) => rules.push(rule),
            Err(problem) => {
                let message = format!("`match client_cert` {problem}");
                let help = "write it like `client_cert san billing.internal` or `client_cert fingerprint HEX`";
                lowering.error_help("E0231", content.span, message, help);
            }
        }
    }
    rules
}

/// Names with values; neither may be empty.
fn pairs(lowering: &mut Lowering, block: &Section, name: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for node in block.all(name) {
        for pair in node.args.chunks(2) {
            let [key, content] = pair else { continue };
            let empty = [key, content].into_iter().find(|arg| trim(&arg.text).is_empty());
            match empty {
                Some(arg) => lowering.empty(&format!("name and value of `match.{name}`"), arg),
                None => pairs.push((trim(&key.text).to_owned(), pair_value(content))),
            }
        }
    }
    pairs
}

fn pair_value(arg: &Arg) -> String {
    trim(&arg.text).to_owned()
}
