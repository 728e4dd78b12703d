//! Tree to sections: every statement matched with its row, every word resolved, structure checked.
//!
//! Finds unknown and repeated directives, missing values and misplaced blocks. What values mean is the business of `lower`.

mod repeat;
mod shape;
mod unknown;

use hookaido_syntax::{Item, Span, Statement, Word, statements};

use crate::Context;
use crate::layout::{BlockLayout, opened};
use crate::placeholder::Resolver;
use crate::table::{Row, row_of};

pub(crate) use shape::form;

/// The statements of a block.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) context: Context,
    /// From `{` to `}`.
    pub(crate) span: Span,
    pub(crate) nodes: Vec<Node>,
    /// Directives that are there, but so that nothing can be made of them; they have been reported, and nobody must miss them.
    pub(crate) broken: Vec<String>,
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
        Self { context, span: Span::default(), nodes: Vec::new(), broken: Vec::new() }
    }

    /// The first statement with this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.row.name == name)
    }

    /// Whether there is a statement with this name, right or wrong.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        self.find(name).is_some() || self.broken.iter().any(|broken| broken == name)
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
    let mut broken = Vec::new();
    let mut seen: Vec<(&'static str, Span)> = Vec::new();
    for statement in statements(items, &[], &BlockLayout(context)) {
        let Some(name) = statement.name() else { continue };
        let Some(row) = row_of(context, name) else {
            let (problem, meant) = unknown::directive(context, &statement, name, nodes.last());
            resolver.diagnostics.push(problem);
            broken.extend(meant);
            continue;
        };
        if let Some(problem) = shape::problem(context, row, &statement) {
            resolver.diagnostics.push(problem);
            // The names of directives among its words were most likely meant as such.
            broken.extend(statement.words().map(|word| word.value.clone()));
            continue;
        }
        if let Some(problem) = repeat::problem(row, &statement, &mut seen) {
            resolver.diagnostics.push(problem);
        }
        nodes.push(node(row, context, &statement, resolver));
    }
    Section { context, span, nodes, broken }
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
