//! Places in a text: byte spans, and the line and column people count in.

use std::ops::Range;

/// The byte order mark: skipped at the start of a file, an ordinary character elsewhere.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// A range of byte offsets into [`Tree::text`](crate::Tree::text).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The span `start..end`.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The empty span at `offset`.
    #[must_use]
    pub const fn at(offset: usize) -> Self {
        Self { start: offset, end: offset }
    }

    /// The smallest span that holds both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The span as a range of byte offsets.
    #[must_use]
    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A place as people write it, `line:column`; both count from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1; a byte order mark is not counted.
    pub column: usize,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Where each line of a text starts. A line ends at `\n`, `\r\n` or a lone `\r`.
#[derive(Clone)]
pub struct LineIndex {
    text: String,
    /// Span of each line without its terminator; never empty.
    lines: Vec<Span>,
}

/// Leaves out the text, which may hold secrets.
impl std::fmt::Debug for LineIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LineIndex {{ {} lines }}", self.lines.len())
    }
}

impl LineIndex {
    /// Indexes `text`, of which it keeps a copy.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut lines = Vec::new();
        let mut start = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        let bytes = text.as_bytes();
        let mut at = start;
        while let Some(&byte) = bytes.get(at) {
            let width = match byte {
                b'\r' if bytes.get(at + 1) == Some(&b'\n') => 2,
                b'\r' | b'\n' => 1,
                _ => {
                    at += 1;
                    continue;
                }
            };
            lines.push(Span::new(start, at));
            at += width;
            start = at;
        }
        lines.push(Span::new(start, text.len()));
        Self { text: text.to_owned(), lines }
    }

    /// The place of a byte offset. An offset past the end is the end, one inside a character is that character.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        let line = self.lines.partition_point(|line| line.start <= offset).max(1);
        let start = self.lines.get(line - 1).map_or(0, |line| line.start);
        let mut end = offset.clamp(start, self.text.len().max(start));
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let column = self.text.get(start..end).map_or(0, |before| before.chars().count()) + 1;
        Position { line, column }
    }

    /// Text of a line (from 1) without its terminator; empty for a line that does not exist.
    #[must_use]
    pub fn line_text(&self, line: usize) -> &str {
        let span = line.checked_sub(1).and_then(|index| self.lines.get(index));
        span.and_then(|span| self.text.get(span.range())).unwrap_or_default()
    }

    /// Number of lines; a text that ends with a newline has an empty last one.
    #[must_use]
    pub fn line_count(&self) -> usize {
        self.lines.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_every_kind_of_line_end() {
        let index = LineIndex::new("\u{feff}aé\r\nb\rc\n");
        let at = |offset| index.position(offset).to_string();
        assert_eq!([at(0), at(3), at(4), at(5), at(6)], ["1:1", "1:1", "1:2", "1:2", "1:3"]);
        assert_eq!([at(8), at(10), at(12), at(99)], ["2:1", "3:1", "4:1", "4:1"]);
        assert_eq!(index.line_text(1), "aé");
        assert_eq!((index.line_text(2), index.line_text(3), index.line_text(4)), ("b", "c", ""));
        assert_eq!((index.line_text(0), index.line_text(9), index.line_count()), ("", "", 4));
    }
}
