//! Tables: text to tree, and broken text to diagnostics.

use super::*;
use crate::LineIndex;

/// The tree in a compact form: `^` starts a line, quotes stand around quoted words, `<kind name>` are placeholders.
fn shown(items: &[Item]) -> String {
    let show = |item: &Item| match item {
        Item::Block(block) => format!("{{{}}}", shown(&block.items)),
        Item::Word(word) => {
            let part = |part: &Part| match part {
                Part::Text(text) => text.clone(),
                Part::Placeholder(p) => format!("<{:?} {}>", p.kind, p.name),
            };
            let parts: String = word.parts.iter().map(part).collect();
            let value = if word.parts.is_empty() { word.value.clone() } else { parts };
            let start = if word.line_start { "^" } else { "" };
            if word.quoted { format!("{start}{value:?}") } else { format!("{start}{value}") }
        }
    };
    items.iter().map(show).collect::<Vec<_>>().join(" ")
}

fn tree(text: &str) -> String {
    shown(parse(text.as_bytes()).0.items())
}

/// `code@line:column`, or `code@line:column-column` where more than one character is marked.
fn problems(bytes: &[u8]) -> Vec<String> {
    let (tree, diagnostics) = parse(bytes);
    let index = LineIndex::new(tree.text());
    let show = |d: &Diagnostic| {
        let width = tree.slice(d.span).chars().count();
        let start = index.position(d.span.start);
        let end = if width > 1 { format!("-{}", start.column + width) } else { String::new() };
        format!("{}@{start}{end}", d.code)
    };
    diagnostics.iter().map(show).collect()
}

