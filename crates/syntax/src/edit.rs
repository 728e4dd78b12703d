//! Edits: a change to one place of a file that leaves every other byte as it is.
//!
//! Each returns the tree of the edited file with its diagnostics; whether to keep the result is up to the caller. Called on behalf of
//! the admin API, with spans and blocks of the very tree that is edited.

use crate::{Block, Diagnostic, Span, Tree, parse};

/// Why an edit cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The span does not lie in the text, or cuts a character in two.
    #[error("bytes {}..{} are no place in this file; use a span of the tree that is edited", .0.start, .0.end)]
    NoSuchPlace(Span),
    /// The block has no `}`.
    #[error("the block at byte {} is not closed, so nothing can be added to it; close it first", .0.start)]
    UnclosedBlock(Span),
}

impl Tree {
    /// Puts `new_text` in the place of `span`.
    ///
    /// # Errors
    /// If `span` is no place in this file.
    pub fn replace(&self, span: Span, new_text: &str) -> Result<(Self, Vec<Diagnostic>), EditError> {
        if self.text().get(span.range()).is_none() {
            return Err(EditError::NoSuchPlace(span));
        }
        let bytes = self.to_source();
        let (start, end) = (self.source.file_offset(span.start), self.source.file_offset(span.end));
        let mut edited = Vec::with_capacity(bytes.len() + new_text.len());
        edited.extend(bytes.iter().take(start));
        edited.extend_from_slice(new_text.as_bytes());
        edited.extend(bytes.iter().skip(end));
        Ok(parse(&edited))
    }

    /// Removes `span`, and its whole line if nothing else stands on it.
    ///
    /// # Errors
    /// If `span` is no place in this file.
    pub fn remove(&self, span: Span) -> Result<(Self, Vec<Diagnostic>), EditError> {
        let text = self.text();
        let (Some(before), Some(after)) = (text.get(..span.start), text.get(span.end..)) else {
            return Err(EditError::NoSuchPlace(span));
        };
        let line = before.trim_end_matches([' ', '\t']);
        let rest = after.trim_start_matches([' ', '\t']);
        let line_end = ["\r\n", "\n", "\r"].into_iter().find(|end| rest.starts_with(end));
        let alone = line.is_empty() || line.ends_with(['\n', '\r']);
        match line_end {
            Some(line_end) if alone => {
                self.replace(Span::new(line.len(), text.len() - rest.len() + line_end.len()), "")
            }
            _ => self.replace(span, ""),
        }
    }

    /// Adds `statement`, which may have several lines, as the last one of `block`, on lines of its own and indented to match.
    ///
    /// # Errors
    /// If `block` is not closed, or not of this tree.
    pub fn insert_into_block(&self, block: &Block, statement: &str) -> Result<(Self, Vec<Diagnostic>), EditError> {
        let close = block.close.ok_or(EditError::UnclosedBlock(block.open))?;
        let before = self.text().get(..close.start).ok_or(EditError::NoSuchPlace(close))?;
        let newline = if self.text().contains("\r\n") { "\r\n" } else { "\n" };
        let line = before.trim_end_matches([' ', '\t']);
        let indent = indentation(self.text().get(..block.open.start).unwrap_or_default());
        let mut added = String::new();
        let start = if line.ends_with(['\n', '\r']) {
            line.len()
        } else {
            added.push_str(newline);
            line.len()
        };
        for text in statement.lines() {
            if !text.trim().is_empty() {
                added.push_str(indent);
                added.push_str("  ");
                added.push_str(text);
            }
            added.push_str(newline);
        }
        added.push_str(indent);
        self.replace(Span::new(start, close.start), &added)
    }
}

/// White space at the start of the last line of `text`.
fn indentation(text: &str) -> &str {
    let line = text.rsplit(['\n', '\r']).next().unwrap_or_default();
    let rest = line.trim_start_matches([' ', '\t']);
    line.strip_suffix(rest).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_block(tree: &Tree) -> &Block {
        tree.items().iter().find_map(|item| item.as_block()).expect("a block")
    }

    #[test]
    fn replace_changes_nothing_else() {
        let (tree, _) = parse(b"# \xe9\r\n/a { path  /x } # t\xff");
        let word = tree.items()[1].as_block().unwrap().items[1].span();
        let (edited, diagnostics) = tree.replace(word, "/long").unwrap();
        assert_eq!(edited.to_source(), b"# \xe9\r\n/a { path  /long } # t\xff");
        assert!(diagnostics.iter().all(|d| !d.is_error()));
        assert_eq!(tree.replace(Span::new(3, 2), ""), Err(EditError::NoSuchPlace(Span::new(3, 2))));
        assert_eq!(tree.replace(Span::new(0, 999), ""), Err(EditError::NoSuchPlace(Span::new(0, 999))));
    }

    #[test]
    fn inserted_statements_stand_on_their_own_lines() {
        let table = [
            ("/a {\n  x\n}\n", "/a {\n  x\n  p {\n    q\n  }\n}\n"),
            ("  /a {  }", "  /a {\n    p {\n      q\n    }\n  }"),
            ("/a { x # c\r\n}", "/a { x # c\r\n  p {\r\n    q\r\n  }\r\n}"),
            ("/a { x }", "/a { x\n  p {\n    q\n  }\n}"),
        ];
        for (text, want) in table {
            let (tree, _) = parse(text.as_bytes());
            let (edited, diagnostics) = tree.insert_into_block(first_block(&tree), "p {\n  q\n}").unwrap();
            assert_eq!((edited.text(), diagnostics), (want, vec![]), "{text}");
        }
        let (tree, _) = parse(b"/a {");
        assert_eq!(tree.insert_into_block(first_block(&tree), "p"), Err(EditError::UnclosedBlock(Span::new(3, 4))));
    }

    #[test]
    fn removing_all_of_a_line_removes_the_line() {
        let remove = |text: &str, what: &str| {
            let start = text.find(what).unwrap();
            let (tree, _) = parse(text.as_bytes());
            tree.remove(Span::new(start, start + what.len())).unwrap().0.text().to_owned()
        };
        assert_eq!(remove("a\r\n  b c\r\nd", "b c"), "a\r\nd");
        assert_eq!(remove("a\n  b c # d\n", "b c"), "a\n   # d\n");
        assert_eq!(remove("b\n", "b"), "");
    }
}
