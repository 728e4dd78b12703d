//! `deliver` of a route, and `retry`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::auth::{differ, secret_ids};
use super::listeners::clamp;
use super::values::Given;
use super::{Defaults, Lowering, backoff};
use crate::Context;
use crate::read::{Arg, Node, Section};
use crate::table::{Kind, Row};
use crate::value::{self, trim};
use hookaido_model::config::{
    Delivery, ExecDelivery, HttpDelivery, SecretPool, SecretSelection, SecretVersion, Signing, SigningSecret, Transport,
};
use hookaido_model::{Backoff, RetryPolicy};

const DEFAULT_RETRY: RetryPolicy = RetryPolicy {
    max: 8,
    base: std::time::Duration::from_secs(2),
    cap: std::time::Duration::from_secs(120),
    jitter: 0.2,
};

const FULL_NAMES: [&str; 3] = ["retry base", "retry cap", "retry jitter"];

/// `retry` of a block; what it does not say is as in `base`.
pub(super) fn retry(lowering: &mut Lowering, section: &Section, base: Option<&RetryPolicy>) -> RetryPolicy {
    let mut policy = base.cloned().unwrap_or(DEFAULT_RETRY);
    let Some(node) = section.find("retry") else { return policy };
    let Some((kind, options)) = node.args.split_first() else { return policy };
    backoff::kind(lowering, "retry", kind, "write `retry exponential`; to try once more only, add `max 1`");
    let mut delays = Backoff { base: policy.base, cap: policy.cap, jitter: policy.jitter };
    for pair in options.chunks(2) {
        let [option, arg] = pair else { continue };
        let place = (node.row, section.context);
        if option.text == "max" {
            policy.max = retries(lowering, place, arg).unwrap_or(policy.max);
        } else {
            backoff::option(lowering, place, FULL_NAMES, (&*option.text, arg), &mut delays);
        }
    }
    backoff::ordered(lowering, node, &delays);
    let Backoff { base, cap, jitter } = delays;
    RetryPolicy { base, cap, jitter, ..policy }
}

fn retries(lowering: &mut Lowering, (row, context): (&Row, Context), arg: &Arg) -> Option<u32> {
    let row = Row { name: "retry max", kind: Kind::Int(1, i64::MAX), ..*row };
    let text = lowering.not_empty(&row, context, arg)?;
    let max = value::integer(text).filter(|max| *max > 0).and_then(|max| u64::try_from(max).ok());
    if max.is_none() {
        lowering.wrong("E0202", &row, context, arg, "a whole number of at least 1");
    }
    max.map(clamp)
}

/// What a target may refer to.
pub(super) struct Targets<'a> {
    pub(super) defaults: &'a Defaults,
    pub(super) secrets: &'a BTreeMap<String, SecretPool>,
    pub(super) secret_ids: &'a BTreeSet<String>,
}

/// One `deliver` statement.
pub(super) fn delivery(lowering: &mut Lowering, node: &Node, targets: &Targets<'_>) -> Option<Delivery> {
    let absent = Section::absent(Context::Deliver);
    let block = node.block.as_ref().unwrap_or(&absent);
    let exec = node.args.first().is_some_and(|word| word.is("exec"));
    let target = node.args.get(usize::from(exec))?;
    let name = trim(&target.text);
    let valid = if exec {
        if name.is_empty() {
            lowering.empty("the command of `deliver exec`", target);
        }
        !name.is_empty()
    } else {
        lowering.url_of("the target of `deliver`", target).is_some()
    };
    let headers = if exec { headers_of_exec(lowering, block) } else { headers(lowering, block) };
    let env = env(lowering, block, exec);
    let signing = signing(lowering, block, targets, exec);
    let retry = retry(lowering, block, Some(&targets.defaults.retry));
    let timeout = lowering.duration_given(block, "timeout").unwrap_or(targets.defaults.timeout);
    let target: Arc<str> = name.into();
    let transport = if exec {
        Transport::Exec(ExecDelivery { command: Arc::clone(&target), env })
    } else {
        Transport::Http(HttpDelivery { headers, signing })
    };
    valid.then_some(Delivery { target, transport, retry, timeout })
}

fn headers(lowering: &mut Lowering, block: &Section) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for node in block.all("header") {
        let [name, content] = node.args.as_slice() else { continue };
        let Some(name_text) = lowering.header_name_of(node.row, block.context, name) else { continue };
        let name_text = value::canonical_header(&name_text);
        if let Some(bad) = value::forbidden_in_header_value(&content.text) {
            let message = format!("a header value must not hold the character {}", bad.escape_unicode());
            lowering.error("E0218", content.span, message);
        } else if headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name_text)) {
            lowering.error_help(
                "E0414",
                name.span,
                format!("header `{name_text}` is given twice"),
                "remove one of them",
            );
        } else {
            headers.push((name_text, content.text.to_string()));
        }
    }
    headers
}