#[test]
fn words_end_where_the_reference_ends_them() {
    let table = [
        ("a{b}c", "^a {b} c"),
        ("a\"b\"c", "^a \"b\" c"),
        ("a#b c\nd", "^a ^d"),
        ("a;b // /*c*/ `d 'e' \\\nf", "^a;b // /*c*/ `d 'e' \\ ^f"),
        ("\u{feff}a", "^a"),
        ("\u{feff}\u{feff}a", "^\u{feff}a"),
        ("a\r\nb\rc\td", "^a ^b ^c d"),
        ("# c\rb", "^b"),
        ("a\0b", "^a\0b"),
        // Other Unicode white space is part of a word, as it is for the reference.
        ("a\u{a0}b\u{2003}c\u{85}d\u{b}e", "^a\u{a0}b\u{2003}c\u{85}d\u{b}e"),
        ("\"\" \"a\tb\" \"\\\\ \\\" \\n \\t \\r \\q \\\\n\"", r#"^"" "a\tb" "\\ \" \n \t \r \\q \\n""#),
        ("\"#{}\" {}", "^\"#{}\" {}"),
        ("a { # c\n b\n}", "^a {^b}"),
    ];
    for (text, want) in table {
        assert_eq!(tree(text), want, "{text:?}");
        assert_eq!(problems(text.as_bytes()), [""; 0], "{text:?}");
    }
}

#[test]
fn placeholders_are_words_of_their_own_or_stand_in_strings() {
    let table = [
        ("x{$A:b}c{env.B}{file./c}d", "^x <Dollar A> c <Env B> <File /c> d"),
        ("x {$A:\"#} y", "^x <Dollar A> y"),
        ("x{ $A}{y}{vars.A b}", "^x {$A} {y} {vars.A b}"),
        ("x {$A:}}", "^x <Dollar A>"),
        (r#"x "a{$A:b c}{vars.V}\{env.E}\\""#, r#"^x "a<Dollar A><Vars V>\\<Env E>\\""#),
        ("x \"{unknown.X}{{vars.N\"", "^x \"{unknown.X}{<Vars N>\""),
        ("x {$A\u{a0}b}", "^x <Dollar A\u{a0}b>"),
    ];
    for (text, want) in table {
        assert_eq!(tree(text), want, "{text:?}");
    }
}

#[test]
fn placeholder_spans_point_into_the_text_past_escapes() {
    let (tree, diagnostics) = parse(br#"x "\\a\q\"{$A:\t}\n{file.P}" {env.X}"#);
    let spans: Vec<_> = tree
        .items()
        .iter()
        .filter_map(Item::as_word)
        .flat_map(Word::placeholders)
        .map(|placeholder| tree.slice(placeholder.span))
        .collect();
    assert_eq!((spans, diagnostics), (vec![r"{$A:\t}", "{file.P}", "{env.X}"], vec![]));
}

#[test]
fn every_problem_is_reported_where_it_is() {
    let table: &[(&[u8], &[&str])] = &[
        (b"", &["E0002@1:1"]),
        (b"\n# only a comment", &["E0002@1:1"]),
        (b"\xef\xbb\xbf", &["E0002@1:1"]),
        (b"a \xff\xfeb \xff", &["E0001@1:3-5", "E0001@1:7"]),
        (b"a # \xff \xff\nb # \xe9", &["W0001@1:3-8", "W0001@2:3-6"]),
        (b"a { b \"c }\nd \"\\\"\n}\n", &["E0003@1:7-9", "E0003@2:3-6", "E0006@3:1"]),
        (b"a {$X b", &["E0004@1:3-6"]),
        (b"a { b \"x{env.X\" \"{vars.N\" }", &["E0011@1:9-15"]),
        (b"a {\n  b {\n", &["E0005@2:5"]),
        (b"a }\n} b", &["E0006@1:3", "E0006@2:1"]),
        (b"{ a { { } } }", &["E0007@1:1", "E0007@1:7"]),
        (b"a {vars.N} {vars.}", &["E0008@1:3-11", "E0008@1:12-19"]),
        (b"a {$} \"{$:d}{env.}{file.}\"", &["E0010@1:3-6", "E0010@1:8-13", "E0010@1:13-19", "E0010@1:19-26"]),
    ];
    for (bytes, want) in table {
        assert_eq!(problems(bytes), *want, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn recovery_keeps_the_structure_around_a_problem() {
    let table = [
        ("a { b \"c }\nd { e }", "^a {b \"c\"} ^d {e}"),
        ("a \"b c", "^a \"b c\""),
        ("a } b { c }", "^a b {c}"),
        ("a { b { c", "^a {b {c}}"),
        ("a {$X { b }", "^a <Dollar X> {b}"),
    ];
    for (text, want) in table {
        assert_eq!(tree(text), want, "{text:?}");
    }
}

#[test]
fn depth_and_number_of_diagnostics_are_bounded() {
    let deep = format!("{}x{}", "a {".repeat(100_000), "}".repeat(100_000));
    assert_eq!(problems(deep.as_bytes()), [format!("E0009@1:{}", 3 * MAX_DEPTH + 3)]);
    let just_right = format!("{}x{}", "a {".repeat(MAX_DEPTH), "}".repeat(MAX_DEPTH));
    assert_eq!(problems(just_right.as_bytes()), [""; 0]);
    assert_eq!(problems("a }".repeat(100_000).as_bytes()).len(), MAX_DIAGNOSTICS);
    assert_eq!(problems(&[b"a \xff ".as_slice(); 50_000].concat()).len(), MAX_DIAGNOSTICS);
}

#[test]
fn values_never_show_in_debug_output() {
    let (tree, diagnostics) = parse(b"token \"hush{$X:hush}\" hush {vars.N} \"hush");
    let index = LineIndex::new(tree.text());
    let parts = crate::split("hush{$X:hush}", Pass::All);
    let shown = format!("{tree:?} {diagnostics:?} {index:?} {parts:?}");
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn an_unclosed_block_names_the_blocks_around_it() {
    let (_, diagnostics) = parse(b"a { b { c {}");
    let related: Vec<_> = diagnostics[0].related.iter().map(|label| label.span.start).collect();
    assert_eq!((diagnostics[0].span.start, related), (6, vec![12, 2]));
}
