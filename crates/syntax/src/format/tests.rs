//! Golden cases: text, and its canonical form.

use crate::{Item, Layout, Statement, format, format_with, parse};

/// A language in which `one` and `two` take that many arguments.
struct Small;

impl Layout for Small {
    fn statement_len(&self, _path: &[Statement<'_>], items: &[Item]) -> Option<usize> {
        match items.first()?.as_word()?.value.as_str() {
            "zero" => Some(1),
            "one" => Some(2),
            "two" => Some(3),
            _ => None,
        }
    }
}

fn check(cases: &[(&str, &str)], formatted: impl Fn(&str) -> String) {
    for (text, want) in cases {
        assert_eq!(formatted(text), *want, "{text:?}");
        assert_eq!(formatted(want), *want, "again: {text:?}");
    }
}

#[test]
fn canonical_form_without_knowing_the_directives() {
    let by_lines = |text: &str| format(&parse(text.as_bytes()).0);
    check(
        &[
            ("", ""),
            ("\u{feff}a   b\t{c}\r\n", "a b {\n  c\n}\n"),
            ("/a{pull{path /a}}", "/a {\n  pull {\n    path /a\n  }\n}\n"),
            ("a { }", "a {\n}\n"),
            ("a\n{\n\n\n b\n\n\n c\n\n}", "a {\n  b\n\n  c\n}\n"),
            ("a {}\nb {}\n\n\n\nc\nd\n\ne", "a {\n}\n\nb {\n}\n\nc\nd\n\ne\n"),
            ("a { b {} c {}\n d {} }", "a {\n  b {\n  }\n  c {\n  }\n  d {\n  }\n}\n"),
            ("a {} b {}", "a {\n}\n\nb {\n}\n"),
            (r#"a"b\q\\ \" \n" "" {$X:"}"#, "a \"b\\\\q\\\\ \\\" \\n\" \"\" {$X:\"}\n"),
            ("a \"x\ty\"", "a \"x\\ty\"\n"),
            ("\u{feff}\u{feff}a", "\u{feff}\u{feff}a\n"),
        ],
        by_lines,
    );
}

#[test]
fn comments_stay_where_they_belong() {
    let by_lines = |text: &str| format(&parse(text.as_bytes()).0);
    check(
        &[
            ("#a  \n#\n\n\n#b\nx", "#a\n#\n\n#b\nx\n"),
            ("# only", "# only\n"),
            ("a {} # t\n# about b\nb {} # u\n# end", "a {\n} # t\n\n# about b\nb {\n} # u\n# end\n"),
            ("a {} # t\n\n# lone\n\n# about b\nb {}\n\n# end", "a {\n} # t\n\n# lone\n\n# about b\nb {\n}\n\n# end\n"),
            ("a { # open\n\n # first\n\n b # t\n # last\n\n}", "a { # open\n  # first\n\n  b # t\n  # last\n}\n"),
            ("a { # open\n}", "a { # open\n}\n"),
            ("a {\n # in\n}", "a {\n  # in\n}\n"),
            ("a # c\n{ b }", "a { # c\n  b\n}\n"),
            ("a # c\n # d\n { # e\n b }", "a { # c\n  # d\n  # e\n  b\n}\n"),
            ("a b#c\nd", "a b #c\nd\n"),
            ("a {\n b { } # t\n}", "a {\n  b {\n  } # t\n}\n"),
        ],
        by_lines,
    );
}

#[test]
fn a_layout_splits_what_stands_on_one_line_and_joins_what_does_not() {
    let small = |text: &str| format_with(&parse(text.as_bytes()).0, &Small);
    check(
        &[
            ("a { one 1 two 1 2 zero one 1 {} }", "a {\n  one 1\n  two 1 2\n  zero\n  one 1 {\n  }\n}\n"),
            ("two\n1\n\n2", "two 1 2\n"),
            ("two 1 # c\n2 one 1", "two 1 # c\n  2\none 1\n"),
            ("a {\ntwo\n# c\n1\n2 # d\n}", "a {\n  two\n    # c\n    1 2 # d\n}\n"),
            ("one 1 one 2 # c\n\none 3", "one 1\none 2 # c\n\none 3\n"),
        ],
        small,
    );
}

#[test]
fn strings_and_bodies_come_out_as_the_reference_writes_them() {
    let text = r#"pull_api { auth token raw:t }
"/a" {
  match { header "X-A" "C:\certs\s.pem \"q\" \\ \n#" }
  pull { path "/a" }
}
"#;
    let want = r#"pull_api {
  auth token raw:t
}

"/a" {
  match {
    header "X-A" "C:\\certs\\s.pem \"q\" \\ \n#"
  }
  pull {
    path "/a"
  }
}
"#;
    check(&[(text, want)], |text| format(&parse(text.as_bytes()).0));
}
