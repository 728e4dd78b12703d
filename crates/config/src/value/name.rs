//! Names: headers, labels, variables, paths, hosts.

use hookaido_model::config::{EgressRule, HostPattern};

/// A header name or method: RFC 9110 `token`.
pub(crate) fn is_header_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// A header name as HTTP/1 writes it by habit (`Content-Type`); text that is no name stays as it is.
pub(crate) fn canonical_header(text: &str) -> String {
    if !is_header_name(text) {
        return text.to_owned();
    }
    let mut start = true;
    text.chars()
        .map(|c| {
            let c = if start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            start = c == '-';
            c
        })
        .collect()
}

/// The first character that may not stand in a header value, if any.
pub(crate) fn forbidden_in_header_value(text: &str) -> Option<char> {
    text.chars().find(|&c| c != '\t' && (c < ' ' || c == '\u{7f}'))
}

/// A label of the management model: 1 to 128 of `A-Z a-z 0-9 . _ : -`, the first a letter or digit.
pub(crate) fn is_label(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
}

/// The name of a variable: letters, digits and `_`, not starting with a digit.
pub(crate) fn is_variable_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A path from `/`, cleaned: no empty and no dotted segments, no slash at its end. `None` if it does not start with `/`.
pub(crate) fn path(text: &str) -> Option<String> {
    if !text.starts_with('/') {
        return None;
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    Some(format!("/{}", segments.join("/")))
}

/// A prefix: as a path, but `/` and nothing are the same.
pub(crate) fn prefix(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    path(text).map(|path| if path == "/" { String::new() } else { path })
}

/// A host of a matcher, or what is wrong with it.
pub(crate) fn host_pattern(text: &str) -> Result<HostPattern, &'static str> {
    const WILDCARD: &str = "with a wildcard must be `*` or `*.` and a domain";
    let text = text.to_lowercase();
    if text.contains("://") {
        return Err("must be a host, not a URL");
    }
    if text == "*" {
        return Ok(HostPattern(text));
    }
    let (wildcard, host) = match text.strip_prefix("*.") {
        Some(host) => (true, host),
        None => (false, text.as_str()),
    };
    if host.contains('*') {
        return Err(WILDCARD);
    }
    let host = without_port(host);
    match (wildcard, host) {
        (false, "") => Err("must name a host"),
        (true, host) => Ok(HostPattern(format!("*.{host}"))),
        (false, host) => Ok(HostPattern(host.to_owned())),
    }
}

/// The host of `host:port` or `[host]:port`.
fn without_port(text: &str) -> &str {
    if let Some((host, _)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return host;
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        _ => text,
    }
}

/// An entry of an egress list; `None` if it is neither host, address nor network.
pub(crate) fn egress_rule(text: &str) -> Option<EgressRule> {
    if let Some((address, bits)) = super::network(text) {
        return Some(EgressRule::Cidr(address, bits));
    }
    let name = text.to_lowercase();
    if name.contains("://") {
        return None;
    }
    if name == "*" {
        return Some(EgressRule::Host { name, subdomains: false });
    }
    let (subdomains, name) = match name.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, name.as_str()),
    };
    let name = without_port(name);
    (!name.is_empty() && !name.contains('*')).then(|| EgressRule::Host { name: name.to_owned(), subdomains })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        for (text, want) in
            [("/a/", "/a"), ("//a//b", "/a/b"), ("/a/../b", "/b"), ("/", "/"), ("/..", "/"), ("/a?x/", "/a?x")]
        {
            assert_eq!(path(text).as_deref(), Some(want), "{text}");
        }
        assert_eq!((path("a"), prefix("/"), prefix("")), (None, Some(String::new()), Some(String::new())));
    }

    #[test]
    fn hosts_lose_their_port() {
        let host = |text| host_pattern(text).map(|HostPattern(host)| host);
        assert_eq!(host("H:8080").as_deref(), Ok("h"));
        assert_eq!(host("*.Example.com").as_deref(), Ok("*.example.com"));
        assert_eq!(host("*").as_deref(), Ok("*"));
        for text in ["a*b", "*.*.com", "*:80", ":80", "http://x/"] {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_have_their_alphabets() {
        assert!(is_header_name("X-A") && !is_header_name("X A") && !is_header_name(""));
        assert!(is_label("a") && is_label("A.b_c:d-e") && !is_label("-a") && !is_label(&"a".repeat(129)));
        assert!(is_variable_name("_A1") && !is_variable_name("1A") && !is_variable_name("a-b"));
    }
}
