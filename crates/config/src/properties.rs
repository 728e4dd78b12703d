//! Properties that hold for any text: nothing panics, formatting changes no meaning and nothing a second time, and time grows linearly.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use hookaido_model::config::Config;
use hookaido_syntax::Diagnostic;
use proptest::prelude::*;

use crate::conformance::environment;
use crate::table::rows;
use crate::{Compiled, Context, adapt, compile, example, format, plan, unsupported, validate_json};

/// Words that the language knows, and some that it does not.
fn word() -> impl Strategy<Value = String> {
    let names: Vec<String> = Context::ALL
        .into_iter()
        .flat_map(rows)
        .map(|row| row.name.to_owned())
        .chain(VALUES.map(str::to_owned))
        .collect();
    prop_oneof![
        6 => proptest::sample::select(names),
        2 => Just("{".to_owned()),
        2 => Just("}".to_owned()),
        1 => "\\PC{0,6}",
    ]
}

const VALUES: [&str; 28] = [
    "/a",
    "/b",
    "@m",
    "on",
    "off",
    "0",
    "5",
    "-1",
    "5s",
    "7d",
    "2mb",
    ":8080",
    ":9443",
    "raw:x",
    "env:X",
    "bad:",
    "\"\"",
    "{$X}",
    "{$",
    "\"{vars.A}\"",
    "https://h/",
    "exec",
    "token",
    "hmac",
    "secret_ref",
    "max",
    "# c\n",
    "github",
];

fn everything(text: &str) -> Compiled {
    let compiled = compile(text.as_bytes(), &environment());
    let _report = validate_json(&compiled, "x");
    if let Some(config) = &compiled.config {
        let _json = (adapt(config), unsupported(config, &compiled.tree));
        assert!(plan(config, config).is_empty());
    }
    compiled
}

/// What is left of diagnostics when places are forgotten: formatting moves them, and moves neighbours of one line past each other.
fn codes(compiled: &Compiled) -> Vec<&'static str> {
    let mut codes: Vec<_> = compiled.diagnostics.iter().map(|Diagnostic { code, .. }| *code).collect();
    codes.sort_unstable();
    codes
}

/// Formatting keeps the meaning, the problems and the comments, and a second time it changes nothing.
fn formatting_keeps_everything(text: &str) {
    let before = everything(text);
    let Ok(formatted) = format(text.as_bytes()) else { return };
    let after = everything(&formatted);
    assert_eq!(before.config, after.config, "{text}\n{formatted}");
    assert_eq!(codes(&before), codes(&after), "{text}\n{formatted}");
    assert_eq!(format(formatted.as_bytes()).as_deref(), Ok(formatted.as_str()));
    assert_eq!(before.tree.comments().len(), after.tree.comments().len(), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let compiled = compile(&bytes, &environment());
        prop_assert_eq!(compiled.config.is_some(), compiled.errors().next().is_none());
    }

    #[test]
    fn no_words_make_it_panic_or_lose_meaning(words in proptest::collection::vec(word(), 0..40)) {
        formatting_keeps_everything(&words.join(" "));
    }

    #[test]
    fn broken_examples_neither(which in 0..36usize, at in 0..200usize, words in proptest::collection::vec(word(), 0..3), cut in 0..4usize) {
        let text = example(Context::ALL[which]);
        let mut tokens: Vec<&str> = text.split_inclusive([' ', '\n']).collect();
        let at = at % tokens.len();
        let end = (at + cut).min(tokens.len());
        let new = format!("{} ", words.join(" "));
        tokens.splice(at..end, [new.as_str()]);
        formatting_keeps_everything(&tokens.concat());
    }
}

#[test]
fn formatting_keeps_the_meaning_of_every_recorded_text() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/config.jsonl");
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let record: crate::conformance::Record = serde_json::from_str(line).unwrap();
        formatting_keeps_everything(&record.text);
    }
}

/// A file with so many routes of the usual size.
fn many_routes(count: usize) -> String {
    let mut text = String::from("pull_api { auth token raw:t }\n");
    for at in 0..count {
        let _ = writeln!(
            text,
            "/hooks/team-{}/endpoint-{at} {{\n  match {{ method POST header \"X-Event\" \"push\" }}\n  auth hmac env:SECRET\n  \
             rate_limit {{ rps 50 }}\n  pull {{ path /team/{at} }}\n}}",
            at % 97
        );
    }
    text
}

fn compiled_in(text: &str) -> (Duration, Option<Config>) {
    let start = Instant::now();
    let compiled = compile(text.as_bytes(), &environment());
    (start.elapsed(), compiled.config)
}

#[test]
fn time_grows_linearly_with_routes() {
    let (small, large) = (many_routes(500), many_routes(5000));
    let fastest = |text: &str| (0..3).map(|_| compiled_in(text).0).min().unwrap();
    let (small, large_time) = (fastest(&small), fastest(&large));
    assert!(compiled_in(&large).1.is_some_and(|config| config.routes.len() == 5000));
    // Ten times the routes: a quadratic check would take a hundred times as long.
    assert!(large_time < small * 40, "500 routes: {small:?}, 5000 routes: {large_time:?}");
}

/// The budget of `config validate` for a large file; only meaningful with optimisation and on a quiet machine.
#[test]
#[cfg(not(debug_assertions))]
fn ten_thousand_routes_compile_within_their_budget() {
    let text = many_routes(10_000);
    let parsed = (0..5).map(|_| {
        let start = Instant::now();
        let _tree = hookaido_syntax::parse(text.as_bytes());
        start.elapsed()
    });
    let parsed = parsed.min().unwrap();
    let compiled = (0..5).map(|_| compiled_in(&text).0).min().unwrap();
    println!("10,000 routes, {} bytes: parsed in {parsed:?}, compiled in {compiled:?}", text.len());
    assert!(compiled < Duration::from_millis(100), "{compiled:?}");
}
