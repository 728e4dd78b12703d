//! Which route a request would hit, and why each earlier one does not: `config explain`.
//!
//! Pure: asks the compiled configuration only. Follows the rules by which `ingress` matches; authentication is not judged, since it needs
//! secrets and the body.

use std::net::IpAddr;

use hookaido_model::config::{Config, HmacScheme, HostPattern, IngressAuth, Match, Route, RouteWork, Transport};

use crate::is_below;
use crate::text::duration_text;
use crate::value;

/// A request to ask about.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Upper case.
    pub method: String,
    /// Without port; empty if not known.
    pub host: String,
    /// Path, cleaned.
    pub path: String,
    /// Names and values, decoded.
    pub query: Vec<(String, String)>,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The peer, if `match remote_ip` shall be judged.
    pub remote: Option<IpAddr>,
}

/// What would become of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The routes that were asked, in order, each with why it does not take the request; the last one may take it.
    pub routes: Vec<(String, Option<String>)>,
    /// What applies to the request on its route, one sentence a line; nothing if no route takes it.
    pub applies: Vec<String>,
}

impl Question {
    /// A request to a URL or a path, with headers as `Name: value`.
    ///
    /// # Errors
    /// What is wrong with the URL or a header, for people.
    pub fn new(method: &str, url: &str, headers: &[String]) -> Result<Self, String> {
        let uri: http::Uri = url.parse().map_err(|error| format!("`{url}` is not a URL: {error}"))?;
        let mut question = Self {
            method: method.to_uppercase(),
            host: uri.host().unwrap_or_default().to_lowercase(),
            path: value::path(uri.path()).ok_or_else(|| format!("`{url}` has no path"))?,
            query: uri.query().map(query_pairs).unwrap_or_default(),
            ..Self::default()
        };
        for header in headers {
            let (name, content) =
                header.split_once(':').ok_or_else(|| format!("`{header}` is not a header; write `Name: value`"))?;
            question.headers.push((name.trim().to_owned(), content.trim().to_owned()));
        }
        if let Some((_, host)) = question.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")) {
            question.host = host.split(':').next().unwrap_or_default().to_lowercase();
        }
        Ok(question)
    }

    fn header(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn query_pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// `%41` and `+` replaced; a broken escape stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (byte, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(escaped)) => {
                bytes.push(escaped);
                rest = after.get(2..).unwrap_or_default();
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Asks every route in turn.
#[must_use]
pub fn explain(config: &Config, question: &Question) -> Explanation {
    let mut routes = Vec::new();
    for route in &config.routes {
        let miss = miss(route, question);
        let taken = miss.is_none();
        routes.push((route.path.to_string(), miss));
        if taken {
            return Explanation { routes, applies: applies(config, route) };
        }
    }
    Explanation { routes, applies: Vec::new() }
}

/// Why a route does not take the request.
fn miss(route: &Route, question: &Question) -> Option<String> {
    if !route.channel.served_at_ingress() {
        return Some("no request from outside reaches this route".to_owned());
    }
    if !is_below(&question.path, &route.path) {
        return Some(format!("{} does not lie below it", question.path));
    }
    unmet(&route.matches, question)
}

/// The first condition that does not hold.
fn unmet(matches: &Match, question: &Question) -> Option<String> {
    let Match { methods, hosts, headers, header_exists, query, query_exists, remote_ips, client_certs } = matches;
    let method_fits = if methods.is_empty() { question.method == "POST" } else { methods.contains(&question.method) };
    if !method_fits {
        let wanted = if methods.is_empty() { "POST".to_owned() } else { methods.join(" or ") };
        return Some(format!("its method must be {wanted}, not {}", question.method));
    }
    if !hosts.is_empty() && !hosts.iter().any(|pattern| host_fits(pattern, &question.host)) {
        let wanted = hosts.iter().map(|host| host.0.as_str()).collect::<Vec<_>>().join(" or ");
        let host = if question.host.is_empty() { "unknown" } else { &question.host };
        return Some(format!("its host must be {wanted}, and the host is {host}"));
    }
    if let Some((name, wanted)) =
        headers.iter().find(|(name, wanted)| !question.header(name).any(|value| value == wanted))
    {
        return Some(format!("header {name} must be `{wanted}`"));
    }
    if let Some(name) = header_exists.iter().find(|name| question.header(name).next().is_none()) {
        return Some(format!("header {name} is missing"));
    }
    if let Some((name, wanted)) = query.iter().find(|pair| !question.query.contains(pair)) {
        return Some(format!("query parameter {name} must be `{wanted}`"));
    }
    if let Some(name) = query_exists.iter().find(|name| !question.query.iter().any(|(known, _)| known == *name)) {
        return Some(format!("query parameter {name} is missing"));
    }
    let inside = |remote: IpAddr| {
        remote_ips.iter().any(|&(address, bits)| {
            ipnet::IpNet::new(address, bits).is_ok_and(|network| network.contains(&remote.to_canonical()))
        })
    };
    if !remote_ips.is_empty() && !question.remote.is_some_and(inside) {
        let peer = question.remote.map_or_else(|| "not known here".to_owned(), |remote| remote.to_string());
        return Some(format!("the peer must be in one of its networks, and it is {peer}"));
    }
    if let Some(rule) = client_certs.first() {
        let (kind, value) = (rule.kind().as_str(), rule.value());
        return Some(format!("the client certificate must say {kind} {value}, and none is known here"));
    }
    None
}

fn host_fits(pattern: &HostPattern, host: &str) -> bool {
    match pattern.0.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => pattern.0 == "*" || pattern.0 == host,
    }
}

