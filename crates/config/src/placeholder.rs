//! Placeholders replaced: first `{vars.N}` (if the file has `vars`), then everything from outside.
//!
//! What has been put in is never looked at again by the same pass, as in the reference.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hookaido_syntax::{Diagnostic, Part, Pass, Placeholder, PlaceholderKind, Span, Tree, Word, split};

use crate::Environment;
use crate::suggest::nearest;

/// Replaces placeholders; collects what is wrong with them.
pub(crate) struct Resolver<'a> {
    tree: &'a Tree,
    environment: &'a dyn Environment,
    /// Variables of the file; `None` if it has no `vars` block.
    vars: Option<BTreeMap<String, String>>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// A variable as it is written.
pub(crate) struct RawVar<'t> {
    pub(crate) name: &'t str,
    pub(crate) value: &'t Word,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(tree: &'a Tree, environment: &'a dyn Environment) -> Self {
        Self { tree, environment, vars: None, diagnostics: Vec::new() }
    }

    /// Takes the variables of the file, nested ones replaced, and gives them back resolved.
    pub(crate) fn set_vars(&mut self, raw: &[RawVar<'_>]) -> BTreeMap<String, String> {
        let index: BTreeMap<&str, &RawVar<'_>> = raw.iter().map(|var| (var.name, var)).collect();
        let mut done: BTreeMap<String, Option<String>> = BTreeMap::new();
        for var in raw {
            self.expand_var(var, &index, &mut Vec::new(), &mut done);
        }
        let mut vars = BTreeMap::new();
        for (name, text) in done {
            let span = index.get(name.as_str()).map(|var| var.value.span).unwrap_or_default();
            let text = self.outside(&text.unwrap_or_default(), span);
            vars.insert(name, text);
        }
        self.vars = Some(vars.clone());
        vars
    }

    /// Variables inside of variables, depth first; `path` holds those that are being expanded.
    fn expand_var<'v>(
        &mut self,
        var: &'v RawVar<'_>,
        index: &BTreeMap<&str, &'v RawVar<'_>>,
        path: &mut Vec<&'v str>,
        done: &mut BTreeMap<String, Option<String>>,
    ) -> Option<String> {
        if let Some(known) = done.get(var.name) {
            return known.clone();
        }
        if let Some(start) = path.iter().position(|&name| name == var.name) {
            let cycle: Vec<_> = path.iter().skip(start).copied().chain([var.name]).collect();
            let message = format!("variables use each other in a circle: {}", cycle.join(" -> "));
            self.diagnostics.push(
                Diagnostic::error("E0303", var.value.span, message).with_help("give one of them a value of its own"),
            );
            return None;
        }
        path.push(var.name);
        let mut text = Some(String::new());
        for part in var.value.split(self.tree, Pass::Vars) {
            let piece = match part {
                Part::Text(piece) => Some(piece),
                Part::Placeholder(placeholder) => match index.get(placeholder.name.as_str()) {
                    Some(&inner) if placeholder.closed => self.expand_var(inner, index, path, done),
                    _ => {
                        self.unknown_var(&placeholder, placeholder.span, index.keys().copied());
                        None
                    }
                },
            };
            text = text.zip(piece).map(|(text, piece)| text + &piece);
        }
        path.pop();
        done.insert(var.name.to_owned(), text.clone());
        text
    }

    /// The text of a word with everything replaced. On a problem, what can be told of it.
    pub(crate) fn word<'t>(&mut self, word: &'t Word) -> Cow<'t, str> {
        match word.literal() {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(self.replaced(word)),
        }
    }

    fn replaced(&mut self, word: &Word) -> String {
        let Some(vars) = self.vars.take() else {
            let parts = word.split(self.tree, Pass::Outside);
            return self.join(parts);
        };
        let mut text = String::new();
        for part in word.split(self.tree, Pass::Vars) {
            match part {
                Part::Text(piece) => text.push_str(&piece),
                Part::Placeholder(placeholder) => match vars.get(&placeholder.name) {
                    Some(value) if placeholder.closed => text.push_str(value),
                    _ => self.unknown_var(&placeholder, placeholder.span, vars.keys().map(String::as_str)),
                },
            }
        }
        self.vars = Some(vars);
        self.outside(&text, word.span)
    }

    /// Whether a word is written so that nothing has to be replaced.
    pub(crate) fn is_literal(&self, word: &Word) -> bool {
        word.literal().is_some()
    }

    fn outside(&mut self, text: &str, span: Span) -> String {
        let mut parts = split(text, Pass::Outside);
        for part in &mut parts {
            if let Part::Placeholder(placeholder) = part {
                placeholder.span = span;
            }
        }
        self.join(parts)
    }

    fn join(&mut self, parts: Vec<Part>) -> String {
        parts.into_iter().fold(String::new(), |text, part| match part {
            Part::Text(piece) => text + &piece,
            Part::Placeholder(placeholder) => text + &self.value(&placeholder),
        })
    }

    fn value(&mut self, placeholder: &Placeholder) -> String {
        let Placeholder { kind, name, default, span, closed } = placeholder;
        if !closed || name.is_empty() {
            // The parser reports these where they are written; here they come out of a variable of the environment.
            return String::new();
        }
        match kind {
            PlaceholderKind::Dollar | PlaceholderKind::Env => match (self.environment.var(name), default) {
                (Some(value), _) => value,
                (None, Some(default)) => default.clone(),
                (None, None) => {
                    let message = format!("environment variable `{name}` is not set, so nothing stands in its place");
                    let help = format!("set it, or write `{{${name}:default}}`");
                    self.diagnostics.push(Diagnostic::warning("W0301", *span, message).with_help(help));
                    String::new()
                }
            },
            PlaceholderKind::File => match self.environment.read(name) {
                // An editor ends a file with a newline that nobody means as part of the value.
                Ok(text) => {
                    text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t)).to_owned()
                }
                Err(error) => {
                    let message = format!("cannot read `{name}`: {error}");
                    self.diagnostics.push(
                        Diagnostic::error("E0301", *span, message)
                            .with_help("check the path and who may read the file"),
                    );
                    String::new()
                }
            },
            PlaceholderKind::Vars => String::new(),
        }
    }

    fn unknown_var<'n>(&mut self, placeholder: &Placeholder, span: Span, known: impl Iterator<Item = &'n str>) {
        let (message, help) = if !placeholder.closed {
            ("the placeholder `{vars.` is not closed".to_owned(), Some("write it as `{vars.NAME}`".to_owned()))
        } else if placeholder.name.is_empty() {
            ("this placeholder names no variable".to_owned(), Some("write it as `{vars.NAME}`".to_owned()))
        } else {
            let near = nearest(&placeholder.name, known).map(|name| format!("did you mean `{{vars.{name}}}`?"));
            (format!("there is no variable `{}` in `vars`", placeholder.name), near)
        };
        let mut diagnostic = Diagnostic::error("E0302", span, message);
        diagnostic.help = help;
        self.diagnostics.push(diagnostic);
    }
}
