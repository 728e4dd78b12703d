//! How many words a statement takes: the directive table as a [`Layout`].

use hookaido_syntax::{Item, Layout, Statement, Word};

use crate::Context;
use crate::table::{Row, Shape, row_of};

/// The layout of the language: what reading, formatting and editing split statements by.
#[derive(Clone, Copy, Debug, Default)]
pub struct LanguageLayout;

impl Layout for LanguageLayout {
    fn statement_len(&self, path: &[Statement<'_>], items: &[Item]) -> Option<usize> {
        let context = path.iter().try_fold(Context::Top, |context, statement| opened(context, statement.items))?;
        statement_len(context, items)
    }
}

/// The layout of one kind of block, for reading, which knows where it is.
pub(crate) struct BlockLayout(pub(crate) Context);

impl Layout for BlockLayout {
    fn statement_len(&self, _path: &[Statement<'_>], items: &[Item]) -> Option<usize> {
        statement_len(self.0, items)
    }
}

/// The kind of the block that a statement of `context` opens.
pub(crate) fn opened(context: Context, items: &[Item]) -> Option<Context> {
    let row = row_of(context, items.first()?.as_word()?)?;
    match row.shape {
        Shape::RouteAuth => match word_at(items, 1).filter(|word| !word.quoted)?.value.as_str() {
            "hmac" => Some(Context::HmacAuth),
            "forward" => Some(Context::ForwardAuth),
            _ => None,
        },
        // `inbound /path { ... }` is a route.
        Shape::Channel if word_at(items, 1).is_some() => Some(Context::Route),
        _ => row.opens,
    }
}

fn statement_len(context: Context, items: &[Item]) -> Option<usize> {
    let first = items.first()?.as_word()?;
    Some(match row_of(context, first) {
        Some(row) => row_len(context, row, items),
        // Up to what is known again, or the end of the line.
        None => 1 + count(items, 1, |word| !word.line_start && !is_directive(context, word)),
    })
}

fn row_len(context: Context, row: &Row, items: &[Item]) -> usize {
    match row.shape {
        Shape::Words(count) => 1 + count,
        Shape::List => 2 + count(items, 2, |word| !is_directive(context, word)),
        Shape::Pairs => {
            let mut len = 3;
            while word_at(items, len).is_some_and(|word| !is_directive(context, word)) {
                len += 2;
            }
            len
        }
        Shape::Block => 1,
        Shape::WordOrBlock | Shape::NamedBlock | Shape::Channel => 2,
        Shape::Matchers => 1 + count(items, 1, |word| !word.quoted && word.value.starts_with('@')),
        Shape::TokenAuth if is(items, 1, "token") => 3,
        Shape::TokenAuth => unknown_form_len(context, items),
        Shape::RouteAuth => match word_at(items, 1) {
            Some(kind) if kind.is("basic") => 4,
            Some(kind) if kind.is("hmac") && is(items, 2, "secret_ref") => 4,
            Some(kind) if kind.is("hmac") || kind.is("forward") => 3,
            _ => unknown_form_len(context, items),
        },
        Shape::Sign => {
            if is(items, 1, "hmac") && is(items, 2, "secret_ref") {
                4 + count(items, 4, |word| !is_directive(context, word))
            } else {
                3
            }
        }
        Shape::Retry | Shape::Backoff => {
            let mut len = 2;
            while word_at(items, len).is_some_and(is_retry_option) {
                len += 2;
            }
            len
        }
        Shape::Deliver => 2 + usize::from(is(items, 1, "exec")),
    }
}

/// A form that nobody knows: as an unknown directive, up to what is known again.
fn unknown_form_len(context: Context, items: &[Item]) -> usize {
    2 + count(items, 2, |word| !word.line_start && !is_directive(context, word))
}

/// Whether a word is an option of `retry`.
pub(crate) fn is_retry_option(word: &Word) -> bool {
    ["max", "base", "cap", "jitter"].into_iter().any(|option| word.is(option))
}

/// Whether a word would start a statement of the block.
fn is_directive(context: Context, word: &Word) -> bool {
    row_of(context, word).is_some_and(|row| !row.is_pattern())
}

fn word_at(items: &[Item], at: usize) -> Option<&Word> {
    items.get(at).and_then(Item::as_word)
}

fn is(items: &[Item], at: usize, text: &str) -> bool {
    word_at(items, at).is_some_and(|word| word.is(text))
}

/// How many words from `from` on, in a row, satisfy `test`.
fn count(items: &[Item], from: usize, test: impl Fn(&Word) -> bool) -> usize {
    items.iter().skip(from).map_while(Item::as_word).take_while(|word| test(word)).count()
}
