//! Puts a route under an application and endpoint name, or takes it from there: in the text of a file, and nowhere else in it.
//!
//! Pure. Called by `server` when the admin API changes an endpoint; whether the result means what it should is checked there, by
//! compiling it.

use hookaido_model::config::Managed;
use hookaido_syntax::{Block, EditError, Item, Span, Tree, statements};

use crate::Context;
use crate::layout::{BlockLayout, opened};
use crate::value::{self, trim};

/// The directives of the two labels, in the order in which they are written.
const LABELS: [&str; 2] = ["application", "endpoint_name"];

/// Why a file cannot be edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelabelError {
    /// No route has this path.
    #[error("the file has no route {0}")]
    NoRoute(String),
    /// The tree refuses the edit.
    #[error(transparent)]
    Edit(#[from] EditError),
}

/// The file with the labels of the route at `path` exchanged; without `labels`, with none. Comments and everything else stay.
///
/// # Errors
/// There is no such route.
pub fn relabel(tree: &Tree, path: &str, labels: Option<&Managed>) -> Result<Tree, RelabelError> {
    let mut tree = tree.clone();
    while let Some(span) = label(route(&tree, path)?) {
        tree = tree.remove(with_blanks_behind(tree.text(), span))?.0;
    }
    if let Some(Managed { application, endpoint }) = labels {
        let [first, second] = LABELS;
        let written = [format!("{first} \"{application}\""), format!("{second} \"{endpoint}\"")];
        let (place, text) = insertion(tree.text(), route(&tree, path)?, &written);
        tree = tree.replace(place, &text)?.0;
    }
    Ok(tree)
}

fn route<'t>(tree: &'t Tree, path: &str) -> Result<&'t Block, RelabelError> {
    find(tree.items(), Context::Top, path).ok_or_else(|| RelabelError::NoRoute(path.to_owned()))
}

/// The block of a route, which may stand in a channel.
fn find<'t>(items: &'t [Item], context: Context, path: &str) -> Option<&'t Block> {
    statements(items, &[], &BlockLayout(context)).iter().find_map(|statement| {
        let block = statement.block()?;
        match opened(context, statement.items)? {
            // `/path { ... }` or `inbound /path { ... }`
            Context::Route => {
                let written = value::path(trim(&statement.words().last()?.value))?;
                (written == path).then_some(block)
            }
            Context::Channel => find(&block.items, Context::Channel, path),
            _ => None,
        }
    })
}

/// The first label of a route.
fn label(route: &Block) -> Option<Span> {
    let statements = statements(&route.items, &[], &BlockLayout(Context::Route));
    let is_label = |name: &hookaido_syntax::Word| LABELS.iter().any(|label| name.is(label));
    statements.iter().find(|statement| statement.name().is_some_and(is_label)).map(|statement| statement.span())
}

/// Where something else stands before it on its line, the blanks behind it go, too.
fn with_blanks_behind(text: &str, span: Span) -> Span {
    let behind = text.get(span.end..).unwrap_or_default();
    Span::new(span.start, span.end + behind.len() - behind.trim_start_matches([' ', '\t']).len())
}

/// Where new statements of a route are written, and how: on lines of their own at its top, or behind its brace where more follows it.
fn insertion(text: &str, route: &Block, statements: &[String]) -> (Span, String) {
    let behind = text.get(route.open.end..).unwrap_or_default();
    let line = behind.split(['\n', '\r']).next().unwrap_or_default();
    let inside = line.trim_start_matches([' ', '\t']);
    if !(inside.is_empty() || inside.starts_with('#')) {
        let blank = if inside.len() == line.len() { " " } else { "" };
        return (Span::at(route.open.end), format!(" {}{blank}", statements.join(" ")));
    }
    let line_end = behind.get(line.len()..).unwrap_or_default();
    let newline = if line_end.starts_with("\r\n") { "\r\n" } else { "\n" };
    let at = route.open.end + line.len() + if line_end.is_empty() { 0 } else { newline.len() };
    let indent = indentation(text, route);
    (Span::at(at), statements.iter().map(|statement| format!("{indent}{statement}{newline}")).collect())
}

