//! `ingress`, `pull_api`, `admin_api`, and their `tls`.

use hookaido_model::SecretRef;
use hookaido_model::config::{AdminApi, ClientAuth, Ingress, PullApi, PullLimits, RateLimit, Tls};
use hookaido_syntax::Diagnostic;

use super::Lowering;
use super::front::front;
use super::values::{default_of, full_name, given, is_given};
use crate::read::{Node, Section};
use crate::value::{self, trim};

/// `ingress`.
pub(crate) fn ingress(lowering: &mut Lowering, section: &Section) -> Ingress {
    let RateLimits { overall, of_client } = rate_limits(lowering, section);
    Ingress {
        listen: address(lowering, section, "listen"),
        tls: section.section("tls").and_then(|block| tls(lowering, block, "ingress")),
        rate_limit: overall,
        client_limit: of_client,
        front: front(lowering, section),
    }
}

/// `pull_api`, whether it will be served or not.
pub(crate) fn pull_api(lowering: &mut Lowering, section: &Section) -> PullApi {
    PullApi {
        listen: address(lowering, section, "listen"),
        tls: section.section("tls").and_then(|block| tls(lowering, block, "pull_api")),
        prefix: prefix(lowering, section, "prefix"),
        grpc_listen: lowering.text(section, "grpc_listen"),
        auth_tokens: tokens(lowering, section),
        limits: pull_limits(lowering, section),
        front: front(lowering, section),
    }
}

fn pull_limits(lowering: &mut Lowering, section: &Section) -> PullLimits {
    let limits = PullLimits {
        max_batch: clamp(lowering.int(section, "max_batch")),
        max_lease_batch: clamp(lowering.int(section, "max_lease_batch")),
        default_lease_ttl: lowering.duration(section, "default_lease_ttl"),
        max_lease_ttl: lowering.time_bound(section, "max_lease_ttl"),
        default_max_wait: lowering.duration(section, "default_max_wait"),
        max_wait: lowering.time_bound(section, "max_wait"),
        sse_keepalive: lowering.duration_given(section, "sse_keepalive").filter(|interval| !interval.is_zero()),
        sse_max_connection: lowering.time_bound(section, "sse_max_connection"),
    };
    let mut above = |name: &str, bound_name: &str| {
        let span = section.find(name).map_or(section.span, |node| node.span);
        let mut problem = Diagnostic::error("E0402", span, format!("`{name}` must not be above `{bound_name}`"))
            .with_help(format!("lower `{name}` or raise `{bound_name}`"));
        if let Some(bound) = section.find(bound_name) {
            problem = problem.with_related(bound.span, "the bound is set here");
        }
        lowering.report(problem);
    };
    // A default that is not written gives way to the bound.
    if is_given(section, "default_lease_ttl")
        && limits.max_lease_ttl.is_some_and(|bound| limits.default_lease_ttl > bound)
    {
        above("default_lease_ttl", "max_lease_ttl");
    }
    if limits.max_wait.is_some_and(|bound| limits.default_max_wait > bound) {
        above("default_max_wait", "max_wait");
    }
    limits
}

/// `admin_api`.
pub(crate) fn admin_api(lowering: &mut Lowering, section: &Section) -> AdminApi {
    AdminApi {
        listen: address(lowering, section, "listen"),
        tls: section.section("tls").and_then(|block| tls(lowering, block, "admin_api")),
        prefix: prefix(lowering, section, "prefix"),
        auth_tokens: tokens(lowering, section),
        front: front(lowering, section),
    }
}

