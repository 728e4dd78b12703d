//! `auth` of a route.

use std::collections::BTreeSet;

use hookaido_model::config::{ForwardAuth, HmacAuth, HmacHeaders, HmacScheme, IngressAuth};
use hookaido_syntax::{Diagnostic, Span};

use super::Lowering;
use super::values::Given;
use crate::Context;
use crate::read::{Arg, Node, Section};
use crate::suggest::nearest;
use crate::value::{self, trim};

/// Everything `auth` says in a route.
pub(super) fn route_auth(lowering: &mut Lowering, route: &Section, secret_ids: &BTreeSet<String>) -> IngressAuth {
    let of_kind = |kind: &'static str| {
        route.all("auth").filter(move |node| node.args.first().is_some_and(|word| word.is(kind))).collect::<Vec<_>>()
    };
    let (hmac, basic, forward) = (of_kind("hmac"), of_kind("basic"), of_kind("forward"));
    if let [first, second] =
        [&hmac, &basic, &forward].into_iter().filter_map(|nodes| nodes.first()).take(2).collect::<Vec<_>>()[..]
    {
        lowering.report(
            Diagnostic::error("E0503", second.span, "a route proves requests in one way only")
                .with_related(first.span, "another kind is given here")
                .with_help("keep one of `auth hmac`, `auth basic` and `auth forward`"),
        );
    }
    let hmac_auth = (!hmac.is_empty()).then(|| hmac_auth(lowering, &hmac, secret_ids));
    let basic_auth = basic_auth(lowering, &basic);
    let forward_auth = forward.first().and_then(|node| forward_auth(lowering, node));
    match (hmac_auth, forward_auth) {
        (Some(hmac), _) => IngressAuth::Hmac(hmac),
        (None, Some(forward)) => IngressAuth::Forward(forward),
        (None, None) if !basic_auth.is_empty() => IngressAuth::Basic(basic_auth),
        (None, None) => IngressAuth::None,
    }
}

fn hmac_auth(lowering: &mut Lowering, nodes: &[&Node], known: &BTreeSet<String>) -> HmacAuth {
    let absent = Section::absent(Context::HmacAuth);
    let block = nodes.iter().find_map(|node| node.block.as_ref()).unwrap_or(&absent);
    let (mut secrets, mut ids): (Vec<&Arg>, Vec<&Arg>) = (Vec::new(), Vec::new());
    for node in nodes {
        match node.args.get(1) {
            Some(word) if word.is("secret_ref") => ids.extend(node.args.get(2)),
            word => secrets.extend(word),
        }
        if let Some(block) = &node.block {
            secrets.extend(block.values("secret"));
            ids.extend(block.values("secret_ref"));
        }
    }
    let span = nodes.first().and_then(|node| node.args.first()).map(|arg| arg.span).unwrap_or_default();
    if secrets.is_empty() && ids.is_empty() {
        let message = "`auth hmac` needs a secret";
        lowering.error_help("E0504", span, message, "write `secret REF` or `secret_ref ID`");
    }
    HmacAuth {
        scheme: hmac_scheme(lowering, block),
        secrets: secrets.into_iter().filter_map(|arg| lowering.secret_of("the secret of `auth hmac`", arg)).collect(),
        secret_ids: secret_ids(lowering, ids, known),
    }
}

/// Ids of named secrets; each must exist and may be named once.
pub(super) fn secret_ids(lowering: &mut Lowering, args: Vec<&Arg>, known: &BTreeSet<String>) -> Vec<String> {
    let mut ids: Vec<(String, Span)> = Vec::new();
    for arg in args {
        let id = trim(&arg.text);
        if id.is_empty() {
            lowering.empty("the id of a secret", arg);
        } else if let Some((_, first)) = ids.iter().find(|(seen, _)| seen == id) {
            lowering.report(
                Diagnostic::error("E0505", arg.span, format!("secret `{id}` is named twice"))
                    .with_related(*first, "first named here")
                    .with_help("remove one of them"),
            );
        } else if known.contains(id) {
            ids.push((id.to_owned(), arg.span));
        } else {
            let near = nearest(id, known.iter().map(String::as_str));
            let help = near.map_or_else(
                || format!("define it: `secrets {{ secret \"{id}\" {{ value REF valid_from TIME }} }}`"),
                |near| format!("did you mean `{near}`?"),
            );
            lowering.error_help("E0506", arg.span, format!("there is no secret `{id}` in `secrets`"), help);
        }
    }
    ids.into_iter().map(|(id, _)| id).collect()
}

