//! The formatter: canonical text of a tree.
//!
//! Two blanks of indentation, every block body on lines of its own, one blank between words, at most one empty line in a row, LF, and
//! escapes in strings only where needed. Quotes, order, comments and the author's empty lines stay. It is idempotent and keeps the
//! meaning; where a statement ends is asked of a [`Layout`]. Meant for trees without errors; others come out repaired somehow.

use std::iter::Peekable;

use crate::span::BYTE_ORDER_MARK;
use crate::{Block, Comment, Item, Layout, LineLayout, Statement, Tree, Word, statements};

/// Canonical text of a tree, with statements taken to end where their lines end.
#[must_use]
pub fn format(tree: &Tree) -> String {
    format_with(tree, &LineLayout)
}

/// Canonical text of a tree, with statements split and spaced as `layout` says.
#[must_use]
pub fn format_with(tree: &Tree, layout: &dyn Layout) -> String {
    let mut printer = Printer {
        tree,
        layout,
        comments: tree.comments().iter().copied().peekable(),
        out: String::new(),
        cursor: 0,
        line: Line::BodyStart,
        blank_due: false,
    };
    printer.body(tree.items(), &mut Vec::new());
    printer.comments_before(tree.text().len(), 0);
    if !printer.out.is_empty() {
        printer.out.push('\n');
    }
    if printer.out.starts_with(BYTE_ORDER_MARK) {
        // The first one of a file is skipped, so a word that starts with one needs another in front.
        printer.out.insert(0, BYTE_ORDER_MARK);
    }
    printer.out
}

/// What the line that is being written ends with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Nothing yet, or a `{`: no empty line may follow.
    BodyStart,
    /// As `BodyStart`, with a comment behind it.
    BodyStartComment,
    /// A word or a `}`.
    Text,
    /// A comment: nothing more fits on the line.
    Comment,
}

struct Printer<'t> {
    tree: &'t Tree,
    layout: &'t dyn Layout,
    comments: Peekable<std::iter::Copied<std::slice::Iter<'t, Comment>>>,
    out: String,
    /// End, in the tree's text, of what has been written.
    cursor: usize,
    line: Line,
    /// Whether the next line must have an empty one in front.
    blank_due: bool,
}

impl<'t> Printer<'t> {
    fn body(&mut self, items: &'t [Item], path: &mut Vec<Statement<'t>>) {
        let mut before = None;
        for statement in statements(items, path, self.layout) {
            self.blank_due = before.is_some_and(|before| self.layout.blank_line_between(path, before, statement));
            self.statement(statement, path);
            before = Some(statement);
        }
        self.blank_due = false;
    }

    fn statement(&mut self, statement: Statement<'t>, path: &mut Vec<Statement<'t>>) {
        let depth = path.len();
        let start = statement.span().start;
        self.comments_before(start, depth);
        self.new_line(start, depth);
        let mut first = true;
        for word in statement.words() {
            if !first {
                self.comments_before(word.span.start, depth + 1);
                if self.line == Line::Comment {
                    self.new_line(word.span.start, depth + 1);
                } else {
                    self.out.push(' ');
                }
            }
            first = false;
            self.write(&written(word), word.span.end);
        }
        if let Some(block) = statement.block() {
            self.out.push_str(if first { "" } else { " " });
            path.push(statement);
            self.block(block, path);
            path.pop();
        }
    }

    /// Comments between the head and its `{` move behind the `{`.
    fn block(&mut self, block: &'t Block, path: &mut Vec<Statement<'t>>) {
        let depth = path.len();
        self.out.push('{');
        self.line = Line::BodyStart;
        self.comments_before(block.open.start, depth);
        self.cursor = block.open.end;
        self.body(&block.items, path);
        let close = block.close.unwrap_or(block.span());
        self.comments_before(close.start.max(self.cursor), depth);
        self.line = Line::BodyStart;
        self.new_line(close.start, depth - 1);
        self.write("}", close.end);
    }

    /// Writes the comments that start before `end`.
    fn comments_before(&mut self, end: usize, depth: usize) {
        while let Some(comment) = self.comments.next_if(|comment| comment.span.start < end) {
            let text = self.tree.slice(comment.span).trim_end();
            let fits = matches!(self.line, Line::BodyStart | Line::Text) && !self.out.is_empty();
            if comment.line_start || !fits {
                self.new_line(comment.span.start, depth);
                self.write(text, comment.span.end);
                self.line = Line::Comment;
            } else {
                let body_start = self.line == Line::BodyStart;
                self.out.push(' ');
                self.write(text, comment.span.end);
                self.line = if body_start { Line::BodyStartComment } else { Line::Comment };
            }
        }
    }

    /// Starts a line for what stands at `start`, after an empty one if the author left one there or one is due.
    fn new_line(&mut self, start: usize, depth: usize) {
        let body_start = matches!(self.line, Line::BodyStart | Line::BodyStartComment);
        if !self.out.is_empty() {
            self.out.push('\n');
            if !body_start && (self.blank_due || self.empty_line_before(start)) {
                self.out.push('\n');
            }
        }
        self.blank_due = false;
        self.out.extend(std::iter::repeat_n("  ", depth));
    }

    fn empty_line_before(&self, start: usize) -> bool {
        let gap = self.tree.text().get(self.cursor..start).unwrap_or_default();
        gap.replace("\r\n", "\n").chars().filter(|c| matches!(c, '\n' | '\r')).count() > 1
    }

    fn write(&mut self, text: &str, end: usize) {
        self.out.push_str(text);
        self.cursor = end;
        self.line = Line::Text;
    }
}

/// A word as it is written: the author's quotes, the fewest escapes that leave nothing to doubt.
fn written(word: &Word) -> String {
    if !word.quoted {
        return word.value.clone();
    }
    let mut out = String::with_capacity(word.value.len() + 2);
    out.push('"');
    for c in word.value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