/// Whole numbers larger than any use for them are cut.
pub(super) fn clamp(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// An address to bind: empty takes the default, with a warning if a placeholder made it so.
pub(super) fn address(lowering: &mut Lowering, section: &Section, name: &str) -> String {
    let default = default_of(section.context, name);
    let Some((row, arg)) = given(section, name) else { return default.to_owned() };
    let text = trim(&arg.text);
    if text.is_empty() {
        let message = format!("`{}` is empty, so the default {default} is used", full_name(row, section.context));
        lowering.warn("W0202", arg.span, message);
        return default.to_owned();
    }
    text.to_owned()
}

/// Warns about an API whose block does not say where it listens, as the reference does.
pub(crate) fn default_listen(lowering: &mut Lowering, node: &Node) {
    let Some(section) = &node.block else { return };
    if !is_given(section, "listen") {
        let (title, default) = (section.context.title(), default_of(section.context, "listen"));
        lowering.warn(
            "W0201",
            node.name.span,
            format!("`{title}.listen` is not given, so the default {default} is used"),
        );
    }
}

pub(super) fn prefix(lowering: &mut Lowering, section: &Section, name: &str) -> String {
    let Some((row, arg)) = given(section, name) else { return default_of(section.context, name).to_owned() };
    let prefix = value::prefix(trim(&arg.text));
    if prefix.is_none() {
        lowering.wrong("E0211", row, section.context, arg, "a path that starts with `/`");
    }
    prefix.unwrap_or_default()
}

/// The bearer tokens of an API or a route.
pub(super) fn tokens(lowering: &mut Lowering, section: &Section) -> Vec<SecretRef> {
    let title = section.context.title();
    let args = section.all("auth").filter_map(|node| node.args.get(1));
    args.filter_map(|arg| lowering.secret_of(&format!("the token of `{title}`"), arg)).collect()
}

/// The limits of ingress or of a route.
#[derive(Default)]
pub(super) struct RateLimits {
    /// Of all clients together.
    pub(super) overall: Option<RateLimit>,
    /// Of each client.
    pub(super) of_client: Option<RateLimit>,
}

/// `rate_limit`: at most one for all, and one with `key client_ip`.
pub(super) fn rate_limits(lowering: &mut Lowering, section: &Section) -> RateLimits {
    let mut limits = RateLimits::default();
    let mut seen = [None; 2];
    for node in section.all("rate_limit") {
        let Some(block) = &node.block else { continue };
        // A key that is wrong has been meant as one.
        lowering.one_of(block, "key");
        let keyed = is_given(block, "key");
        let limit = rate_limit(lowering, block);
        let [overall, of_client] = &mut seen;
        let (first, place, shown) = if keyed {
            (of_client, &mut limits.of_client, "rate_limit { key client_ip }")
        } else {
            (overall, &mut limits.overall, "rate_limit")
        };
        match *first {
            Some(first) => lowering.report(crate::read::twice(shown, node.span, first)),
            None => {
                *first = Some(node.span);
                *place = limit;
            }
        }
    }
    limits
}

/// One `rate_limit` block.
fn rate_limit(lowering: &mut Lowering, section: &Section) -> Option<RateLimit> {
    let burst = lowering.int_given(section, "burst");
    let Some((row, arg)) = given(section, "rps") else {
        if is_given(section, "rps") {
            return None;
        }
        lowering.error_help("E0403", section.span, "`rate_limit` needs `rps`", "write `rps N`, requests a second");
        return None;
    };
    let text = lowering.not_empty(row, section.context, arg)?;
    let Some(rps) = value::number(text).filter(|rps| rps.is_finite() && *rps > 0.0) else {
        lowering.wrong("E0207", row, section.context, arg, "a number above zero");
        return None;
    };
    Some(RateLimit { rps, burst: burst.map_or_else(|| default_burst(rps), clamp) })
}

/// `rps` rounded up. Past what fits a signed 64-bit number it is 1, as in the reference.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded on both sides")]
fn default_burst(rps: f64) -> u32 {
    let ceil = rps.ceil();
    if ceil >= 9_223_372_036_854_775_808.0 { 1 } else { ceil.clamp(1.0, f64::from(u32::MAX)) as u32 }
}

/// `tls` of a listener.
fn tls(lowering: &mut Lowering, section: &Section, owner: &str) -> Option<Tls> {
    let mut file = |name: &str| {
        let file = lowering.text(section, name);
        if file.is_none() && !is_given(section, name) {
            let message = format!("`{owner}.tls` needs `{name}`");
            lowering.error_help("E0404", section.span, message, format!("write `{name} PATH`"));
        }
        file
    };
    let (cert_file, key_file) = (file("cert_file"), file("key_file"));
    let client_ca = lowering.text(section, "client_ca");
    let wanted = lowering.one_of(section, "client_auth");
    let client_auth = match wanted {
        Some("request") => ClientAuth::Request,
        Some("require_any") => ClientAuth::RequireAny,
        Some("verify_if_given") => ClientAuth::VerifyIfGiven,
        Some("require" | "require_and_verify") => ClientAuth::RequireAndVerify,
        Some(_) => ClientAuth::None,
        None if client_ca.is_some() && !is_given(section, "client_auth") => ClientAuth::RequireAndVerify,
        None => ClientAuth::None,
    };
    let span = section.find("client_auth").map_or(section.span, |node| node.span);
    let verifies = client_auth.verifies();
    if let Some(wanted) = wanted {
        if verifies && client_ca.is_none() && !is_given(section, "client_ca") {
            let message = format!("`client_auth {wanted}` needs `client_ca`");
            lowering.error_help("E0405", span, message, "write `client_ca PATH`, the CAs to verify against");
        }
        if !verifies && client_ca.is_some() {
            let message =
                format!("`client_ca` is given, but with `client_auth {wanted}` client certificates are not verified");
            lowering.warn("W0401", span, message);
        }
    }
    Some(Tls {
        cert_file: cert_file?.into(),
        key_file: key_file?.into(),
        client_ca: client_ca.map(Into::into),
        client_auth,
    })
}
