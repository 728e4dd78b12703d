//! `secrets`: named versions and their windows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use hookaido_model::config::{SecretPool, SecretVersion};
use hookaido_syntax::{Diagnostic, Span};

use super::Lowering;
use super::listeners::clamp;
use super::values::is_given;
use crate::read::{Node, Section};
use crate::value::trim;

/// The entries of `secrets`, by id. An entry with a problem is still known by its id.
pub(crate) fn secrets(lowering: &mut Lowering, section: &Section) -> (BTreeMap<String, SecretPool>, Vec<String>) {
    let mut pools = BTreeMap::new();
    let mut ids: BTreeMap<String, Span> = BTreeMap::new();
    for node in section.all("secret") {
        let (Some(id), Some(block)) = (node.args.first(), node.block.as_ref()) else { continue };
        let name = trim(&id.text);
        if name.is_empty() {
            lowering.empty("the name of a secret", id);
            continue;
        }
        match ids.entry(name.to_owned()) {
            Entry::Occupied(first) => {
                lowering.report(
                    Diagnostic::error("E0406", id.span, format!("there are two secrets `{name}`"))
                        .with_related(*first.get(), "first defined here")
                        .with_help("give one of them another name"),
                );
                continue;
            }
            Entry::Vacant(place) => place.insert(id.span),
        };
        if let Some(pool) = pool(lowering, name, node, block) {
            pools.insert(name.to_owned(), pool);
        }
    }
    (pools, ids.into_keys().collect())
}

fn pool(lowering: &mut Lowering, name: &str, node: &Node, block: &Section) -> Option<SecretPool> {
    let id: Arc<str> = name.into();
    let runtime = lowering.switch(block, "runtime");
    let max_versions = if runtime {
        clamp(lowering.int(block, "max_versions"))
    } else {
        if let Some(given) = block.find("max_versions") {
            let message = "`max_versions` counts only for a secret with `runtime true`";
            lowering.error_help("E0407", given.span, message, "remove it, or add `runtime true`");
        }
        0
    };
    let version = version(lowering, &id, node, block, runtime);
    if runtime {
        Some(SecretPool::Runtime { id, initial: version, max_versions })
    } else {
        version.map(SecretPool::Static)
    }
}

fn version(
    lowering: &mut Lowering,
    id: &Arc<str>,
    node: &Node,
    block: &Section,
    runtime: bool,
) -> Option<SecretVersion> {
    let value_arg = block.find("value").and_then(|node| node.args.first());
    let value = value_arg.and_then(|arg| lowering.secret_of(&format!("the value of secret `{id}`"), arg));
    let from = lowering.time(block, "valid_from");
    let until = lowering.time(block, "valid_until");
    let place = node.args.first().map_or(node.span, |arg| arg.span);
    if value_arg.is_none() && !runtime {
        let message = format!("secret `{id}` needs `value`");
        lowering.error_help(
            "E0408",
            place,
            message,
            "write `value REF`, or `runtime true` to fill it through the admin API",
        );
    }
    if value_arg.is_some() && !is_given(block, "valid_from") {
        let message = format!("secret `{id}` needs `valid_from`");
        lowering.error_help(
            "E0408",
            place,
            message,
            "write `valid_from \"2026-01-01T00:00:00Z\"`: when it begins to count",
        );
    }
    match (&from, &until) {
        (Some(from), Some(until)) if until.value <= from.value => {
            let mut problem =
                Diagnostic::error("E0409", until.span.unwrap_or(place), "`valid_until` must be after `valid_from`");
            problem
                .related
                .extend(from.span.map(|span| hookaido_syntax::Label { span, text: "valid from here".to_owned() }));
            lowering.report(problem.with_help("make the end later than the beginning"));
        }
        (None, Some(until)) if !is_given(block, "valid_from") => {
            let message = "`valid_until` needs `valid_from`";
            lowering.error_help("E0409", until.span.unwrap_or(place), message, "write `valid_from`, too");
        }
        _ => {}
    }
    Some(SecretVersion {
        id: Arc::clone(id),
        value: value?,
        valid_from: from.map(|from| from.value),
        valid_until: until.map(|until| until.value),
    })
}
