//! The lossless tree: a flat sequence of words and blocks with their spans, the comments, and the bytes they came from.
//!
//! White space is not stored as nodes: the tree owns the text, and everything between two spans is white space or a comment.

use crate::placeholder::{Part, Pass, split};
use crate::source::Source;
use crate::{Placeholder, Span};

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    pub(crate) source: Source,
    pub(crate) items: Vec<Item>,
    pub(crate) comments: Vec<Comment>,
}

/// A word or a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A bare or quoted word.
    Word(Word),
    /// `{ ... }`.
    Block(Block),
}

/// A bare or quoted word.
#[derive(Clone, PartialEq, Eq)]
pub struct Word {
    /// Where it stands, quotes included.
    pub span: Span,
    /// Whether it was written in quotes.
    pub quoted: bool,
    /// Whether it is the first thing on its line.
    pub line_start: bool,
    /// Its text with quotes removed and escapes resolved; placeholders stand in it as written.
    pub value: String,
    /// `value` split into text and placeholders of any kind, if it has any; their spans are offsets into the tree's text.
    pub parts: Vec<Part>,
}

/// `{ ... }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The `{`.
    pub open: Span,
    /// The `}`; missing if the file ends before it.
    pub close: Option<Span>,
    /// What is between them.
    pub items: Vec<Item>,
}

/// `# ...` up to the end of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comment {
    /// From `#` to the last character of the line.
    pub span: Span,
    /// Whether it is the first thing on its line.
    pub line_start: bool,
}

impl Tree {
    /// Words and blocks of the file.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// All comments, wherever they stand, in order.
    #[must_use]
    pub fn comments(&self) -> &[Comment] {
        &self.comments
    }

    /// The text that all spans point into. It is the file, but bytes that are not UTF-8 are read as Latin-1.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.source.text
    }

    /// The text of a span; empty if the span is not one of this tree.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text().get(span.range()).unwrap_or_default()
    }

    /// The file, byte for byte.
    #[must_use]
    pub fn to_source(&self) -> Vec<u8> {
        self.source.encode()
    }
}

impl Item {
    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Word(word) => word.span,
            Self::Block(block) => block.span(),
        }
    }

    /// The word, if it is one.
    #[must_use]
    pub fn as_word(&self) -> Option<&Word> {
        match self {
            Self::Word(word) => Some(word),
            Self::Block(_) => None,
        }
    }

    /// The block, if it is one.
    #[must_use]
    pub fn as_block(&self) -> Option<&Block> {
        match self {
            Self::Block(block) => Some(block),
            Self::Word(_) => None,
        }
    }
}

/// Leaves out the text, which may be a secret.
impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { span, quoted, line_start, .. } = self;
        write!(f, "Word {{ span: {span:?}, quoted: {quoted}, line_start: {line_start}, .. }}")
    }
}

impl Word {
    /// The value if it needs no replacing.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        self.placeholders().next().is_none().then_some(self.value.as_str())
    }

    /// Whether it is the bare word `text`: what a directive name or a keyword must be.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        !self.quoted && self.value == text
    }

    /// Its placeholders, of any kind.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(placeholder) => Some(placeholder),
            Part::Text(_) => None,
        })
    }

    /// Splits its value as [`split`] does, with spans that are offsets into the tree's text.
    ///
    /// Escapes are found again in `tree`, because each makes the text one byte longer than the value.
    #[must_use]
    pub fn split(&self, tree: &Tree, pass: Pass) -> Vec<Part> {
        located_parts(&self.value, tree.slice(self.span), self.span, pass)
    }
}

impl Block {
    /// From `{` to `}`, or to the last thing inside if it is not closed.
    #[must_use]
    pub fn span(&self) -> Span {
        let inside = self.items.last().map(Item::span);
        self.close.or(inside).map_or(self.open, |end| self.open.to(end))
    }
}

/// Parts of `value`, which was written as `raw` at `span`.
pub(crate) fn located_parts(value: &str, raw: &str, span: Span, pass: Pass) -> Vec<Part> {
    let mut parts = split(value, pass);
    let map = OffsetMap::new(raw, span.start);
    for part in &mut parts {
        if let Part::Placeholder(placeholder) = part {
            placeholder.span = Span::new(map.outer(placeholder.span.start), map.outer(placeholder.span.end));
        }
    }
    parts
}

/// From offsets in a value to offsets in the text.
struct OffsetMap {
    base: usize,
    /// Offsets in the value of the characters written as an escape; ascending.
    escapes: Vec<usize>,
}

impl OffsetMap {
    fn new(raw: &str, start: usize) -> Self {
        let Some(inner) = raw.strip_prefix('"') else {
            return Self { base: start, escapes: Vec::new() };
        };
        let mut escapes = Vec::new();
        let mut length = 0;
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            if c == '\\' && crate::lexer::unescape(chars.as_str()).is_some() {
                chars.next();
                escapes.push(length);
                length += 1;
            } else {
                length += c.len_utf8();
            }
        }
        Self { base: start + 1, escapes }
    }

    fn outer(&self, offset: usize) -> usize {
        self.base + offset + self.escapes.partition_point(|&at| at < offset)
    }
}
