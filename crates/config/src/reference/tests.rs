//! The reference is complete, its examples compile, and the file in `docs` is what the table says.

use std::collections::BTreeSet;

use hookaido_syntax::{Item, format_with, parse, statements};

use super::{example, markdown, reference};
use crate::layout::{BlockLayout, opened};
use crate::table::{row_of, rows};
use crate::{Context, FixedEnvironment, LanguageLayout, compile};

fn environment() -> FixedEnvironment {
    FixedEnvironment::with_vars([("GITHUB_PASSWORD", "p"), ("CI_TOKEN", "t")])
}

#[test]
fn every_example_compiles_and_is_canonical() {
    for context in Context::ALL {
        let text = example(context);
        let compiled = compile(text.as_bytes(), &environment());
        assert_eq!(compiled.errors().collect::<Vec<_>>(), Vec::<&hookaido_syntax::Diagnostic>::new(), "{context:?}");
        assert_eq!(format_with(&compiled.tree, &LanguageLayout), text, "{context:?}");
    }
}

#[test]
fn every_directive_is_in_the_example_of_its_block() {
    for context in Context::ALL {
        let mut used = BTreeSet::new();
        Context::ALL.into_iter().for_each(|other| {
            let (tree, _) = parse(example(other).as_bytes());
            collect(tree.items(), Context::Top, &mut used);
        });
        for row in rows(context) {
            assert!(used.contains(&(context, row.name)), "{:?} {}", context, row.name);
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
fn every_directive_is_explained_in_one_line() {
    for context in Context::ALL {
        for row in rows(context) {
            assert!(row.doc.len() > 5 && row.doc.ends_with('.') && !row.doc.contains('\n'), "{context:?} {}", row.name);
        }
    }
}

#[test]
fn the_reference_finds_directives_and_near_misses() {
    let text = reference(Some("max_lease_ttl")).unwrap();
    assert_eq!(
        text,
        "max_lease_ttl in pull_api\n  Longest lease time; `off` for no bound.\n  write:   max_lease_ttl VALUE\n  \
         value:   duration, or `off`\n  default: off\n  reload:  restart\n\n"
    );
    assert!(reference(Some("egress")).unwrap().contains("https_only in defaults.egress"));
    assert_eq!(
        reference(Some("max_lease_tll")).unwrap_err(),
        "there is no directive `max_lease_tll`; did you mean `max_lease_ttl`?"
    );
    assert!(reference(None).unwrap().lines().count() > 300);
}

#[test]
fn the_page_in_docs_is_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == markdown(), "docs/configuration.md is not up to date; run `cargo xtask reference`");
}

#[test]
fn every_sample_file_compiles() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut samples: Vec<_> =
        std::fs::read_dir(root.join("config")).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    samples.push(root.join("Hookaido.conf"));
    assert!(samples.len() > 1);
    for path in samples {
        let compiled = compile(&std::fs::read(&path).unwrap(), &environment());
        let errors: Vec<_> = compiled.errors().map(|error| (error.code, error.message.as_str())).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    }
}

#[test]
fn every_sample_in_the_pages_compiles() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages: Vec<_> = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.push(root.join("README.md"));
    let mut count = 0;
    for page in pages.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(page).unwrap();
        for sample in text.split("```hookaido\n").skip(1) {
            let sample = sample.split("```").next().unwrap();
            let compiled = compile(sample.as_bytes(), &environment());
            let errors: Vec<_> = compiled.errors().map(|error| (error.code, error.message.as_str())).collect();
            assert!(errors.is_empty(), "{}: {errors:?} in\n{sample}", page.display());
            count += 1;
        }
    }
    assert!(count > 5, "{count}");
}
