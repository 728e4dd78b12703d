//! Statements whose words and block are not what their row asks for.

use hookaido_syntax::{Diagnostic, Span, Statement, Word};

use super::repeat::twice;
use super::unknown::{self, is_known};
use crate::Context;
use crate::layout::is_retry_option;
use crate::table::{Row, Shape};

/// A statement, looked at.
struct Looked<'s, 't> {
    context: Context,
    row: &'s Row,
    statement: &'s Statement<'t>,
    /// Words after the name.
    words: usize,
}

/// What is wrong with the shape of a statement.
pub(super) fn problem(context: Context, row: &Row, statement: &Statement<'_>) -> Option<Diagnostic> {
    let looked = Looked { context, row, statement, words: statement.args().count() };
    let Looked { words, .. } = looked;
    let first = statement.args().next();
    match row.shape {
        Shape::Words(count) if words < count => looked.needs(if count == 1 { "a value" } else { "a name and a value" }),
        Shape::List if words == 0 => looked.needs("a value"),
        Shape::Pairs if words == 0 || words % 2 == 1 => looked.needs("a name and a value"),
        Shape::Words(_) | Shape::List | Shape::Pairs => looked.takes_no_block(),
        Shape::Block if looked.name() == "@" => nameless(statement.span(), "write `@name { ... }`, without quotes"),
        Shape::Block => looked.needs_block(),
        Shape::WordOrBlock if words == 0 && statement.block().is_none() => looked.needs("a value or a block"),
        Shape::WordOrBlock if words == 1 => looked.takes_no_block(),
        Shape::WordOrBlock => None,
        Shape::NamedBlock if words == 0 => looked.needs("a name"),
        Shape::NamedBlock => looked.needs_block(),
        Shape::Channel if words == 0 && statement.block().is_none() => looked.needs("a route or a block of routes"),
        Shape::Channel => match first {
            Some(path) if !path.quoted && !path.value.starts_with('/') => Some(unknown::not_a_route(path)),
            _ => looked.needs_block(),
        },
        Shape::Matchers if words == 0 => looked.needs_block(),
        Shape::Matchers => match statement.args().find(|word| word.value == "@") {
            Some(word) => nameless(word.span, "write `match @name`"),
            None => looked.takes_no_block(),
        },
        Shape::TokenAuth => match first {
            Some(kind) if kind.is("token") && words == 2 => looked.takes_no_block(),
            Some(kind) if kind.is("token") => looked.needs("a secret reference"),
            kind => Some(unknown::form(looked.name(), kind, &["token"], statement)),
        },
        Shape::RouteAuth => looked.route_auth(first),
        Shape::Sign => looked.sign(first),
        Shape::Retry | Shape::Backoff => looked.retry(),
        Shape::Deliver if words == 0 => looked.needs("a URL, or `exec` and a command"),
        Shape::Deliver if words < 2 && first.is_some_and(|word| word.is("exec")) => looked.needs("a command"),
        Shape::Deliver => looked.needs_block(),
    }
}