/// How far the first statement of a route is set in, or else two blanks more than the route.
fn indentation(text: &str, route: &Block) -> String {
    let before = |at: usize| {
        let line = text.get(..at).unwrap_or_default();
        line.rsplit(['\n', '\r']).next().unwrap_or_default()
    };
    let blank = |line: &str| line.chars().all(|c| c == ' ' || c == '\t');
    let first = route.items.first().map(|item| before(item.span().start)).filter(|line| blank(line));
    first.map_or_else(
        || {
            let line = before(route.open.start);
            let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
            format!("{}  ", line.get(..blanks).unwrap_or_default())
        },
        str::to_owned,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, path: &str, labels: Option<(&str, &str)>) -> String {
        let (tree, _) = hookaido_syntax::parse(text.as_bytes());
        let labels = labels
            .map(|(application, endpoint)| Managed { application: application.into(), endpoint: endpoint.into() });
        String::from_utf8(relabel(&tree, path, labels.as_ref()).unwrap().to_source()).unwrap()
    }

    #[test]
    fn labels_are_put_on_where_the_author_would_put_them() {
        for (before, after) in [
            (
                "# above\n/a {\n    # inside\n    pull { path /a } # behind\n}\n",
                "# above\n/a {\n    application \"s\"\n    endpoint_name \"p\"\n    # inside\n    pull { path /a } # behind\n}\n",
            ),
            ("/a { pull { path /a } }", "/a { application \"s\" endpoint_name \"p\" pull { path /a } }"),
            ("/a{pull{path /a}}", "/a{ application \"s\" endpoint_name \"p\" pull{path /a}}"),
            ("/a {}", "/a { application \"s\" endpoint_name \"p\" }"),
            ("\t/a {\r\n}\r\n", "\t/a {\r\n\t  application \"s\"\r\n\t  endpoint_name \"p\"\r\n}\r\n"),
            (
                "inbound {\n  \"/a/\" { # note {\n  pull { path /a } }\n}",
                "inbound {\n  \"/a/\" { # note {\n  application \"s\"\n  endpoint_name \"p\"\n  pull { path /a } }\n}",
            ),
            (
                "internal /b { pull { path /b } } internal /a { pull { path /a } }",
                "internal /b { pull { path /b } } internal /a { application \"s\" endpoint_name \"p\" pull { path /a } }",
            ),
        ] {
            assert_eq!(edited(before, "/a", Some(("s", "p"))), after);
            // and taken off again
            let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace("{ ", "{");
            assert_eq!(plain(&edited(after, "/a", None)), plain(before));
        }
    }

    #[test]
    fn labels_are_taken_off_with_their_lines_and_nothing_else() {
        for (before, after) in [
            (
                "/a {\n  # note\n  application \"s\"\n  endpoint_name p # mine\n\n  pull { path /a }\n}\n",
                "/a {\n  # note\n  # mine\n\n  pull { path /a }\n}\n",
            ),
            ("/a { endpoint_name p pull { path /a } application s }", "/a { pull { path /a } }"),
            ("/a { application\n s endpoint_name\n p\n pull { path /a } }", "/a { \n pull { path /a } }"),
            ("/a { pull { path /a } }", "/a { pull { path /a } }"),
        ] {
            assert_eq!(edited(before, "/a", None), after);
        }
        let both = "/a { application s endpoint_name p } /b { application t endpoint_name q }";
        assert_eq!(edited(both, "/b", None), "/a { application s endpoint_name p } /b { }");
        assert_eq!(
            edited(both, "/a", Some(("x", "y"))),
            "/a { application \"x\" endpoint_name \"y\" } /b { application t endpoint_name q }"
        );
    }

    #[test]
    fn bytes_that_are_no_utf_8_stay_and_unknown_routes_are_errors() {
        let (tree, _) = hookaido_syntax::parse(b"# \xff\n/a { pull { path /a } }");
        let labels = Managed { application: "s".into(), endpoint: "p".into() };
        let edited = relabel(&tree, "/a", Some(&labels)).unwrap().to_source();
        assert!(edited.starts_with(b"# \xff\n/a { application"));
        for path in ["/b", "/a/", "pull"] {
            assert_eq!(relabel(&tree, path, None), Err(RelabelError::NoRoute(path.to_owned())));
        }
    }
}