fn applies(config: &Config, route: &Route) -> Vec<String> {
    let mut lines = Vec::new();
    let limit =
        route.rate_limit.map(|limit| (limit, "of the route")).or(config.ingress.rate_limit.map(|l| (l, "of ingress")));
    if let Some((limit, whose)) = limit {
        lines.push(format!("rate limit {whose}: {} a second, {} at once", limit.rps, limit.burst));
    }
    let of_client = route.client_limit.map(|limit| (limit, "on the route"));
    if let Some((limit, where_)) = of_client.or(config.ingress.client_limit.map(|limit| (limit, "over all routes"))) {
        lines.push(format!("each client {where_}: {} a second, {} at once", limit.rps, limit.burst));
    }
    lines.push(format!("body up to {} bytes, headers up to {} bytes", route.max_body, route.max_headers));
    lines.push(match &route.auth {
        IngressAuth::None => "no authentication".to_owned(),
        IngressAuth::Basic(users) => format!("basic authentication, {} user(s)", users.len()),
        IngressAuth::Forward(forward) => format!("authentication asks {}", forward.url),
        IngressAuth::Hmac(hmac) => match &hmac.scheme {
            HmacScheme::Canonical { headers, tolerance } => format!(
                "HMAC in {}, time in {} within {}, nonce in {}",
                headers.signature,
                headers.timestamp,
                duration_text(*tolerance),
                headers.nonce
            ),
            HmacScheme::Github => "HMAC as GitHub signs".to_owned(),
            HmacScheme::Gitea => "HMAC as Gitea signs".to_owned(),
            HmacScheme::Stripe => "HMAC as Stripe signs".to_owned(),
            HmacScheme::Cituro => "HMAC as Cituro signs".to_owned(),
        },
    });
    match &route.work {
        RouteWork::Pull(pull) => {
            let prefix = config.pull_api.as_ref().map_or("", |api| api.prefix.as_str());
            lines.push(format!("queued for workers at {prefix}{}", pull.path));
            if let Some(delays) = pull.redelivery.backoff {
                let (base, cap) = (duration_text(delays.base), duration_text(delays.cap));
                lines.push(format!(
                    "if not finished, ready again after {base}, then twice as long each time, up to {cap}"
                ));
            }
            if let Some(most) = pull.redelivery.max_receives {
                lines.push(format!("dead after {most} receive(s) without an ack"));
            }
        }
        RouteWork::Deliver { targets, .. } => lines.extend(targets.iter().map(|target| match target.transport {
            Transport::Http(_) => format!("queued and pushed to {}", target.target),
            Transport::Exec(_) => format!("queued and given to the command {}", target.target),
        })),
    }
    lines
}

/// The explanation for people.
impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (path, miss) in &self.routes {
            match miss {
                Some(why) => writeln!(f, "{path}: no, {why}")?,
                None => writeln!(f, "{path}: yes")?,
            }
        }
        if self.applies.is_empty() {
            writeln!(f, "no route takes the request: 404")?;
        }
        self.applies.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FixedEnvironment, compile};

    fn explained(method: &str, url: &str, headers: &[&str]) -> String {
        let text = r#"pull_api { prefix /pull auth token raw:t }
            outbound /jobs { deliver https://h/ { } }
            /hooks/github {
              match { host *.example.com header X-Event push query env prod }
              rate_limit { rps 5 }
              auth hmac { provider github secret raw:s }
              pull { path /github max_receives 5 redelivery_backoff exponential base 2s }
            }
            /hooks { match { method PUT } deliver https://h/x { } }"#;
        let config = compile(text.as_bytes(), &FixedEnvironment::default()).config.expect("valid");
        let headers: Vec<_> = headers.iter().map(|header| (*header).to_owned()).collect();
        explain(&config, &Question::new(method, url, &headers).unwrap()).to_string()
    }

    #[test]
    fn the_first_route_that_fits_is_named_with_what_applies() {
        assert_eq!(
            explained("post", "http://a.example.com:80/hooks/github/x?env=prod", &["x-event: push"]),
            "/jobs: no, no request from outside reaches this route\n/hooks/github: yes\n  \
             rate limit of the route: 5 a second, 5 at once\n  body up to 2097152 bytes, headers up to 65536 bytes\n  \
             HMAC as GitHub signs\n  queued for workers at /pull/github\n  \
             if not finished, ready again after 2s, then twice as long each time, up to 5m\n  \
             dead after 5 receive(s) without an ack\n"
        );
    }

    #[test]
    fn every_miss_says_why() {
        let second = |method, url, headers: &[&str]| explained(method, url, headers).lines().nth(1).unwrap().to_owned();
        let url = "http://a.example.com/hooks/github?env=prod";
        assert_eq!(second("POST", "/other", &[]), "/hooks/github: no, /other does not lie below it");
        assert_eq!(second("GET", url, &[]), "/hooks/github: no, its method must be POST, not GET");
        assert_eq!(
            second("POST", "http://example.com/hooks/github", &[]),
            "/hooks/github: no, its host must be *.example.com, and the host is example.com"
        );
        assert_eq!(second("POST", url, &[]), "/hooks/github: no, header X-Event must be `push`");
        assert_eq!(
            second("POST", "http://a.example.com/hooks/github?env=%74est", &["X-Event: push"]),
            "/hooks/github: no, query parameter env must be `prod`"
        );
        assert!(explained("POST", "/other", &[]).ends_with("no route takes the request: 404\n"));
        assert!(Question::new("GET", "http://h/", &["bad".to_owned()]).is_err());
    }
}
