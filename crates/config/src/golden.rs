//! Golden cases: `tests/golden/config/*.txt`.
//!
//! A file holds cases, separated by lines of ten `=`. A case is a configuration, a line of ten `-`, and what it comes to: diagnostics, or
//! else where its JSON differs from that of a minimal file. With `UPDATE_GOLDEN=1` in the environment the test writes what it gets.

use std::collections::BTreeSet;
use std::path::PathBuf;

use hookaido_syntax::{Item, LineIndex, Severity, parse, statements};
use serde_json::Value;

use crate::layout::{BlockLayout, opened};
use crate::table::{row_of, rows};
use crate::{CODES, Compiled, Context, FixedEnvironment, adapt, compile, example};

const CASES: &[u8] = b"==========\n";
const RESULT: &[u8] = b"----------\n";

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/config"))
}

fn environment() -> FixedEnvironment {
    FixedEnvironment::with_vars([("X", "x-value"), ("GITHUB_PASSWORD", "p"), ("CI_TOKEN", "t")])
}

/// A configuration and what it comes to.
type Case = (Vec<u8>, Vec<u8>);

/// Every file with its cases: configuration and expected result.
fn files() -> Vec<(PathBuf, Vec<Case>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let cases = split(&bytes, CASES).into_iter().map(|case| {
            let mut parts = split(case, RESULT).into_iter();
            let (text, result) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            (text.to_vec(), result.to_vec())
        });
        files.push((path, cases.collect()));
    }
    files.sort();
    files
}

/// Splits at lines that are `line`.
fn split<'b>(bytes: &'b [u8], line: &[u8]) -> Vec<&'b [u8]> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    for text in bytes.split_inclusive(|&byte| byte == b'\n') {
        if text == line {
            parts.push(&bytes[start..at]);
            start = at + text.len();
        }
        at += text.len();
    }
    parts.push(&bytes[start..]);
    parts
}

fn result(text: &[u8]) -> String {
    let compiled = compile(text, &environment());
    let mut out = String::new();
    diagnostics(&compiled, &mut out);
    if let Some(config) = &compiled.config {
        let minimal = compile(b"/a { deliver https://h/ { } }", &environment()).config.unwrap();
        differences("", &adapt(&minimal), &adapt(config), &mut out);
    }
    out
}

fn diagnostics(compiled: &Compiled, out: &mut String) {
    let lines = LineIndex::new(compiled.tree.text());
    for diagnostic in &compiled.diagnostics {
        let severity = if diagnostic.severity == Severity::Error { "error" } else { "warning" };
        let (start, end) = (lines.position(diagnostic.span.start), lines.position(diagnostic.span.end));
        out.push_str(&format!("{severity}[{}]: {}\n --> {start}-{end}\n", diagnostic.code, diagnostic.message));
        if let Some(label) = &diagnostic.label {
            out.push_str(&format!("  = here: {label}\n"));
        }
        for related in &diagnostic.related {
            out.push_str(&format!("  = {}: {}\n", lines.position(related.span.start), related.text));
        }
        if let Some(help) = &diagnostic.help {
            out.push_str(&format!("  = help: {help}\n"));
        }
    }
}

fn differences(path: &str, minimal: &Value, value: &Value, out: &mut String) {
    match (minimal, value) {
        (a, b) if a == b => {}
        (Value::Object(a), Value::Object(b)) => {
            for (name, value) in b {
                differences(&format!("{path}/{name}"), a.get(name).unwrap_or(&Value::Null), value, out);
            }
        }
        (a, Value::Array(b)) if b.iter().any(Value::is_object) => {
            for (at, value) in b.iter().enumerate() {
                differences(&format!("{path}/{at}"), a.get(0).unwrap_or(&Value::Null), value, out);
            }
        }
        (_, Value::Object(b)) if !b.is_empty() => {
            b.iter().for_each(|(name, value)| differences(&format!("{path}/{name}"), &Value::Null, value, out));
        }
        (_, value) => out.push_str(&format!("{path} = {value}\n")),
    }
}

#[test]
fn every_case_comes_to_what_it_says() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for (path, cases) in files() {
        let mut written = Vec::new();
        for (text, expected) in cases {
            let got = result(&text);
            if got.as_bytes() != expected {
                let (text, expected) = (String::from_utf8_lossy(&text), String::from_utf8_lossy(&expected));
                wrong.push(format!("{}\n{text}--- expected\n{expected}--- got\n{got}", path.display()));
            }
            written.push([text.as_slice(), RESULT, got.as_bytes()].concat());
        }
        if update {
            std::fs::write(&path, written.join(CASES)).unwrap();
        }
    }
    assert!(update || wrong.is_empty(), "{}", wrong.join("\n==========\n"));
}

#[test]
fn every_code_has_a_case() {
    let mut seen = BTreeSet::new();
    for (_, cases) in files() {
        for (text, _) in cases {
            seen.extend(compile(&text, &environment()).diagnostics.iter().map(|diagnostic| diagnostic.code));
        }
    }
    // E0901 is found by `run` only, and has a test beside its code.
    let known: BTreeSet<&str> = CODES.iter().map(|(code, _)| *code).filter(|code| *code != "E0901").collect();
    assert_eq!(known.difference(&seen).collect::<Vec<_>>(), Vec::<&&str>::new(), "codes without a case");
    assert_eq!(seen.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new(), "codes that the list does not know");
}

#[test]
fn every_directive_has_a_case_that_compiles() {
    let mut used = BTreeSet::new();
    for (_, cases) in files() {
        for (text, _) in cases.iter().filter(|(text, _)| compile(text, &environment()).is_valid()) {
            collect(parse(text).0.items(), Context::Top, &mut used);
        }
    }
    for context in Context::ALL {
        for row in rows(context) {
            assert!(used.contains(&(context, row.name)), "no case for {} in {}", row.name, context.title());
        }
    }
}

fn collect(items: &[Item], context: Context, used: &mut BTreeSet<(Context, &'static str)>) {
    for statement in statements(items, &[], &BlockLayout(context)) {
        used.extend(statement.name().and_then(|name| row_of(context, name)).map(|row| (context, row.name)));
        if let Some((block, inner)) = statement.block().zip(opened(context, statement.items)) {
            collect(&block.items, inner, used);
        }
    }
}

#[test]
fn the_examples_of_the_reference_are_cases() {
    let path = folder().join("directives.txt");
    let mut texts: Vec<&str> = Context::ALL.into_iter().map(example).collect();
    texts.dedup();
    if std::env::var_os("UPDATE_GOLDEN").is_some() && !path.exists() {
        let cases = texts.iter().map(|text| [text.as_bytes(), RESULT].concat());
        std::fs::write(&path, cases.collect::<Vec<_>>().join(CASES)).unwrap();
    }
    let cases = split(&std::fs::read(&path).unwrap(), CASES)
        .iter()
        .map(|case| split(case, RESULT)[0].to_vec())
        .collect::<Vec<_>>();
    for text in texts {
        assert!(cases.iter().any(|case| case == text.as_bytes()), "directives.txt lacks\n{text}");
    }
}
