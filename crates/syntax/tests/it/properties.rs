//! Arbitrary texts: nothing is lost, nothing panics, formatting keeps the meaning and is idempotent.

use hookaido_syntax::{Item, Span};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{formatted, is_sound, parsed};

/// Pieces that make most texts nearly legal, so that the interesting paths are taken.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            " ", "\n", "\n\n", "\r\n", "\r", "\t", "{", "}", " {", "}\n", "\"", "\\", "#", "# c\n", " # t \n", "a", "/b", "\u{feff}",
            "\0", "{$X}", "{$X:d e}", "{env.A}", "{file./p}", "{vars.N}", "\"{vars.N}\"", "\"a\\\"b\"", "\"\\q\\\\\"", "{$", "\u{a0}", "é",
        ]).prop_map(str::to_owned),
        1 => "[a-z/:.@$]{1,8}",
        1 => "\"[a-z {}#$.\\\\]{0,8}\"",
        1 => any::<char>().prop_map(String::from),
    ]
}

fn text() -> impl Strategy<Value = String> {
    vec(piece(), 0..40).prop_map(|pieces| pieces.concat())
}

/// Legal texts: words, comments and balanced blocks in any arrangement.
fn sound_text() -> impl Strategy<Value = String> {
    let space =
        prop::sample::select(vec![" ", "\n", "\n\n\n", "\t", "\r\n", " # c\n", "\n # own \n", "#x\r", "\n\n#y\n\n"]);
    let word = prop::sample::select(vec!["a", "b;", "/c", "\"d e\"", "\"\\\\f{$X}\"", "{$Y:z}", "{env.A}", "\"\""]);
    let leaf = (word.clone(), space.clone()).prop_map(|(word, space)| format!("{word}{space}"));
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let block = (word.clone(), space.clone(), space.clone(), vec(inner.clone(), 0..4), space.clone())
            .prop_map(|(name, gap, first, items, last)| format!("{name}{gap}{{{first}{}}}{last}", items.concat()));
        prop_oneof![vec(inner, 1..6).prop_map(|items| items.concat()), block]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_kept(bytes in vec(any::<u8>(), 0..200)) {
        parsed(&bytes);
    }

    #[test]
    fn arbitrary_texts_are_kept_and_format_if_they_are_sound(text in text()) {
        let (tree, diagnostics) = parsed(text.as_bytes());
        if is_sound(&diagnostics) {
            formatted(&tree);
        } else {
            // Broken trees may come out in any shape, but they do come out.
            let _ = hookaido_syntax::format(&tree);
        }
    }

    #[test]
    fn sound_texts_format(text in sound_text()) {
        let (tree, diagnostics) = parsed(text.as_bytes());
        prop_assert!(is_sound(&diagnostics), "{diagnostics:?}");
        formatted(&tree);
    }

    #[test]
    fn replacing_a_word_changes_nothing_else(text in sound_text(), pick in any::<prop::sample::Index>()) {
        let (tree, _) = parsed(text.as_bytes());
        let span = pick.get(tree.items()).span();
        let (edited, _) = tree.replace(span, "new").expect("a span of this tree");
        let (before, rest) = text.split_at(span.start);
        let (old, after) = rest.split_at(span.end - span.start);
        prop_assert_eq!(edited.text(), format!("{before}new{after}"));
        let (back, _) = edited.replace(Span::new(span.start, span.start + 3), old).expect("the place just written");
        prop_assert_eq!(back, tree);
    }

    #[test]
    fn an_inserted_statement_is_the_last_of_its_block(text in sound_text()) {
        let (tree, _) = parsed(text.as_bytes());
        let Some(block) = tree.items().iter().find_map(Item::as_block) else { return Ok(()) };
        let (edited, diagnostics) = tree.insert_into_block(block, "new {\n  x\n}").expect("a closed block");
        prop_assert!(is_sound(&diagnostics), "{diagnostics:?}");
        let found = edited.items().iter().find_map(Item::as_block).expect("the same block");
        prop_assert_eq!(found.items.len(), block.items.len() + 2);
        prop_assert_eq!(edited.items().len(), tree.items().len());
    }
}
