//! Parameters of a URL, read as a form; the first of several with one name counts.

use std::sync::Arc;

use hookaido_model::UnixMillis;
use hookaido_model::config::Managed;
use percent_encoding::percent_decode_str;

use crate::Table;
use crate::error::{Fault, Refusal};

/// Most entries of a list.
pub(crate) const MAX_LIMIT: u32 = 1000;
/// Entries of a list when nobody says how many.
pub(crate) const DEFAULT_LIMIT: u32 = 100;

/// The parameters.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Pairs that are not well-formed are left out.
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !pair.contains(';'));
        let pairs = pairs.filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        });
        Self(pairs.collect())
    }

    /// The value without blanks around it; `None` when there is nothing else.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    pub(crate) fn limit(&self) -> Result<u32, Refusal> {
        let Some(text) = self.get("limit") else { return Ok(DEFAULT_LIMIT) };
        match text.parse::<i64>() {
            Ok(limit) if limit > 0 => Ok(u32::try_from(limit).unwrap_or(MAX_LIMIT).min(MAX_LIMIT)),
            _ => Err(Fault::Query.because("`limit` takes a whole number from 1 on")),
        }
    }

    pub(crate) fn time(&self, name: &'static str) -> Result<Option<UnixMillis>, Refusal> {
        let time = self.get(name).map(UnixMillis::parse_rfc3339).transpose();
        time.map_err(|error| Fault::Query.because(format!("`{name}`: {error}")))
    }

    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, Refusal> {
        let Some(text) = self.get(name) else { return Ok(false) };
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(Fault::Query.because(format!("`{name}` takes true or false"))),
        }
    }

    /// A parameter that names one of a set of words, in any letter case.
    pub(crate) fn word<T: std::str::FromStr>(&self, name: &'static str, words: &str) -> Result<Option<T>, Refusal> {
        let word = self.get(name).map(|text| text.to_ascii_lowercase().parse()).transpose();
        word.map_err(|_error| Fault::Query.because(format!("`{name}` takes one of {words}")))
    }

    pub(crate) fn route(&self) -> Result<Option<Arc<str>>, Refusal> {
        match self.get("route") {
            Some(route) if !route.starts_with('/') => Err(Fault::Query.because("`route` starts with a slash")),
            route => Ok(route.map(Arc::from)),
        }
    }

    pub(crate) fn target(&self) -> Option<Arc<str>> {
        self.get("target").map(Arc::from)
    }

    /// The route that `route`, or `application` and `endpoint_name`, select.
    pub(crate) fn selected(&self, table: &Table) -> Result<Option<Arc<str>>, Refusal> {
        let labels = selector(self.get("application"), self.get("endpoint_name"), self.get("route").is_some())?;
        match labels {
            None => self.route(),
            Some(labels) => Ok(Some(Arc::clone(&endpoint(table, &labels)?.path))),
        }
    }
}

/// Labels of a selector; `None` when neither is given.
pub(crate) fn selector(
    application: Option<&str>,
    endpoint: Option<&str>,
    route: bool,
) -> Result<Option<Managed>, Refusal> {
    // What is written must be a label, whether or not it goes together.
    for (name, text) in [("application", application), ("endpoint_name", endpoint)] {
        text.map_or(Ok(()), |text| label(name, text))?;
    }
    match (application, endpoint) {
        (None, None) => Ok(None),
        (Some(application), Some(endpoint)) if !route => labels(application, endpoint).map(Some),
        (Some(_), Some(_)) => {
            Err(Fault::SelectorMismatch.because("give `route`, or `application` and `endpoint_name`"))
        }
        _ => Err(Fault::SelectorMismatch.because("`application` and `endpoint_name` go together")),
    }
}

/// The route with these labels.
pub(crate) fn endpoint<'a>(table: &'a Table, labels: &Managed) -> Result<&'a crate::table::RouteEntry, Refusal> {
    table
        .endpoint(labels)
        .ok_or_else(|| Fault::ManagedEndpointNotFound.because("no route has this application and endpoint name"))
}

/// Checks the form of both labels.
pub(crate) fn labels(application: &str, endpoint: &str) -> Result<Managed, Refusal> {
    label("application", application)?;
    label("endpoint_name", endpoint)?;
    Ok(Managed { application: application.to_owned(), endpoint: endpoint.to_owned() })
}

/// A letter or digit, then at most 127 letters, digits, dots, underscores, colons or hyphens.
pub(crate) fn label(name: &'static str, text: &str) -> Result<(), Refusal> {
    let rest = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
    let good =
        text.len() <= 128 && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric()) && text.bytes().all(rest);
    let detail = "takes a letter or digit and at most 127 more letters, digits, dots, underscores, colons or hyphens";
    if good { Ok(()) } else { Err(Fault::Body.because(format!("`{name}` {detail}"))) }
}

/// Undoes `+` and `%XX`; `None` where an escape is broken.
fn decode(text: &str) -> Option<String> {
    if !text.contains(['%', '+']) {
        return Some(text.to_owned());
    }
    let mut after = text.split('%');
    after.next();
    let whole = |escape: &str| escape.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    if !after.all(whole) {
        return None;
    }
    Some(percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_counts_and_broken_pairs_do_not() {
        let query = Query::parse(Some("a=1&a=2&b=%zz&c=%20x+&d&%65=f&g;h=1"));
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.get("b"), None);
        assert_eq!(query.get("c"), Some("x"));
        assert_eq!(query.get("d"), None);
        assert_eq!(query.get("e"), Some("f"));
        assert_eq!(query.get("h"), None);
    }

    #[test]
    fn limits_are_whole_numbers_from_one_on() {
        for (text, want) in [("limit=5000", 1000), ("limit=+3", 3), ("limit=%202%20", 2), ("limit=", 100), ("", 100)] {
            assert_eq!(Query::parse(Some(text)).limit(), Ok(want), "{text}");
        }
        for text in ["limit=0", "limit=-1", "limit=x", "limit=1.5", "limit=99999999999999999999"] {
            assert!(Query::parse(Some(text)).limit().is_err(), "{text}");
        }
    }

    #[test]
    fn labels_have_a_form() {
        for (text, good) in [("a", true), ("A.b_c:d-9", true), ("", false), ("-a", false), ("a b", false), ("ä", false)]
        {
            assert_eq!(label("application", text).is_ok(), good, "{text}");
        }
        assert!(label("application", &"a".repeat(128)).is_ok());
        assert!(label("application", &"a".repeat(129)).is_err());
    }
}
