//! Items to statements, given somebody who knows how many items a statement takes.
//!
//! Newlines do not end a statement, so only the directive table of `config` can split `path /a auth token x`. This crate knows no
//! directive: it asks a [`Layout`], and falls back to line ends where that has no answer.

use crate::{Block, Item, Span, Word};

/// A directive with its arguments and its block: some words, then at most one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'t> {
    /// Its items; never empty.
    pub items: &'t [Item],
}

/// What somebody who knows the directives tells about them.
pub trait Layout {
    /// How many of `items` (never empty) make up the first statement inside the statements `path`, outermost first.
    ///
    /// `None` if that is not known: the statement then ends with its line. A statement always ends after its first block,
    /// and a block always belongs to the words in front of it.
    fn statement_len(&self, path: &[Statement<'_>], items: &[Item]) -> Option<usize>;

    /// Whether an empty line must stand between two neighbours. Where it need not, the author's choice stays.
    fn blank_line_between(&self, path: &[Statement<'_>], before: Statement<'_>, after: Statement<'_>) -> bool {
        path.is_empty() && (before.block().is_some() || after.block().is_some())
    }
}

/// The layout of somebody who knows no directive: a statement ends with its line.
#[derive(Debug, Clone, Copy, Default)]
pub struct LineLayout;

impl Layout for LineLayout {
    fn statement_len(&self, _path: &[Statement<'_>], _items: &[Item]) -> Option<usize> {
        None
    }
}

impl<'t> Statement<'t> {
    /// Its first word; missing only for a block without a name, which `parse` has reported.
    #[must_use]
    pub fn name(&self) -> Option<&'t Word> {
        self.items.first().and_then(Item::as_word)
    }

    /// Its words, the name included.
    pub fn words(&self) -> impl Iterator<Item = &'t Word> + use<'t> {
        self.items.iter().filter_map(Item::as_word)
    }

    /// Its words after the name.
    pub fn args(&self) -> impl Iterator<Item = &'t Word> + use<'t> {
        self.words().skip(1)
    }

    /// Its block.
    #[must_use]
    pub fn block(&self) -> Option<&'t Block> {
        self.items.last().and_then(Item::as_block)
    }

    /// From its first item to its last.
    #[must_use]
    pub fn span(&self) -> Span {
        let first = self.items.first().map(Item::span).unwrap_or_default();
        self.items.last().map_or(first, |last| first.to(last.span()))
    }
}

/// Splits the items of a file (empty `path`) or of the block of the last statement of `path`.
#[must_use]
pub fn statements<'t>(items: &'t [Item], path: &[Statement<'_>], layout: &dyn Layout) -> Vec<Statement<'t>> {
    let mut found = Vec::new();
    let mut rest = items;
    while !rest.is_empty() {
        let len = match layout.statement_len(path, rest) {
            Some(len) => len.max(1),
            None => {
                1 + rest.iter().skip(1).take_while(|item| !item.as_word().is_some_and(|word| word.line_start)).count()
            }
        };
        // Up to the first block, and with the block that follows the last word.
        let words = rest.iter().take(len).take_while(|item| item.as_word().is_some()).count();
        let block = usize::from(rest.get(words).is_some_and(|item| item.as_block().is_some()));
        let (items, after) = rest.split_at(words + block);
        found.push(Statement { items });
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    /// Every statement takes this many items.
    struct Fixed(usize);

    impl Layout for Fixed {
        fn statement_len(&self, _path: &[Statement<'_>], _items: &[Item]) -> Option<usize> {
            Some(self.0)
        }
    }

    fn split(text: &str, layout: &dyn Layout) -> Vec<String> {
        let (tree, _) = parse(text.as_bytes());
        statements(tree.items(), &[], layout).iter().map(|s| tree.slice(s.span()).replace('\n', "|")).collect()
    }

    #[test]
    fn statements_end_with_their_line_unless_the_layout_knows_better() {
        assert_eq!(split("a b\nc { d } e f\n{ g }\n{ h }", &LineLayout), ["a b", "c { d }", "e f|{ g }", "{ h }"]);
        assert_eq!(split("a b\nc d e {} f", &Fixed(2)), ["a b", "c d", "e {}", "f"]);
        assert_eq!(split("a b {} c", &Fixed(0)), ["a", "b {}", "c"]);
        assert_eq!(split("a {} b {}", &Fixed(9)), ["a {}", "b {}"]);
    }
}
