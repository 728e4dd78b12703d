//! Tree to sections: every statement matched with its row, every word resolved, structure checked.
//!
//! Finds unknown and repeated directives, missing values and misplaced blocks. What values mean is the business of `lower`.

mod repeat;
mod shape;
mod unknown;

use std::borrow::Cow;

use hookaido_syntax::{Item, Span, Statement, Word, statements};

use crate::Context;
use crate::layout::{BlockLayout, opened};
use crate::placeholder::Resolver;
use crate::table::{Row, Shape, row_of};

pub(crate) use repeat::twice;
pub(crate) use shape::form;

/// The statements of a block.
#[derive(Debug)]
pub(crate) struct Section<'t> {
    pub(crate) context: Context,
    /// From `{` to `}`.
    pub(crate) span: Span,
    pub(crate) nodes: Vec<Node<'t>>,
    /// Directives that are there, but so that nothing can be made of them; they have been reported, and nobody must miss them.
    pub(crate) broken: Vec<String>,
    /// Routes of the file and wrappers of routes, to be read one at a time: a large file has little else.
    pub(crate) routes: Vec<(&'static Row, Statement<'t>)>,
}

/// A statement.
#[derive(Debug)]
pub(crate) struct Node<'t> {
    pub(crate) row: &'static Row,
    /// Its first word. Routes, matchers and variables have a name of their own.
    pub(crate) name: Arg<'t>,
    /// Its other words.
    pub(crate) args: Vec<Arg<'t>>,
    pub(crate) block: Option<Section<'t>>,
    pub(crate) span: Span,
}

/// A word with its placeholders replaced.
#[derive(Debug, Clone)]
pub(crate) struct Arg<'t> {
    pub(crate) text: Cow<'t, str>,
    pub(crate) span: Span,
    pub(crate) quoted: bool,
    /// Whether it was written without placeholders.
    pub(crate) literal: bool,
}

impl<'t> Section<'t> {
    /// A block that is not there.
    pub(crate) fn absent(context: Context) -> Self {
        Self { context, span: Span::default(), nodes: Vec::new(), broken: Vec::new(), routes: Vec::new() }
    }

    /// The first statement with this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Node<'t>> {
        self.nodes.iter().find(|node| node.row.name == name)
    }

    /// Whether there is a statement with this name, right or wrong.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        self.find(name).is_some() || self.broken.iter().any(|broken| broken == name)
    }

    /// All statements with this name.
    pub(crate) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Node<'t>> {
        self.nodes.iter().filter(move |node| node.row.name == name)
    }

    /// All values of all statements with this name.
    pub(crate) fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Arg<'t>> {
        self.all(name).flat_map(|node| &node.args)
    }

    /// The block of the first statement with this name.
    pub(crate) fn section(&self, name: &str) -> Option<&Section<'t>> {
        self.find(name).and_then(|node| node.block.as_ref())
    }
}

impl Arg<'_> {
    /// Whether it is this bare word.
    pub(crate) fn is(&self, text: &str) -> bool {
        !self.quoted && self.literal && self.text == text
    }
}

/// Reads the statements of a file or block.
pub(crate) fn read<'t>(items: &'t [Item], context: Context, span: Span, resolver: &mut Resolver<'_>) -> Section<'t> {
    let mut nodes: Vec<Node<'t>> = Vec::new();
    let (mut broken, mut routes) = (Vec::new(), Vec::new());
    let mut seen: Vec<(&'static str, Span)> = Vec::new();
    for statement in statements(items, &[], &BlockLayout(context)) {
        let Some(row) = known(context, &statement, nodes.last(), resolver, &mut broken) else { continue };
        if matches!(row.opens, Some(Context::Route | Context::Channel)) {
            routes.push((row, statement));
            continue;
        }
        if let Some(problem) = repeat::problem(row, &statement, &mut seen) {
            resolver.diagnostics.push(problem);
        }
        nodes.push(node(row, context, &statement, resolver));
    }
    Section { context, span, nodes, broken, routes }
}

/// The row of a statement of the right shape; anything else is reported, and what was meant noted as broken.
fn known(
    context: Context,
    statement: &Statement<'_>,
    before: Option<&Node>,
    resolver: &mut Resolver<'_>,
    broken: &mut Vec<String>,
) -> Option<&'static Row> {
    let name = statement.name()?;
    let Some(row) = row_of(context, name) else {
        let (problem, meant) = unknown::directive(context, statement, name, before);
        resolver.diagnostics.push(problem);
        broken.extend(meant);
        return None;
    };
    if let Some(problem) = shape::problem(context, row, statement) {
        resolver.diagnostics.push(problem);
        // The names of directives among its words were most likely meant as such.
        broken.extend(statement.words().map(|word| word.value.clone()));
        return None;
    }
    Some(row)
}

/// Reads the routes of `statement`, which is a route or a wrapper of routes in the file, and gives each to `visit` before the next.
pub(crate) fn each_route<'t>(
    (row, statement): &(&'static Row, Statement<'t>),
    resolver: &mut Resolver<'_>,
    mut visit: impl FnMut(&Node<'t>),
) {
    let wrapped = statement.block().filter(|_| row.shape == Shape::Channel && statement.args().next().is_none());
    let Some(block) = wrapped else {
        visit(&node(row, Context::Top, statement, resolver));
        return;
    };
    for inner in statements(&block.items, &[], &BlockLayout(Context::Channel)) {
        if let Some(row) = known(Context::Channel, &inner, None, resolver, &mut Vec::new()) {
            visit(&node(row, Context::Channel, &inner, resolver));
        }
    }
}

fn node<'t>(row: &'static Row, context: Context, statement: &Statement<'t>, resolver: &mut Resolver<'_>) -> Node<'t> {
    let mut words = statement.words().map(|word| arg(word, resolver));
    let name =
        words.next().unwrap_or(Arg { text: Cow::Borrowed(""), span: statement.span(), quoted: false, literal: true });
    let args = words.collect();
    let block = statement.block().map(|block| match opened(context, statement.items) {
        Some(inner) => read(&block.items, inner, block.span(), resolver),
        None => Section::absent(context),
    });
    Node { row, name, args, block, span: statement.span() }
}

fn arg<'t>(word: &'t Word, resolver: &mut Resolver<'_>) -> Arg<'t> {
    Arg { text: resolver.word(word), span: word.span, quoted: word.quoted, literal: resolver.is_literal(word) }
}