impl<'t> Looked<'_, 't> {
    fn name(&self) -> &'t str {
        self.statement.name().map(|name| name.value.as_str()).unwrap_or_default()
    }

    fn needs(&self, what: &str) -> Option<Diagnostic> {
        let message = format!("`{}` needs {what}", self.name());
        Some(
            Diagnostic::error("E0102", end_of_words(self.statement), message)
                .with_label(format!("{what} expected after this"))
                .with_help(format!("write {}", form(self.row))),
        )
    }

    fn needs_block(&self) -> Option<Diagnostic> {
        if self.statement.block().is_some() {
            return None;
        }
        let message = format!("`{}` needs a block", self.name());
        Some(
            Diagnostic::error("E0104", end_of_words(self.statement), message)
                .with_label("`{` expected after this")
                .with_help(format!("write {}", form(self.row))),
        )
    }

    fn takes_no_block(&self) -> Option<Diagnostic> {
        let open = self.statement.block()?.open;
        // `max_body` with nothing behind it takes the `pull` of the next line as its value, and then there is `pull`'s block.
        let swallowed = self.statement.args().last().filter(|word| !word.quoted && is_known(self.context, &word.value));
        if let (Some(word), Some(name)) = (swallowed, self.statement.name()) {
            let text = format!("`{}` was taken as its value", word.value);
            let message = format!("`{}` needs a value", self.name());
            return Some(
                Diagnostic::error("E0102", name.span, message)
                    .with_related(word.span, text)
                    .with_help(format!("write {}", form(self.row))),
            );
        }
        Some(
            Diagnostic::error("E0103", open, format!("`{}` takes no block here", self.name()))
                .with_help(format!("write {}", form(self.row))),
        )
    }

    fn route_auth(&self, kind: Option<&Word>) -> Option<Diagnostic> {
        let (words, second) = (self.words, self.statement.args().nth(1));
        match kind {
            Some(kind) if kind.is("basic") && words < 3 => self.needs("a user and a password"),
            Some(kind) if kind.is("basic") => self.takes_no_block(),
            Some(kind) if kind.is("forward") && words < 2 => self.needs("a URL"),
            Some(kind) if kind.is("forward") => None,
            Some(kind) if kind.is("hmac") => match second {
                None if self.statement.block().is_none() => self.needs("a secret reference or a block"),
                Some(word) if word.is("secret_ref") && words < 3 => self.needs("the id of a secret"),
                _ => None,
            },
            kind => Some(unknown::form("auth", kind, &["hmac", "basic", "forward"], self.statement)),
        }
    }

    fn sign(&self, kind: Option<&Word>) -> Option<Diagnostic> {
        const KINDS: [&str; 4] = ["hmac", "signature_header", "timestamp_header", "secret_selection"];
        match kind {
            Some(kind) if KINDS.into_iter().any(|known| kind.is(known)) => {
                let by_id = kind.is("hmac") && self.statement.args().nth(1).is_some_and(|word| word.is("secret_ref"));
                if self.words < 2 + usize::from(by_id) { self.needs("a value") } else { self.takes_no_block() }
            }
            kind => Some(unknown::form("sign", kind, &KINDS, self.statement)),
        }
    }

    fn retry(&self) -> Option<Diagnostic> {
        if self.words == 0 {
            return self.needs("a kind");
        }
        let options: Vec<_> = self.statement.args().skip(1).collect();
        for (at, pair) in options.chunks(2).enumerate() {
            let [option, ..] = pair else { continue };
            if pair.len() < 2 {
                let message = format!("`{}` needs a value", option.value);
                return Some(
                    Diagnostic::error("E0102", option.span, message).with_label("a value expected after this"),
                );
            }
            let earlier = options.chunks(2).take(at).filter_map(|pair| pair.first());
            let earlier = earlier.filter(|_| is_retry_option(option)).find(|other| other.value == option.value);
            if let Some(first) = earlier {
                return Some(twice(&option.value, option.span, first.span));
            }
        }
        self.takes_no_block()
    }
}

fn nameless(span: Span, help: &str) -> Option<Diagnostic> {
    Some(Diagnostic::error("E0109", span, "this matcher has no name").with_help(help))
}

/// The last word of a statement.
pub(super) fn end_of_words(statement: &Statement<'_>) -> Span {
    statement.words().last().map_or_else(|| statement.span(), |word| word.span)
}

/// How a directive is written.
pub(crate) fn form(row: &Row) -> String {
    let name = row.name;
    match row.shape {
        Shape::Words(1) => format!("`{name} VALUE`"),
        Shape::Words(_) => format!("`{name} NAME VALUE`"),
        Shape::List => format!("`{name} VALUE ...`"),
        Shape::Pairs => format!("`{name} NAME VALUE ...`"),
        Shape::Block => format!("`{name} {{ ... }}`"),
        Shape::WordOrBlock => format!("`{name} VALUE` or `{name} {{ ... }}`"),
        Shape::NamedBlock => format!("`{name} NAME {{ ... }}`"),
        Shape::Channel => format!("`{name} {{ ... }}` or `{name} /PATH {{ ... }}`"),
        Shape::Matchers => format!("`{name} @NAME` or `{name} {{ ... }}`"),
        Shape::TokenAuth => format!("`{name} token REF`"),
        Shape::RouteAuth => {
            format!("`{name} hmac REF`, `{name} hmac {{ ... }}`, `{name} basic USER PASSWORD` or `{name} forward URL`")
        }
        Shape::Sign => format!("`{name} hmac REF` or `{name} hmac secret_ref ID`"),
        Shape::Retry => format!("`{name} exponential max N base D cap D jitter F`"),
        Shape::Backoff => format!("`{name} exponential base D cap D jitter F`"),
        Shape::Deliver => format!("`{name} URL {{ ... }}` or `{name} exec COMMAND {{ ... }}`"),
    }
}
