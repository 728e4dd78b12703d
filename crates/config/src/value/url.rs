//! URLs, as far as the language constrains them: absolute, `http` or `https`, with a host.
//!
//! Follows what the reference accepts rather than RFC 3986: most characters may stand unescaped. `dispatch` turns the text into a request.

/// Why text is no such URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UrlProblem {
    /// It is no URL at all.
    Invalid,
    /// Its scheme is missing or another.
    Scheme,
    /// It names no host.
    Host,
}

/// Checks a URL; its text is kept, with the scheme in lower case.
pub(crate) fn http_url(text: &str) -> Result<String, UrlProblem> {
    if text.chars().any(|c| c < ' ' || c == '\u{7f}') {
        return Err(UrlProblem::Invalid);
    }
    let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (scheme, rest) = scheme(url)?;
    let (before_query, _) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match before_query.strip_prefix("//") {
        Some(after) => after.split_once('/').map_or((after, ""), |(authority, path)| (authority, path)),
        None => ("", before_query),
    };
    let valid = escapes_are_valid(path, |_| true)
        && escapes_are_valid(fragment, |_| true)
        && authority_is_valid(authority)
        && (!scheme.is_empty() || first_segment_has_no_colon(before_query));
    if !valid {
        return Err(UrlProblem::Invalid);
    }
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return Err(UrlProblem::Scheme);
    }
    if authority.is_empty() {
        return Err(UrlProblem::Host);
    }
    Ok(format!("{scheme}{}", text.get(scheme.len()..).unwrap_or_default()))
}

/// Splits off the scheme; empty if there is none.
fn scheme(url: &str) -> Result<(&str, &str), UrlProblem> {
    let Some(colon) = url.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.')) else {
        return Ok(("", url));
    };
    if !url.get(colon..).is_some_and(|rest| rest.starts_with(':')) {
        return Ok(("", url));
    }
    let (scheme, rest) = url.split_at(colon);
    match scheme.bytes().next() {
        Some(first) if first.is_ascii_alphabetic() => Ok((scheme, rest.strip_prefix(':').unwrap_or(rest))),
        // A digit or sign in front ends the search for a scheme, and then its colon is one in the first segment.
        _ => Err(UrlProblem::Invalid),
    }
}

fn first_segment_has_no_colon(url: &str) -> bool {
    url.starts_with('/') || !url.split('/').next().unwrap_or_default().contains(':')
}

fn authority_is_valid(authority: &str) -> bool {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (user, host),
        None => ("", authority),
    };
    let user_char = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    user.chars().all(user_char) && escapes_are_valid(user, |_| true) && host_is_valid(host)
}

fn host_is_valid(host: &str) -> bool {
    let (name, port) = if host.starts_with('[') {
        let Some(close) = host.rfind(']') else { return false };
        host.split_at(close + 1)
    } else {
        match host.rfind(':') {
            Some(colon) => host.split_at(colon),
            None => (host, ""),
        }
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port,
        None if port.is_empty() => "",
        None => return false,
    };
    let name_char = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:[]<>\"%".contains(c);
    // Only bytes that are not ASCII may be escaped in a host.
    port.bytes().all(|b| b.is_ascii_digit())
        && name.chars().all(name_char)
        && escapes_are_valid(name, |byte| byte >= 0x80)
}

/// Whether every `%` starts an escape of a byte that is allowed.
fn escapes_are_valid(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    text.split('%').skip(1).all(|after| {
        let byte = after.get(..2).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()).is_some_and(&allowed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_as_the_reference_takes_them() {
        for text in [
            "https://h/x",
            "http://u:p@h/",
            "https://h:99999/",
            "https://h:/",
            "https://:80/",
            "https://[::1]/x",
            "https://h/a b",
            "https://é.example/",
            "https://h<x/",
            "https://h?",
            "https://h/x?y=%zz",
        ] {
            assert_eq!(http_url(text).as_deref(), Ok(text), "{text}");
        }
        assert_eq!(http_url("HTTPS://H/").as_deref(), Ok("https://H/"));
        for (text, want) in [
            ("https://", UrlProblem::Host),
            ("https:///x", UrlProblem::Host),
            ("https:/h/x", UrlProblem::Host),
            ("https:h", UrlProblem::Host),
            ("//h/x", UrlProblem::Scheme),
            ("h/x", UrlProblem::Scheme),
            ("", UrlProblem::Scheme),
            ("ftp://h/", UrlProblem::Scheme),
            ("https?x", UrlProblem::Scheme),
            (":foo", UrlProblem::Invalid),
            ("1http://h/", UrlProblem::Invalid),
            ("https://h/%zz", UrlProblem::Invalid),
            ("https://h:abc/", UrlProblem::Invalid),
            ("https://h h/", UrlProblem::Invalid),
            ("https://[::1/", UrlProblem::Invalid),
            ("https://%41/", UrlProblem::Invalid),
            ("https://h\\x/", UrlProblem::Invalid),
            ("https://h/\t", UrlProblem::Invalid),
        ] {
            assert_eq!(http_url(text), Err(want), "{text}");
        }
    }
}