fn hmac_scheme(lowering: &mut Lowering, block: &Section) -> HmacScheme {
    let provider = lowering.one_of(block, "provider");
    if let Some(node) = block.find("provider") {
        let forbidden = ["signature_header", "timestamp_header", "nonce_header", "tolerance"];
        for given in forbidden.into_iter().filter_map(|name| block.find(name)) {
            lowering.report(
                Diagnostic::error(
                    "E0507",
                    given.span,
                    format!("`{}` does not go together with `provider`", given.row.name),
                )
                .with_related(node.span, "the provider fixes headers and tolerance")
                .with_help("remove one of them"),
            );
        }
    }
    match provider {
        Some("github") => return HmacScheme::Github,
        Some("gitea") => return HmacScheme::Gitea,
        Some("stripe") => return HmacScheme::Stripe,
        Some("cituro") => return HmacScheme::Cituro,
        _ => {}
    }
    let signature = lowering.header_name(block, "signature_header");
    let timestamp = lowering.header_name(block, "timestamp_header");
    let nonce = lowering.header_name(block, "nonce_header");
    for (a, a_name, b, b_name) in [
        (&signature, "signature_header", &timestamp, "timestamp_header"),
        (&signature, "signature_header", &nonce, "nonce_header"),
        (&timestamp, "timestamp_header", &nonce, "nonce_header"),
    ] {
        differ(lowering, (a, a_name), (b, b_name), block.span);
    }
    HmacScheme::Canonical {
        headers: HmacHeaders { signature: signature.value, timestamp: timestamp.value, nonce: nonce.value },
        tolerance: lowering.duration(block, "tolerance"),
    }
}

/// Two headers must have different names.
pub(super) fn differ(lowering: &mut Lowering, a: (&Given<String>, &str), b: (&Given<String>, &str), block: Span) {
    let ((a, a_name), (b, b_name)) = (a, b);
    if !a.value.eq_ignore_ascii_case(&b.value) {
        return;
    }
    let message = format!("`{a_name}` and `{b_name}` must differ");
    let mut problem = Diagnostic::error("E0508", b.span.or(a.span).unwrap_or(block), message);
    problem.help = Some(match (a.span, b.span) {
        (Some(_), Some(_)) => "give one of them another name".to_owned(),
        (None, _) => format!("`{}` is what `{a_name}` is by default", a.value),
        (_, None) => format!("`{}` is what `{b_name}` is by default", b.value),
    });
    lowering.report(problem);
}

fn basic_auth(lowering: &mut Lowering, nodes: &[&Node]) -> Vec<(String, String)> {
    let mut users: Vec<(String, String)> = Vec::new();
    for node in nodes {
        let [_, user, password] = node.args.as_slice() else { continue };
        if let Some(empty) = [user, password].into_iter().find(|arg| trim(&arg.text).is_empty()) {
            lowering.empty("user and password of `auth basic`", empty);
            continue;
        }
        let reference = [user, password].into_iter().find(|arg| looks_like_reference(trim(&arg.text)));
        if let Some(arg) = reference {
            let name = trim(&arg.text).strip_prefix("env:").unwrap_or("NAME");
            let message = "user and password of `auth basic` are taken as they are, not as a secret reference";
            lowering.error_help("E0509", arg.span, message, format!("write `\"{{env.{name}}}\"`"));
            continue;
        }
        let name = trim(&user.text).to_owned();
        if users.iter().any(|(known, _)| *known == name) {
            lowering.error_help("E0510", user.span, format!("user `{name}` is given twice"), "remove one of them");
            continue;
        }
        users.push((name, trim(&password.text).to_owned()));
    }
    users
}

fn looks_like_reference(text: &str) -> bool {
    let rest = ["env:", "file:", "vault:", "raw:"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
    rest.is_some_and(|rest| !trim(rest).is_empty())
}

fn forward_auth(lowering: &mut Lowering, node: &Node) -> Option<ForwardAuth> {
    let absent = Section::absent(Context::ForwardAuth);
    let block = node.block.as_ref().unwrap_or(&absent);
    let url = node.args.get(1).and_then(|arg| lowering.url_of("the URL of `auth forward`", arg));
    let timeout = lowering.duration(block, "timeout");
    let body_limit = lowering.size_given(block, "body_limit");
    let mut copy_headers: Vec<String> = Vec::new();
    for copied in block.all("copy_headers") {
        for arg in &copied.args {
            let name = lowering.header_name_of(copied.row, block.context, arg);
            let name = name.map(|name| value::canonical_header(&name));
            copy_headers.extend(name.filter(|name| !copy_headers.contains(name)));
        }
    }
    Some(ForwardAuth { url: url?.into(), timeout, copy_headers, body_limit })
}
