//! Tree to sections: every statement matched with its row, every word resolved, structure checked.
//!
//! Finds unknown and repeated directives, missing values and misplaced blocks. What values mean is the business of `lower`.

use hookaido_syntax::{Diagnostic, Item, Span, Statement, Word, statements};

use crate::Context;
use crate::layout::{BlockLayout, is_retry_option, opened};
use crate::placeholder::Resolver;
use crate::suggest::nearest;
use crate::table::{Row, Shape, row_of, rows};

/// The statements of a block.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) context: Context,
    /// From `{` to `}`.
    pub(crate) span: Span,
    pub(crate) nodes: Vec<Node>,
}

/// A statement.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) row: &'static Row,
    /// Its first word. Routes, matchers and variables have a name of their own.
    pub(crate) name: Arg,
    /// Its other words.
    pub(crate) args: Vec<Arg>,
    pub(crate) block: Option<Section>,
    pub(crate) span: Span,
}

/// A word with its placeholders replaced.
#[derive(Debug, Clone)]
pub(crate) struct Arg {
    pub(crate) text: String,
    pub(crate) span: Span,
    pub(crate) quoted: bool,
    /// Whether it was written without placeholders.
    pub(crate) literal: bool,
}

impl Section {
    /// A block that is not there.
    pub(crate) fn absent(context: Context) -> Self {
        Self { context, span: Span::default(), nodes: Vec::new() }
    }

    /// The first statement with this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.row.name == name)
    }

    /// All statements with this name.
    pub(crate) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Node> {
        self.nodes.iter().filter(move |node| node.row.name == name)
    }

    /// All values of all statements with this name.
    pub(crate) fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Arg> {
        self.all(name).flat_map(|node| &node.args)
    }

    /// The block of the first statement with this name.
    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.find(name).and_then(|node| node.block.as_ref())
    }
}

impl Arg {
    /// Whether it is this bare word.
    pub(crate) fn is(&self, text: &str) -> bool {
        !self.quoted && self.literal && self.text == text
    }
}

