//! Placeholders inside a value: `{$VAR}`, `{$VAR:default}`, `{env.X}`, `{file.P}`, `{vars.N}`.
//!
//! Finds them; replacing them is the business of `config`. A placeholder ends at the first `}`, so they do not nest: the
//! reference reads from left to right and never looks at what it has put in. It does so twice, though: first for `vars` (if
//! the file has such a block), then for everything from outside, which is why [`split`] takes a [`Pass`].

use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::combinator::value;
use nom::{IResult, Parser};

use crate::Span;

/// Where the value of a placeholder comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlaceholderKind {
    /// `{$NAME}` or `{$NAME:default}`: environment variable.
    Dollar,
    /// `{env.NAME}`: environment variable; no default, a `:` belongs to the name.
    Env,
    /// `{file.PATH}`: content of a file.
    File,
    /// `{vars.NAME}`: a value of the file's `vars` block. Only inside quoted strings.
    Vars,
}

/// One placeholder.
#[derive(Clone, PartialEq, Eq)]
pub struct Placeholder {
    /// Where its value comes from.
    pub kind: PlaceholderKind,
    /// Name or path, exactly as written.
    pub name: String,
    /// Text after the first `:`, for `{$NAME:default}` only.
    pub default: Option<String>,
    /// From `{` to `}`; to the end of the value if it is not closed.
    pub span: Span,
    /// Whether its `}` is there.
    pub closed: bool,
}

/// A piece of a value.
#[derive(Clone, PartialEq, Eq)]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// Text to be replaced.
    Placeholder(Placeholder),
}

/// Which placeholders to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// `{vars.N}` only.
    Vars,
    /// `{$X}`, `{env.X}` and `{file.P}`.
    Outside,
    /// Any.
    All,
}

/// Leaves out the default, which may be a secret.
impl std::fmt::Debug for Placeholder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}({:?}) at {:?}", self.kind, self.name, self.span)
    }
}

/// Leaves out the text, which may be a secret.
impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Placeholder(placeholder) => placeholder.fmt(f),
        }
    }
}

impl Pass {
    fn covers(self, kind: PlaceholderKind) -> bool {
        match self {
            Self::Vars => kind == PlaceholderKind::Vars,
            Self::Outside => kind != PlaceholderKind::Vars,
            Self::All => true,
        }
    }
}

impl PlaceholderKind {
    /// How a placeholder of this kind begins.
    #[must_use]
    pub const fn opening(self) -> &'static str {
        match self {
            Self::Dollar => "{$",
            Self::Env => "{env.",
            Self::File => "{file.",
            Self::Vars => "{vars.",
        }
    }
}

/// Splits a value (escapes already resolved) into text and placeholders. Spans are offsets into `text`.
#[must_use]
pub fn split(text: &str, pass: Pass) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut plain = String::new();
    while let Some(brace) = rest.find('{') {
        let (before, from_brace) = rest.split_at(brace);
        plain.push_str(before);
        let start = text.len() - from_brace.len();
        match opening(from_brace) {
            Ok((inner, kind)) if pass.covers(kind) => {
                let (inside, after) = inner.split_once('}').map_or((inner, None), |(a, b)| (a, Some(b)));
                rest = after.unwrap_or_default();
                flush(&mut parts, &mut plain);
                let span = Span::new(start, text.len() - rest.len());
                parts.push(Part::Placeholder(placeholder(kind, inside, span, after.is_some())));
            }
            _ => {
                let (brace, after) = from_brace.split_at(1);
                plain.push_str(brace);
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    flush(&mut parts, &mut plain);
    parts
}

/// The start of a placeholder of any kind.
pub(crate) fn opening(input: &str) -> IResult<&str, PlaceholderKind> {
    use PlaceholderKind::{Dollar, Env, File, Vars};
    let start = |kind: PlaceholderKind| value(kind, tag(kind.opening()));
    alt((start(Dollar), start(Env), start(File), start(Vars))).parse(input)
}

fn flush(parts: &mut Vec<Part>, plain: &mut String) {
    if !plain.is_empty() {
        parts.push(Part::Text(std::mem::take(plain)));
    }
}

fn placeholder(kind: PlaceholderKind, inside: &str, span: Span, closed: bool) -> Placeholder {
    let (name, default) = match inside.split_once(':') {
        Some((name, default)) if kind == PlaceholderKind::Dollar => (name, Some(default.to_owned())),
        _ => (inside, None),
    };
    Placeholder { kind, name: name.to_owned(), default, span, closed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, pass: Pass) -> String {
        let show = |part| match part {
            Part::Text(text) => format!("'{text}'"),
            Part::Placeholder(p) => {
                let default = p.default.map(|d| format!("={d}")).unwrap_or_default();
                format!("{:?}({}{default}){}", p.kind, p.name, if p.closed { "" } else { "!" })
            }
        };
        split(text, pass).into_iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn placeholders_end_at_the_first_brace() {
        let table = [
            ("", ""),
            ("a{$X:b:c}d", "'a' Dollar(X=b:c) 'd'"),
            ("{env.X:b}{file./a b}", "Env(X:b) File(/a b)"),
            ("{$NO:{env.X}}", "Dollar(NO={env.X) '}'"),
            ("{{$X}}", "'{' Dollar(X) '}'"),
            ("\\{$X} {vars.N}", "'\\' Dollar(X) ' ' Vars(N)"),
            ("{Env.X}{ $X}{unknown.X}{", "'{Env.X}{ $X}{unknown.X}{'"),
            ("{$}{$:d}", "Dollar() Dollar(=d)"),
            ("x{$X", "'x' Dollar(X)!"),
        ];
        for (text, want) in table {
            assert_eq!(shown(text, Pass::All), want, "{text}");
        }
    }

    #[test]
    fn vars_and_the_outside_are_separate_passes() {
        let text = "{file.{vars.DIR}/x}";
        assert_eq!(shown(text, Pass::Vars), "'{file.' Vars(DIR) '/x}'");
        assert_eq!(shown(text, Pass::Outside), "File({vars.DIR) '/x}'");
    }
}
