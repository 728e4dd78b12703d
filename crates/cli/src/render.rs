//! Diagnostics for people: the source line underlined, what was expected, what to write instead.

use std::io::IsTerminal;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use hookaido_syntax::{Diagnostic, Tree};

/// All diagnostics of a file, one below the other, with a closing line that counts them.
pub(crate) fn diagnostics(path: &str, tree: &Tree, found: &[Diagnostic]) -> String {
    let renderer = if std::io::stderr().is_terminal() { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let mut text = String::new();
    for diagnostic in found {
        text.push_str(&one(&renderer, path, tree.text(), diagnostic));
        text.push_str("\n\n");
    }
    let errors = found.iter().filter(|diagnostic| diagnostic.is_error()).count();
    text.push_str(&summary(path, errors, found.len() - errors));
    text
}

fn one(renderer: &Renderer, path: &str, source: &str, diagnostic: &Diagnostic) -> String {
    let level = if diagnostic.is_error() { Level::ERROR } else { Level::WARNING };
    let main = AnnotationKind::Primary.span(shown(source, diagnostic.span.range()));
    let main = match &diagnostic.label {
        Some(label) => main.label(label.as_str()),
        None => main,
    };
    let others = diagnostic
        .related
        .iter()
        .map(|related| AnnotationKind::Context.span(shown(source, related.span.range())).label(related.text.as_str()));
    let snippet = Snippet::source(source).path(path).annotation(main).annotations(others);
    let mut group = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code).element(snippet);
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// A range that lies in the text and does not reach beyond its first line, so that a whole block is not printed.
fn shown(source: &str, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let start = range.start.min(source.len());
    let text = source.get(start..range.end.min(source.len())).unwrap_or_default();
    start..start + text.find(['\n', '\r']).unwrap_or(text.len())
}

fn summary(path: &str, errors: usize, warnings: usize) -> String {
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    format!("{path}: {}, {}", count(errors, "error"), count(warnings, "warning"))
}
