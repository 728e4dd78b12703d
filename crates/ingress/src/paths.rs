//! From a path to the routes that could take it, in order of the file.
//!
//! A tree by segments. Every node knows all routes whose path is a prefix of its own, so finding them costs one step for each segment of
//! the request that any route has, however many routes there are.

use std::collections::HashMap;
use std::sync::Arc;

/// Routes by path. Routes are known by their position in the file.
#[derive(Debug)]
pub(crate) struct PathIndex {
    /// The first is that of `/`.
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    children: HashMap<Box<str>, usize>,
    /// Routes at this path or above it, in order.
    routes: Arc<[usize]>,
}

impl PathIndex {
    /// Indexes paths by the numbers given with them.
    pub(crate) fn new<'a>(paths: impl IntoIterator<Item = (usize, &'a str)>) -> Self {
        let mut children: Vec<HashMap<Box<str>, usize>> = vec![HashMap::new()];
        let mut own: Vec<Vec<usize>> = vec![Vec::new()];
        for (route, path) in paths {
            let mut node = 0;
            for segment in segments(path) {
                let next = children.len();
                let Some(known) = children.get_mut(node) else { break };
                node = *known.entry(segment.into()).or_insert(next);
                if node == next {
                    children.push(HashMap::new());
                    own.push(Vec::new());
                }
            }
            if let Some(own) = own.get_mut(node) {
                own.push(route);
            }
        }
        Self::link(children, own)
    }

    /// Gives every node the routes of its ancestors. Parents come before their children in the lists.
    fn link(children: Vec<HashMap<Box<str>, usize>>, own: Vec<Vec<usize>>) -> Self {
        let mut inherited: Vec<Arc<[usize]>> = vec![Arc::from([]); children.len()];
        let mut nodes = Vec::with_capacity(children.len());
        for (index, (children, own)) in children.into_iter().zip(own).enumerate() {
            let mut routes = inherited.get(index).cloned().unwrap_or_default();
            if !own.is_empty() {
                let mut all = [&routes[..], &own[..]].concat();
                all.sort_unstable();
                routes = all.into();
            }
            for child in children.values() {
                if let Some(place) = inherited.get_mut(*child) {
                    *place = Arc::clone(&routes);
                }
            }
            nodes.push(Node { children, routes });
        }
        Self { nodes }
    }

    /// The routes that take a cleaned path, first match first.
    pub(crate) fn find(&self, path: &str) -> &[usize] {
        let Some(mut node) = self.nodes.first() else { return &[] };
        for segment in segments(path) {
            match node.children.get(segment).and_then(|child| self.nodes.get(*child)) {
                Some(child) => node = child,
                None => break,
            }
        }
        &node.routes
    }
}

/// The segments of a path; empty ones, from double or trailing slashes, do not count.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(paths: &[&str], request: &str) -> Vec<usize> {
        PathIndex::new(paths.iter().copied().enumerate()).find(request).to_vec()
    }

    #[test]
    fn a_path_takes_itself_and_everything_below_on_segment_boundaries() {
        let paths = ["/hooks/a"];
        for (request, taken) in [
            ("/hooks/a", true),
            ("/hooks/a/b/c", true),
            ("/hooks/a-foo", false),
            ("/hooks/ab", false),
            ("/hooks", false),
            ("/Hooks/a", false),
            ("/", false),
            ("/x/hooks/a", false),
        ] {
            assert_eq!(!find(&paths, request).is_empty(), taken, "{request}");
        }
    }

    #[test]
    fn candidates_come_in_the_order_of_the_file() {
        let paths = ["/a/b/c", "/", "/a", "/x", "/a/b", "/a/b/c/d/e"];
        assert_eq!(find(&paths, "/a/b/c/d"), [0, 1, 2, 4]);
        assert_eq!(find(&paths, "/a/b"), [1, 2, 4]);
        assert_eq!(find(&paths, "/q/a"), [1]);
        assert_eq!(find(&paths, "/a/b/c/d/e/f"), [0, 1, 2, 4, 5]);
        assert_eq!(find(&[], "/a"), [0usize; 0]);
    }

    #[test]
    fn trailing_and_double_slashes_of_a_route_do_not_count() {
        assert_eq!(find(&["/t/", "//u//v"], "/t"), [0]);
        assert_eq!(find(&["/t/", "//u//v"], "/u/v/w"), [1]);
    }
}