/// Reads the statements of a file or block.
pub(crate) fn read(items: &[Item], context: Context, span: Span, resolver: &mut Resolver<'_>) -> Section {
    let mut nodes: Vec<Node> = Vec::new();
    let mut seen: Vec<(&'static str, Span)> = Vec::new();
    for statement in statements(items, &[], &BlockLayout(context)) {
        let Some(name) = statement.name() else { continue };
        let Some(row) = row_of(context, name) else {
            resolver.diagnostics.push(unknown(context, &statement, name, nodes.last()));
            continue;
        };
        if let Some(problem) = shape_problem(row, &statement) {
            resolver.diagnostics.push(problem);
            continue;
        }
        if let Some(problem) = repeated(row, &statement, &mut seen) {
            resolver.diagnostics.push(problem);
        }
        nodes.push(node(row, context, &statement, resolver));
    }
    Section { context, span, nodes }
}

fn node(row: &'static Row, context: Context, statement: &Statement<'_>, resolver: &mut Resolver<'_>) -> Node {
    let mut words = statement.words().map(|word| arg(word, resolver));
    let name =
        words.next().unwrap_or(Arg { text: String::new(), span: statement.span(), quoted: false, literal: true });
    let args = words.collect();
    let block = statement.block().map(|block| match opened(context, statement.items) {
        Some(inner) => read(&block.items, inner, block.span(), resolver),
        None => Section::absent(context),
    });
    Node { row, name, args, block, span: statement.span() }
}

fn arg(word: &Word, resolver: &mut Resolver<'_>) -> Arg {
    Arg { text: resolver.word(word), span: word.span, quoted: word.quoted, literal: resolver.is_literal(word) }
}

/// A statement that comes a second time although it may not.
fn repeated(row: &Row, statement: &Statement<'_>, seen: &mut Vec<(&'static str, Span)>) -> Option<Diagnostic> {
    let mut keys: Vec<(&'static str, String)> = Vec::new();
    let second = statement.args().next();
    match row.shape {
        // Of these, some forms may be repeated and some may not.
        Shape::Sign => match second.map(|word| word.value.as_str()) {
            Some("hmac") if statement.args().nth(1).is_some_and(|word| word.is("secret_ref")) => {
                if let Some(&(_, first)) = seen.iter().find(|(name, _)| *name == "sign hmac") {
                    return Some(twice("sign hmac", statement.span(), first));
                }
                seen.push(("sign hmac secret_ref", statement.span()));
            }
            Some("hmac") => {
                if let Some(&(_, first)) = seen.iter().find(|(name, _)| *name == "sign hmac secret_ref") {
                    return Some(twice("sign hmac", statement.span(), first));
                }
                keys.push(("sign hmac", "sign hmac".to_owned()));
            }
            Some("signature_header") => keys.push(("sign signature_header", "sign signature_header".to_owned())),
            Some("timestamp_header") => keys.push(("sign timestamp_header", "sign timestamp_header".to_owned())),
            Some("secret_selection") => keys.push(("sign secret_selection", "sign secret_selection".to_owned())),
            _ => {}
        },
        Shape::RouteAuth => match second.map(|word| word.value.as_str()) {
            Some("forward") => keys.push(("auth forward", "auth forward".to_owned())),
            Some("hmac") if statement.block().is_some() => keys.push(("auth hmac {", "auth hmac { }".to_owned())),
            _ => {}
        },
        Shape::Matchers if statement.block().is_some() => keys.push(("match {", "match { }".to_owned())),
        _ if row.repeats => {}
        _ => keys.push((row.name, row.name.to_owned())),
    }
    let mut problem = None;
    for (key, shown) in keys {
        match seen.iter().find(|(name, _)| *name == key) {
            Some(&(_, first)) => problem = Some(twice(&shown, statement.span(), first)),
            None => seen.push((key, statement.span())),
        }
    }
    problem
}

fn twice(shown: &str, span: Span, first: Span) -> Diagnostic {
    Diagnostic::error("E0105", span, format!("`{shown}` is given twice"))
        .with_related(first, "first given here")
        .with_help("remove one of them")
}

/// A statement whose words and block are not what its row asks for.
fn shape_problem(row: &Row, statement: &Statement<'_>) -> Option<Diagnostic> {
    let words = statement.args().count();
    let block = statement.block();
    let name = statement.name().map(|name| name.value.as_str()).unwrap_or_default();
    let needs = |what: &str| {
        let label = format!("{what} expected after this");
        Some(
            Diagnostic::error("E0102", end_of_words(statement), format!("`{name}` needs {what}"))
                .with_label(label)
                .with_help(format!("write {}", form(row))),
        )
    };
    let no_block = || {
        let open = block?.open;
        Some(
            Diagnostic::error("E0103", open, format!("`{name}` takes no block here"))
                .with_help(format!("write {}", form(row))),
        )
    };
    let needs_block = || {
        (block.is_none()).then(|| {
            Diagnostic::error("E0104", end_of_words(statement), format!("`{name}` needs a block"))
                .with_label("`{` expected after this")
                .with_help(format!("write {}", form(row)))
        })
    };
    match row.shape {
        Shape::Words(count) if words < count => needs(if count == 1 { "a value" } else { "a name and a value" }),
        Shape::List if words == 0 => needs("a value"),
        Shape::Pairs if words == 0 || words % 2 == 1 => needs("a name and a value"),
        Shape::Words(_) | Shape::List | Shape::Pairs => no_block(),
        Shape::Block if name == "@" => Some(
            Diagnostic::error("E0109", statement.span(), "this matcher has no name")
                .with_help("write `@name { ... }`, without quotes"),
        ),
        Shape::Block => needs_block(),
        Shape::WordOrBlock if words == 0 && block.is_none() => needs("a value or a block"),
        Shape::WordOrBlock if words == 1 => no_block(),
        Shape::WordOrBlock => None,
        Shape::NamedBlock if words == 0 => needs("a name"),
        Shape::NamedBlock => needs_block(),
        Shape::Channel if words == 0 && block.is_none() => needs("a route or a block of routes"),
        Shape::Channel => match statement.args().next() {
            Some(path) if !path.quoted && !path.value.starts_with('/') => Some(not_a_route(path)),
            _ => needs_block(),
        },
        Shape::Matchers if words == 0 => needs_block(),
        Shape::Matchers => match statement.args().find(|word| word.value == "@") {
            Some(word) => {
                Some(Diagnostic::error("E0109", word.span, "this matcher has no name").with_help("write `match @name`"))
            }
            None => no_block(),
        },
        Shape::TokenAuth => match statement.args().next() {
            Some(kind) if kind.is("token") && words == 2 => no_block(),
            Some(kind) if kind.is("token") => needs("a secret reference"),
            kind => Some(unknown_form(name, kind, &["token"], statement)),
        },
        Shape::RouteAuth => route_auth_problem(statement).or_else(|| {
            let basic = statement.args().next().is_some_and(|kind| kind.is("basic"));
            if basic { no_block() } else { None }
        }),
        Shape::Sign => {
            const KINDS: [&str; 4] = ["hmac", "signature_header", "timestamp_header", "secret_selection"];
            match statement.args().next() {
                Some(kind) if KINDS.into_iter().any(|known| kind.is(known)) => {
                    let by_id = kind.is("hmac") && statement.args().nth(1).is_some_and(|word| word.is("secret_ref"));
                    if words < 2 + usize::from(by_id) { needs("a value") } else { no_block() }
                }
                kind => Some(unknown_form(name, kind, &KINDS, statement)),
            }
        }
        Shape::Retry => retry_problem(statement).or_else(no_block),
        Shape::Deliver if words == 0 => needs("a URL, or `exec` and a command"),
        Shape::Deliver => match statement.args().next() {
            Some(word) if word.is("exec") && words < 2 => needs("a command after `exec`"),
            _ => needs_block(),
        },
    }
}

fn route_auth_problem(statement: &Statement<'_>) -> Option<Diagnostic> {
    let words = statement.args().count();
    let needs = |what: &str| {
        let label = format!("{what} expected after this");
        Some(Diagnostic::error("E0102", end_of_words(statement), format!("`auth` needs {what}")).with_label(label))
    };
    match statement.args().next() {
        Some(kind) if kind.is("basic") => {
            if words < 3 {
                needs("a user and a password")
            } else {
                None
            }
        }
        Some(kind) if kind.is("forward") => {
            if words < 2 {
                needs("a URL")
            } else {
                None
            }
        }
        Some(kind) if kind.is("hmac") => match statement.args().nth(1) {
            None if statement.block().is_none() => needs("a secret reference or a block"),
            Some(word) if word.is("secret_ref") && words < 3 => needs("the id of a secret"),
            _ => None,
        },
        kind => Some(unknown_form("auth", kind, &["hmac", "basic", "forward"], statement)),
    }
}

fn retry_problem(statement: &Statement<'_>) -> Option<Diagnostic> {
    if statement.args().next().is_none() {
        return Some(
            Diagnostic::error("E0102", end_of_words(statement), "`retry` needs a kind")
                .with_help("write `retry exponential`"),
        );
    }
    let options: Vec<_> = statement.args().skip(1).collect();
    for (at, pair) in options.chunks(2).enumerate() {
        let [option, ..] = pair else { continue };
        if pair.len() < 2 {
            let message = format!("`{}` needs a value", option.value);
            return Some(Diagnostic::error("E0102", option.span, message).with_label("a value expected after this"));
        }
        let before =
            options.chunks(2).take(at).filter_map(|pair| pair.first()).find(|other| other.value == option.value);
        if let Some(first) = before.filter(|_| is_retry_option(option)) {
            return Some(twice(&option.value, option.span, first.span));
        }
    }
    None
}

/// A word after `auth` or `sign` that says no known form.
fn unknown_form(name: &str, kind: Option<&Word>, known: &[&str], statement: &Statement<'_>) -> Diagnostic {
    let list = known.iter().map(|known| format!("`{name} {known}`")).collect::<Vec<_>>().join(", ");
    let Some(kind) = kind else {
        return Diagnostic::error("E0108", end_of_words(statement), format!("`{name}` does not say of which kind"))
            .with_help(format!("write {list}"));
    };
    let near = nearest(&kind.value, known.iter().copied());
    let help = match near {
        Some(near) => format!("did you mean `{name} {near}`?"),
        None if kind.quoted && known.contains(&kind.value.as_str()) => format!("write `{}` without quotes", kind.value),
        None => format!("write {list}"),
    };
    Diagnostic::error("E0108", kind.span, format!("`{name} {}` is not known here", kind.value)).with_help(help)
}

fn unknown(context: Context, statement: &Statement<'_>, name: &Word, before: Option<&Node>) -> Diagnostic {
    if context == Context::Channel {
        return not_a_route(name);
    }
    let shown = &name.value;
    let inside = if context == Context::Top { String::new() } else { format!(" in `{}`", context.title()) };
    let known = || rows(context).iter().filter(|row| !row.is_pattern()).map(|row| row.name);
    if name.quoted {
        let help = if known().any(|known| known == shown) {
            format!("write `{shown}` without quotes")
        } else {
            "a directive is written without quotes".to_owned()
        };
        return Diagnostic::error("E0106", name.span, format!("expected a directive{inside}, found a string"))
            .with_help(help);
    }
    let mut diagnostic = Diagnostic::error("E0107", name.span, format!("unknown directive `{shown}`{inside}"));
    let elsewhere = || Context::ALL.into_iter().find(|&other| rows(other).iter().any(|row| row.name == shown));
    diagnostic.help = match (nearest(shown, known()), elsewhere()) {
        (Some(near), _) => Some(format!("did you mean `{near}`?")),
        (None, Some(Context::Top)) => Some(format!("`{shown}` stands outside of any block")),
        (None, Some(other)) => Some(format!("`{shown}` belongs into `{}`", other.title())),
        (None, None) if context == Context::Top && statement.block().is_some() => {
            Some("a route starts with `/`, a matcher with `@`".to_owned())
        }
        (None, None) => Some(match known().collect::<Vec<_>>().as_slice() {
            [] => "nothing is allowed here".to_owned(),
            known => format!("expected one of: {}", known.join(", ")),
        }),
    };
    // A value that is missing swallows the next line's first word, and then what follows makes no sense.
    let swallowed = before.and_then(|node| node.args.last().zip(Some(node)));
    if let Some((arg, node)) = swallowed {
        let is_name = rows(context).iter().any(|row| row.name == arg.text && !row.is_pattern());
        if is_name && !arg.quoted {
            diagnostic = diagnostic
                .with_related(arg.span, format!("`{}` was taken as the value of `{}`", arg.text, node.row.name));
        }
    }
    diagnostic
}

fn not_a_route(word: &Word) -> Diagnostic {
    Diagnostic::error("E0111", word.span, format!("expected a route, found `{}`", word.value))
        .with_help("only routes stand here; their path starts with `/`")
}

/// Just behind the last word of a statement.
fn end_of_words(statement: &Statement<'_>) -> Span {
    statement.words().last().map(|word| word.span).unwrap_or_else(|| statement.span())
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
        Shape::Deliver => format!("`{name} URL {{ ... }}` or `{name} exec COMMAND {{ ... }}`"),
    }
}
