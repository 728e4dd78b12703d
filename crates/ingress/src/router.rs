//! Which route takes a request: the first of the file whose path and conditions do.

use hookaido_model::config::Match;
use http::{HeaderValue, Method};
use smallvec::SmallVec;

use crate::BuildError;
use crate::error::Reject;
use crate::matcher::{Matcher, Seen};
use crate::paths::PathIndex;

/// Paths and conditions of all routes, known by their position.
#[derive(Debug)]
pub(crate) struct Router {
    paths: PathIndex,
    matchers: Vec<Matcher>,
}

impl Router {
    /// Routes in the order of the file.
    pub(crate) fn new<'a>(routes: impl Iterator<Item = (&'a str, &'a Match)> + Clone) -> Result<Self, BuildError> {
        let matchers = routes.clone().map(|(_, conditions)| Matcher::new(conditions)).collect::<Result<_, _>>()?;
        Ok(Self { paths: PathIndex::new(routes.map(|(path, _)| path).enumerate()), matchers })
    }

    /// The first route that takes the request. When only the method stands against it, the answer names the methods of all routes of
    /// which that is true.
    pub(crate) fn find(&self, path: &str, method: &Method, seen: Seen<'_>) -> Result<usize, Reject> {
        let mut allowed: SmallVec<[&Method; 4]> = SmallVec::new();
        for index in self.paths.find(path) {
            let Some(matcher) = self.matchers.get(*index).filter(|matcher| matcher.takes(seen)) else { continue };
            if matcher.methods().contains(method) {
                return Ok(*index);
            }
            for method in matcher.methods() {
                if !allowed.contains(&method) {
                    allowed.push(method);
                }
            }
        }
        if allowed.is_empty() {
            return Err(Reject::NotFound);
        }
        let allow = allowed.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ");
        Err(Reject::Method(HeaderValue::from_str(&allow).unwrap_or(HeaderValue::from_static(""))))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use http::{HeaderMap, HeaderName, Uri};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn conditions(methods: &[&str], header: Option<&str>) -> Match {
        Match {
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            headers: header.map(|value| ("X-Kind".to_owned(), value.to_owned())).into_iter().collect(),
            ..Match::default()
        }
    }

    fn find(routes: &[(String, Match)], path: &str, method: &str, header: Option<&str>) -> Result<usize, String> {
        let router = Router::new(routes.iter().map(|(path, conditions)| (path.as_str(), conditions))).unwrap();
        let uri: Uri = path.parse().unwrap();
        let value = header.map(|value| HeaderValue::from_str(value).unwrap());
        let headers: HeaderMap = value.map(|value| (HeaderName::from_static("x-kind"), value)).into_iter().collect();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        router.find(path, &method, Seen { uri: &uri, headers: &headers, ip: PEER, identity: None }).map_err(|reject| {
            match reject {
                Reject::Method(allow) => allow.to_str().unwrap().to_owned(),
                _ => "not found".to_owned(),
            }
        })
    }

    /// The same by looking at every route: a path takes itself and what goes on with a slash.
    fn scan(routes: &[(String, Match)], path: &str, method: &str, header: Option<&str>) -> Result<usize, String> {
        let mut allowed: Vec<&str> = Vec::new();
        for (index, (prefix, conditions)) in routes.iter().enumerate() {
            let below = path.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            let wanted = conditions.headers.first().map(|(_, value)| value.as_str());
            if !(below || prefix == "/") || wanted.is_some_and(|wanted| header != Some(wanted)) {
                continue;
            }
            let methods: Vec<&str> = match conditions.methods.as_slice() {
                [] => vec!["POST"],
                methods => methods.iter().map(String::as_str).collect(),
            };
            if methods.contains(&method) {
                return Ok(index);
            }
            for method in methods {
                if !allowed.contains(&method) {
                    allowed.push(method);
                }
            }
        }
        Err(if allowed.is_empty() { "not found".to_owned() } else { allowed.join(", ") })
    }

    fn path() -> impl Strategy<Value = String> {
        vec(select(&["a", "b", "ab", "a-b"][..]), 0..5).prop_map(|segments| format!("/{}", segments.join("/")))
    }

    fn route() -> impl Strategy<Value = (String, Match)> {
        let methods = vec(select(&["POST", "PUT", "GET"][..]), 0..3);
        let header = proptest::option::of(select(&["push", "pull"][..]));
        (path(), methods, header).prop_map(|(path, methods, header)| (path, conditions(&methods, header)))
    }

    proptest! {
        #[test]
        fn the_compiled_table_answers_like_a_scan_of_all_routes(
            mut routes in vec(route(), 0..20),
            requests in vec((path(), select(&["POST", "PUT", "GET"][..]), proptest::option::of(select(&["push", "pull"][..]))), 1..20),
        ) {
            let mut seen = std::collections::HashSet::new();
            routes.retain(|(path, _)| seen.insert(path.clone()));
            for (path, method, header) in requests {
                prop_assert_eq!(find(&routes, &path, method, header), scan(&routes, &path, method, header), "{} {}", method, path);
            }
        }
    }

    #[test]
    fn a_wrong_method_is_told_only_where_everything_else_holds() {
        let routes = vec![
            ("/m".to_owned(), conditions(&["PUT"], Some("push"))),
            ("/m/x".to_owned(), conditions(&["DELETE"], None)),
            ("/z".to_owned(), conditions(&[], None)),
        ];
        for (path, method, header, want) in [
            ("/m", "POST", Some("push"), Err("PUT")),
            ("/m", "POST", None, Err("not found")),
            ("/m/x", "POST", Some("push"), Err("PUT, DELETE")),
            ("/m/x", "POST", None, Err("DELETE")),
            ("/m/x", "DELETE", Some("push"), Ok(1)),
            ("/z", "post", None, Err("POST")),
            ("/z", "POST", None, Ok(2)),
            ("/y", "OPTIONS", None, Err("not found")),
        ] {
            assert_eq!(find(&routes, path, method, header), want.map_err(str::to_owned), "{method} {path}");
        }
    }
}
