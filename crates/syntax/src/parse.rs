//! Tokens to a tree, with recovery: always returns a tree, and every problem at once.
//!
//! Blocks are kept on an explicit stack of bounded depth, so no input can exhaust the thread's stack here or in any recursive reader of
//! the tree. The only check that is about words is that each placeholder is closed and names something.

use crate::lexer::{Token, TokenKind, tokens};
use crate::placeholder::Pass;
use crate::source::Source;
use crate::span::BYTE_ORDER_MARK;
use crate::tree::located_parts;
use crate::{Block, Comment, Diagnostic, Item, Part, Placeholder, PlaceholderKind, Span, Tree, Word};

/// Deepest nesting of blocks; the language itself needs five.
pub const MAX_DEPTH: usize = 64;

/// Most diagnostics of one file.
pub const MAX_DIAGNOSTICS: usize = 100;

/// Reads a file. The tree holds all of it whatever is wrong; it means something only if no diagnostic is an error.
#[must_use]
pub fn parse(bytes: &[u8]) -> (Tree, Vec<Diagnostic>) {
    let source = Source::decode(bytes);
    let mut parser = Parser::new(&source);
    let skip = if source.text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    for token in tokens(&source.text, skip) {
        parser.token(token);
    }
    let (items, comments, mut diagnostics) = parser.finish();
    check_encoding(&source, &comments, &mut diagnostics);
    diagnostics.sort_by_key(|diagnostic| diagnostic.span);
    diagnostics.truncate(MAX_DIAGNOSTICS);
    (Tree { source, items, comments }, diagnostics)
}

/// A block that is still open.
struct Frame {
    open: Span,
    items: Vec<Item>,
}

struct Parser<'s> {
    source: &'s Source,
    /// Items of the innermost open block, or of the file.
    items: Vec<Item>,
    /// The blocks around it; each holds the items of its parent.
    stack: Vec<Frame>,
    /// Number of blocks open below the deepest level that is kept.
    too_deep: usize,
    comments: Vec<Comment>,
    diagnostics: Vec<Diagnostic>,
    /// Whether nothing but white space came since the last line end.
    line_start: bool,
}

impl<'s> Parser<'s> {
    fn new(source: &'s Source) -> Self {
        Self {
            source,
            items: Vec::new(),
            stack: Vec::new(),
            too_deep: 0,
            comments: Vec::new(),
            diagnostics: Vec::new(),
            line_start: true,
        }
    }

    fn token(&mut self, token: Token) {
        let Token { kind, span } = token;
        match kind {
            TokenKind::Blank => {
                self.line_start |= self.slice(span).contains(['\n', '\r']);
                return;
            }
            TokenKind::Comment => self.comments.push(Comment { span, line_start: self.line_start }),
            TokenKind::Open => self.open(span),
            TokenKind::Close => self.close(span),
            TokenKind::Bare => {
                let value = self.slice(span).to_owned();
                self.items.push(Item::Word(Word {
                    span,
                    quoted: false,
                    line_start: self.line_start,
                    parts: Vec::new(),
                    value,
                }));
            }
            TokenKind::Placeholder | TokenKind::OpenPlaceholder => self.word(span, false, self.slice(span).to_owned()),
            TokenKind::BareVars => {
                self.report(
                    Diagnostic::error("E0008", span, "`{vars.NAME}` works only inside a quoted string")
                        .with_help(format!("write \"{}\"", self.slice(span))),
                );
                self.word(span, false, self.slice(span).to_owned());
            }
            TokenKind::Quoted { value, closed } => {
                if !closed {
                    self.report(
                        Diagnostic::error("E0003", span, "this string is not closed on its line")
                            .with_help("end it with `\"`; write a line break inside a string as `\\n`"),
                    );
                }
                self.word(span, true, value);
            }
        }
        self.line_start = false;
    }

    fn word(&mut self, span: Span, quoted: bool, value: String) {
        if !value.contains('{') {
            self.items.push(Item::Word(Word { span, quoted, line_start: self.line_start, value, parts: Vec::new() }));
            return;
        }
        let raw = self.slice(span);
        for part in located_parts(&value, raw, span, Pass::Outside) {
            if let Part::Placeholder(placeholder) = part {
                self.check_placeholder(&placeholder, quoted);
            }
        }
        let mut parts = located_parts(&value, raw, span, Pass::All);
        if !parts.iter().any(|part| matches!(part, Part::Placeholder(_))) {
            parts.clear();
        }
        self.items.push(Item::Word(Word { span, quoted, line_start: self.line_start, value, parts }));
    }

