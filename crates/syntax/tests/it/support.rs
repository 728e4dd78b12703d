//! What must hold for every text, whatever it is.

use hookaido_syntax::{Diagnostic, Item, Part, Tree, format, parse};

/// Parses bytes and checks what holds for all: nothing is lost, nothing leaves the text, problems are in order and in place.
pub(crate) fn parsed(bytes: &[u8]) -> (Tree, Vec<Diagnostic>) {
    let (tree, diagnostics) = parse(bytes);
    assert_eq!(tree.to_source(), bytes, "the tree lost something");
    let mut covered = String::new();
    let mut spans = Vec::new();
    leaves(tree.items(), &mut spans);
    spans.extend(tree.comments().iter().map(|comment| comment.span));
    spans.sort();
    let mut at = 0;
    for span in spans {
        let gap = tree.text().get(at..span.start).expect("spans in order that do not overlap");
        covered.push_str(gap);
        assert!(!tree.slice(span).is_empty());
        at = span.end;
    }
    covered.push_str(tree.text().get(at..).expect("the rest"));
    let dropped = covered.trim_start_matches('\u{feff}').replace([' ', '\t', '\r', '\n'], "");
    let braces_only = dropped.chars().all(|c| matches!(c, '{' | '}'));
    assert!(braces_only && (dropped.is_empty() || !diagnostics.is_empty()), "outside of all items: {dropped:?}");
    for diagnostic in &diagnostics {
        assert!(tree.text().get(diagnostic.span.range()).is_some(), "{diagnostic:?}");
    }
    (tree, diagnostics)
}

/// Whether the tree is what its author meant.
pub(crate) fn is_sound(diagnostics: &[Diagnostic]) -> bool {
    !diagnostics.iter().any(Diagnostic::breaks_structure)
}

/// Formats a sound tree and checks that its words, blocks and comments are the same and that a second time changes nothing.
pub(crate) fn formatted(tree: &Tree) -> String {
    let once = format(tree);
    let (again, diagnostics) = parsed(once.as_bytes());
    assert!(is_sound(&diagnostics), "formatting broke the text: {diagnostics:?}\n{once}");
    assert_eq!(words(again.items()), words(tree.items()), "formatting changed the meaning");
    assert_eq!(comments(&again), comments(tree), "formatting lost a comment");
    assert_eq!(format(&again), once, "formatting is not idempotent");
    once
}

fn leaves(items: &[Item], spans: &mut Vec<hookaido_syntax::Span>) {
    for item in items {
        match item {
            Item::Word(word) => spans.push(word.span),
            Item::Block(block) => {
                spans.push(block.open);
                leaves(&block.items, spans);
                spans.extend(block.close);
            }
        }
    }
}

/// The meaning of items: everything but where they stand.
fn words(items: &[Item]) -> Vec<String> {
    let mut found = Vec::new();
    for item in items {
        match item {
            Item::Word(word) => {
                let part = |part: &Part| match part {
                    Part::Text(text) => format!("'{text}'"),
                    Part::Placeholder(p) => format!("{:?} {:?} {:?}", p.kind, p.name, p.default),
                };
                let parts: Vec<_> = word.parts.iter().map(part).collect();
                found.push(format!("{} {:?} {}", word.quoted, word.value, parts.join(" ")));
            }
            Item::Block(block) => {
                found.push("{".to_owned());
                found.extend(words(&block.items));
                found.push("}".to_owned());
            }
        }
    }
    found
}

fn comments(tree: &Tree) -> Vec<&str> {
    tree.comments().iter().map(|comment| tree.slice(comment.span).trim_end()).collect()
}