/// A command receives none; the reference accepts and ignores them.
fn headers_of_exec(lowering: &mut Lowering, block: &Section) -> Vec<(String, String)> {
    for node in block.all("header") {
        lowering.warn("W0403", node.span, "`header` is ignored because a command receives no headers; use `env`");
    }
    Vec::new()
}

fn env(lowering: &mut Lowering, block: &Section, exec: bool) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for node in block.all("env") {
        let [name, content] = node.args.as_slice() else { continue };
        let key = trim(&name.text);
        if !exec {
            let message = "`env` counts only for `deliver exec`";
            lowering.error_help("E0513", node.span, message, "use `header` for what a URL shall receive");
        } else if !value::is_variable_name(key) {
            let message = format!("`{}` is not the name of an environment variable", key.escape_debug());
            let help = "write letters, digits and `_`, not starting with a digit";
            lowering.error_help("E0217", name.span, message, help);
        } else {
            env.insert(key.to_owned(), content.text.to_string());
        }
    }
    env
}

fn signing(lowering: &mut Lowering, block: &Section, targets: &Targets<'_>, exec: bool) -> Option<Signing> {
    let of_kind = |kind: &'static str| {
        block.all("sign").filter(move |node| node.args.first().is_some_and(|word| word.is(kind))).collect::<Vec<_>>()
    };
    let first = block.find("sign")?;
    if exec {
        let message = "`deliver exec` does not sign";
        lowering.error_help("E0514", first.span, message, "remove `sign`; the command sees the message on its input");
        return None;
    }
    let hmac = of_kind("hmac");
    let by_id = hmac.iter().any(|node| node.args.get(1).is_some_and(|word| word.is("secret_ref")));
    if hmac.is_empty() {
        lowering.error_help("E0515", first.span, "`sign` options need `sign hmac`", "write `sign hmac REF`");
    }
    let ids = hmac.iter().filter(|_| by_id).flat_map(|node| node.args.iter().skip(2)).collect();
    let ids = secret_ids(lowering, ids, targets.secret_ids);
    let single = hmac.first().filter(|_| !by_id).and_then(|node| node.args.get(1));
    let single = single.and_then(|arg| lowering.secret_of("the secret of `sign hmac`", arg));
    let selection = selection(lowering, of_kind("secret_selection").first().copied(), by_id);
    let header = |lowering: &mut Lowering, kind, default: &str| {
        let arg = of_kind(kind).first().and_then(|node| node.args.get(1));
        let row = Row { name: kind, kind: Kind::HeaderName, ..*first.row };
        let name = arg.and_then(|arg| Some((lowering.header_name_of(&row, block.context, arg)?, arg.span)));
        let given = name.map(|(value, span)| Given { value, span: Some(span) });
        given.unwrap_or(Given { value: default.to_owned(), span: None })
    };
    let signature = header(lowering, "signature_header", "X-Hookaido-Signature");
    let timestamp = header(lowering, "timestamp_header", "X-Hookaido-Timestamp");
    differ(lowering, (&signature, "signature_header"), (&timestamp, "timestamp_header"), first.span);
    let secret = match single {
        Some(secret) => SigningSecret::Single(secret),
        None if by_id => {
            let (versions, pools) = versions(&ids, targets);
            SigningSecret::Versions { versions, pools, selection }
        }
        None => return None,
    };
    Some(Signing { secret, signature_header: signature.value, timestamp_header: timestamp.value })
}

fn selection(lowering: &mut Lowering, node: Option<&Node>, by_id: bool) -> SecretSelection {
    let Some(arg) = node.and_then(|node| node.args.get(1)) else { return SecretSelection::default() };
    if !by_id {
        let message = "`sign secret_selection` needs `sign hmac secret_ref`";
        lowering.error_help("E0515", arg.span, message, "with one secret there is nothing to choose; remove it");
    }
    match trim(&arg.text).to_ascii_lowercase().as_str() {
        "newest_valid" => SecretSelection::NewestValid,
        "oldest_valid" => SecretSelection::OldestValid,
        "" => {
            lowering.empty("`sign secret_selection`", arg);
            SecretSelection::default()
        }
        _ => {
            let message = "`sign secret_selection` must be `newest_valid` or `oldest_valid`";
            lowering.error("E0206", arg.span, message);
            SecretSelection::default()
        }
    }
}

/// The versions of the named secrets in the order named, and the pools among them that are filled at run time.
fn versions(ids: &[String], targets: &Targets<'_>) -> (Vec<SecretVersion>, Vec<Arc<str>>) {
    let (mut versions, mut pools) = (Vec::new(), Vec::new());
    for id in ids {
        match targets.secrets.get(id) {
            Some(SecretPool::Static(version)) => versions.push(version.clone()),
            Some(SecretPool::Runtime { id, .. }) => pools.push(Arc::clone(id)),
            // Its own problem is reported where it is defined.
            None => {}
        }
    }
    (versions, pools)
}