    fn check_placeholder(&mut self, placeholder: &Placeholder, quoted: bool) {
        let shape = match placeholder.kind {
            PlaceholderKind::Dollar => "{$NAME}",
            PlaceholderKind::Env => "{env.NAME}",
            PlaceholderKind::File => "{file.PATH}",
            PlaceholderKind::Vars => return,
        };
        if !placeholder.closed {
            let (code, help) = if quoted {
                ("E0011", "with `}` before the string ends")
            } else {
                ("E0004", "and put it in quotes if white space or `{` belongs into it")
            };
            let opening = placeholder.kind.opening();
            let message = format!("the placeholder `{opening}...` is not closed");
            self.report(
                Diagnostic::error(code, placeholder.span, message).with_help(format!("write it as `{shape}`, {help}")),
            );
        } else if placeholder.name.is_empty() {
            self.report(
                Diagnostic::error("E0010", placeholder.span, "this placeholder names nothing")
                    .with_help(format!("write it as `{shape}`")),
            );
        }
    }

    fn open(&mut self, span: Span) {
        if !matches!(self.items.last(), Some(Item::Word(_))) && self.too_deep == 0 {
            self.report(
                Diagnostic::error("E0007", span, "a block needs a name in front of its `{`")
                    .with_help("write the directive, route or matcher that the block belongs to, or remove the braces"),
            );
        }
        if self.stack.len() < MAX_DEPTH {
            self.stack.push(Frame { open: span, items: std::mem::take(&mut self.items) });
            return;
        }
        if self.too_deep == 0 {
            self.report(Diagnostic::error("E0009", span, format!("blocks are nested more than {MAX_DEPTH} deep")));
        }
        self.too_deep += 1;
    }

    fn close(&mut self, span: Span) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
        } else if self.stack.is_empty() {
            self.report(
                Diagnostic::error("E0006", span, "this `}` closes nothing")
                    .with_help("remove it, or add the `{` that it should close"),
            );
        } else {
            self.end_block(Some(span));
        }
    }

    fn end_block(&mut self, close: Option<Span>) {
        if let Some(Frame { open, items }) = self.stack.pop() {
            let items = std::mem::replace(&mut self.items, items);
            self.items.push(Item::Block(Block { open, close, items }));
        }
    }

    fn finish(mut self) -> (Vec<Item>, Vec<Comment>, Vec<Diagnostic>) {
        if let Some((innermost, outer)) = self.stack.split_last() {
            let problem = Diagnostic::error("E0005", innermost.open, "this block is never closed")
                .with_help("add the missing `}`")
                .with_related(Span::at(self.source.text.len()), "the file ends here");
            let problem = outer
                .iter()
                .rev()
                .fold(problem, |problem, frame| problem.with_related(frame.open, "this block around it is open, too"));
            self.report(problem);
        }
        while !self.stack.is_empty() {
            self.end_block(None);
        }
        if self.items.is_empty() && self.diagnostics.is_empty() {
            self.report(
                Diagnostic::error("E0002", Span::default(), "the file holds no statement")
                    .with_help("write at least one: a name, its values, and its block in `{ }` if it has one"),
            );
        }
        (self.items, self.comments, self.diagnostics)
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < MAX_DIAGNOSTICS {
            self.diagnostics.push(diagnostic);
        }
    }

    fn slice(&self, span: Span) -> &'s str {
        self.source.text.get(span.range()).unwrap_or_default()
    }
}

/// Bytes that are not UTF-8: a warning per comment that holds some, an error per run of them elsewhere.
fn check_encoding(source: &Source, comments: &[Comment], diagnostics: &mut Vec<Diagnostic>) {
    let mut reported = Span::default();
    for &offset in &source.foreign {
        if diagnostics.len() >= MAX_DIAGNOSTICS {
            return;
        }
        if offset < reported.end {
            continue;
        }
        let after = comments.partition_point(|comment| comment.span.start <= offset);
        let comment = after.checked_sub(1).and_then(|index| comments.get(index)).filter(|c| offset < c.span.end);
        let diagnostic = match comment {
            Some(comment) => Diagnostic::warning("W0001", comment.span, "this comment is not UTF-8")
                .with_help("save the file as UTF-8; until then the comment is read as Latin-1"),
            None => Diagnostic::error("E0001", run_at(source, offset), "these bytes are not UTF-8")
                .with_help("save the file as UTF-8"),
        };
        reported = diagnostic.span;
        diagnostics.push(diagnostic);
    }
}

/// The run of neighbouring foreign characters that starts at `offset`.
fn run_at(source: &Source, offset: usize) -> Span {
    let first = source.foreign.partition_point(|&at| at < offset);
    let run = source.foreign.iter().skip(first).zip((offset..).step_by(2)).take_while(|(at, want)| *at == want);
    Span::new(offset, offset + 2 * run.count())
}

#[cfg(test)]
mod tests;
