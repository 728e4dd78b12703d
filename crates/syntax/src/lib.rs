//! Text of a configuration file to a lossless tree and back.
//!
//! Owns the grammar of words, blocks and comments, the data type of diagnostics, the formatter and tree edits.
//! Knows no directive and no arity: newlines end nothing here, so a tree is a flat sequence of words and `{ }` blocks.
//! Called by `config` (lowering), `cli` (rendering, `config fmt`) and by whoever edits a file through the admin API.

mod diagnostic;
mod edit;
mod format;
mod lexer;
mod parse;
mod placeholder;
mod source;
mod span;
mod statement;
mod tree;

pub use diagnostic::{Diagnostic, Label, Severity};
pub use edit::EditError;
pub use format::{format, format_with};
pub use parse::{MAX_DEPTH, MAX_DIAGNOSTICS, parse};
pub use placeholder::{Part, Pass, Placeholder, PlaceholderKind, split};
pub use span::{LineIndex, Position, Span};
pub use statement::{Layout, LineLayout, Statement, statements};
pub use tree::{Block, Comment, Item, Tree, Word};
