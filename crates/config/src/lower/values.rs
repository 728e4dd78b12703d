//! Values of single directives, by name: as written, or else the default of the table's row.

use std::time::Duration;

use hookaido_model::{SecretRef, UnixMillis};
use hookaido_syntax::{Diagnostic, Span};

use super::Lowering;
use crate::Context;
use crate::read::{Arg, Node, Section};
use crate::table::{Kind, Row, row};
use crate::value::{self, UrlProblem, trim};

/// A value and where it stands; `None` if the default was taken.
pub(crate) struct Given<T> {
    pub(crate) value: T,
    pub(crate) span: Option<Span>,
}

impl Lowering {
    /// A whole number; zero where none is given and the row has no default.
    pub(super) fn int(&mut self, section: &Section, name: &str) -> u64 {
        self.int_given(section, name).unwrap_or_else(|| default_of(section.context, name).parse().unwrap_or(0))
    }

    /// A whole number, if one is given that is right.
    pub(super) fn int_given(&mut self, section: &Section, name: &str) -> Option<u64> {
        let (row, arg) = given(section, name)?;
        self.int_of(row, section.context, arg)
    }

    fn int_of(&mut self, row: &Row, context: Context, arg: &Arg) -> Option<u64> {
        let text = self.not_empty(row, context, arg)?;
        let (min, max, off) = match row.kind {
            Kind::Int(min, max) => (min, max, false),
            _ => (0, i64::MAX, true),
        };
        if off && text.eq_ignore_ascii_case("off") {
            return Some(0);
        }
        let number = value::integer(text).filter(|number| (min..=max).contains(number));
        let unsigned = number.and_then(|number| u64::try_from(number).ok());
        if unsigned.is_none() {
            let range = match (min, max) {
                (min, i64::MAX) => format!("a whole number of at least {min}"),
                (min, max) => format!("a whole number from {min} to {max}"),
            };
            let range = if off { format!("{range}, or `off`") } else { range };
            self.wrong("E0202", row, context, arg, &range);
        }
        unsigned
    }

    /// A whole number where `off` and 0 mean no bound.
    pub(super) fn bound(&mut self, section: &Section, name: &str) -> Option<u64> {
        Some(self.int(section, name)).filter(|&bound| bound > 0)
    }

    /// A duration, or the default.
    pub(super) fn duration(&mut self, section: &Section, name: &str) -> Duration {
        let default = || value::duration(default_of(section.context, name)).unwrap_or_default();
        self.duration_given(section, name).unwrap_or_else(default)
    }

    /// A duration, if one is given that is right.
    pub(super) fn duration_given(&mut self, section: &Section, name: &str) -> Option<Duration> {
        let (row, arg) = given(section, name)?;
        self.duration_of(row, section.context, arg)
    }

    pub(super) fn duration_of(&mut self, row: &Row, context: Context, arg: &Arg) -> Option<Duration> {
        let text = self.not_empty(row, context, arg)?;
        let positive = row.kind == Kind::PositiveDuration;
        match value::duration(text) {
            Ok(duration) if positive && duration.is_zero() => {
                self.wrong("E0203", row, context, arg, "a duration above zero such as `5s`");
                None
            }
            Ok(duration) => Some(duration),
            Err(_) => {
                let or_off = if positive { "" } else { ", or `off`" };
                self.wrong(
                    "E0203",
                    row,
                    context,
                    arg,
                    &format!("a duration such as `250ms`, `5s`, `1h30m` or `7d`{or_off}"),
                );
                None
            }
        }
    }

    /// A duration where `off` and 0 mean no bound.
    pub(super) fn time_bound(&mut self, section: &Section, name: &str) -> Option<Duration> {
        Some(self.duration(section, name)).filter(|bound| !bound.is_zero())
    }

    /// A size in bytes, if one is given that is right; `off` and 0 are nothing where the row allows them.
    pub(super) fn size_given(&mut self, section: &Section, name: &str) -> Option<u64> {
        let (row, arg) = given(section, name)?;
        let off = row.kind == Kind::SizeOrOff;
        let text = trim(&arg.text);
        if off && (text.is_empty() || text == "0" || text.eq_ignore_ascii_case("off")) {
            return None;
        }
        let text = self.not_empty(row, section.context, arg)?;
        match value::size(text) {
            Ok(size) => Some(size),
            Err(_) => {
                let expected = "a size above zero such as `64kb` or `2mb`, at most `1024gb`";
                self.wrong("E0204", row, section.context, arg, expected);
                None
            }
        }
    }

    /// A size in bytes, or the default.
    pub(super) fn size(&mut self, section: &Section, name: &str) -> u64 {
        let default = || value::size(default_of(section.context, name)).unwrap_or(0);
        self.size_given(section, name).unwrap_or_else(default)
    }

    /// `on` or `off`, or the default.
    pub(super) fn switch(&mut self, section: &Section, name: &str) -> bool {
        let default = || default_of(section.context, name) == "on";
        self.switch_given(section, name).unwrap_or_else(default)
    }

    /// `on` or `off`, if one is given that is right.
    pub(super) fn switch_given(&mut self, section: &Section, name: &str) -> Option<bool> {
        let (row, arg) = given(section, name)?;
        self.switch_of(row, section.context, arg)
    }

    pub(super) fn switch_of(&mut self, row: &Row, context: Context, arg: &Arg) -> Option<bool> {
        let switch = value::switch(trim(&arg.text));
        if switch.is_none() {
            self.wrong("E0205", row, context, arg, "`on` or `off` (or `true`, `1`, `false`, `0`)");
        }
        switch
    }

    /// One of the words of the row, lower case, if one is given that is right.
    pub(super) fn one_of(&mut self, section: &Section, name: &str) -> Option<&'static str> {
        let (row, arg) = given(section, name)?;
        self.one_of_arg(row, section.context, arg)
    }

    pub(super) fn one_of_arg(&mut self, row: &Row, context: Context, arg: &Arg) -> Option<&'static str> {
        let Kind::OneOf(words) = row.kind else { return None };
        let text = trim(&arg.text);
        // The names of providers are the only words whose case counts.
        let text = if row.name == "provider" { text.to_owned() } else { text.to_ascii_lowercase() };
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            let list = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
            let near = crate::suggest::nearest(&text, words.iter().copied());
            let expected = format!("one of {list}");
            let help = near.map_or_else(|| format!("write {expected}"), |near| format!("did you mean `{near}`?"));
            let message = format!("`{}` must be {expected}{}", full_name(row, context), shown(row, arg));
            self.error_help("E0206", arg.span, message, help);
        }
        found
    }

    /// Text without blanks at its ends, if some is given.
    pub(super) fn text(&mut self, section: &Section, name: &str) -> Option<String> {
        let (row, arg) = given(section, name)?;
        self.not_empty(row, section.context, arg).map(str::to_owned)
    }

    /// Text of every value of every statement.
    pub(super) fn texts(&mut self, section: &Section, name: &str) -> Vec<Given<String>> {
        let Some(row) = row(section.context, name) else { return Vec::new() };
        let mut texts = Vec::new();
        for arg in section.values(name) {
            if let Some(text) = self.not_empty(row, section.context, arg) {
                texts.push(Given { value: text.to_owned(), span: Some(arg.span) });
            }
        }
        texts
    }

    /// A header name, or the default.
    pub(super) fn header_name(&mut self, section: &Section, name: &str) -> Given<String> {
        let default = || Given { value: default_of(section.context, name).to_owned(), span: None };
        let Some((row, arg)) = given(section, name) else { return default() };
        match self.header_name_of(row, section.context, arg) {
            Some(value) => Given { value, span: Some(arg.span) },
            None => default(),
        }
    }

    pub(super) fn header_name_of(&mut self, row: &Row, context: Context, arg: &Arg) -> Option<String> {
        let text = self.not_empty(row, context, arg)?;
        if !value::is_header_name(text) {
            self.wrong("E0210", row, context, arg, "a header name: letters, digits and `-`, without blanks");
            return None;
        }
        Some(text.to_owned())
    }

    /// An absolute `http` or `https` URL.
    pub(super) fn url_of(&mut self, what: &str, arg: &Arg) -> Option<String> {
        let text = trim(&arg.text);
        if text.is_empty() {
            self.empty(what, arg);
            return None;
        }
        let problem = match value::http_url(text) {
            Ok(url) => return Some(url),
            Err(UrlProblem::Invalid) => "is not a URL",
            Err(UrlProblem::Scheme) => "must start with `https://` or `http://`",
            Err(UrlProblem::Host) => "names no host",
        };
        self.error_help("E0208", arg.span, format!("{what} {problem}"), "write it like `https://host.example/path`");
        None
    }

    /// A reference to a secret.
    pub(super) fn secret_of(&mut self, what: &str, arg: &Arg) -> Option<SecretRef> {
        let text = trim(&arg.text);
        if text.is_empty() {
            self.empty(what, arg);
            return None;
        }
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        // A value counts as it is; only the names of the others stand without white space.
        let rest = if scheme == "raw" && !trim(rest).is_empty() { rest } else { trim(rest) };
        let missing = match scheme {
            "env" => "names no variable",
            "file" => "names no file",
            "raw" => "has no value",
            "vault" => "names no key",
            _ => {
                let near = ["env", "file", "vault", "raw"].into_iter().find(|known| known.eq_ignore_ascii_case(scheme));
                let help = near.filter(|_| text.contains(':')).map_or_else(
                    || "write `env:NAME`, `file:PATH`, `vault:PATH` or `raw:VALUE`".to_owned(),
                    |near| format!("write `{near}:` in lower case"),
                );
                self.error_help("E0209", arg.span, format!("{what} must say where the secret is"), help);
                return None;
            }
        };
        if rest.is_empty() {
            self.error_help(
                "E0209",
                arg.span,
                format!("{what} {missing}"),
                format!("write something after `{scheme}:`"),
            );
            return None;
        }
        SecretRef::parse(&format!("{scheme}:{rest}"))
    }

    /// An RFC 3339 time, if one is given.
    pub(super) fn time(&mut self, section: &Section, name: &str) -> Option<Given<UnixMillis>> {
        let (row, arg) = given(section, name)?;
        let text = self.not_empty(row, section.context, arg)?;
        let Some(at) = value::time(text) else {
            self.wrong("E0213", row, section.context, arg, "an RFC 3339 time such as `2026-02-06T12:00:00Z`");
            return None;
        };
        Some(Given { value: at, span: Some(arg.span) })
    }

    /// The text of a value, reported if it is empty.
    pub(super) fn not_empty<'a>(&mut self, row: &Row, context: Context, arg: &'a Arg) -> Option<&'a str> {
        let text = trim(&arg.text);
        if text.is_empty() {
            self.empty(&format!("`{}`", full_name(row, context)), arg);
            return None;
        }
        Some(text)
    }

    pub(super) fn empty(&mut self, what: &str, arg: &Arg) {
        let help = if arg.literal {
            "write a value, or remove the directive"
        } else {
            "what its placeholder stands for is empty"
        };
        self.error_help("E0201", arg.span, format!("{what} must not be empty"), help);
    }

    /// Reports a value that is not what its row asks for.
    pub(super) fn wrong(&mut self, code: &'static str, row: &Row, context: Context, arg: &Arg, expected: &str) {
        let message = format!("`{}` must be {expected}{}", full_name(row, context), shown(row, arg));
        self.report(Diagnostic::error(code, arg.span, message));
    }
}

/// The row and the first value of a directive that is given with one.
pub(super) fn given<'s, 't>(section: &'s Section<'t>, name: &str) -> Option<(&'static Row, &'s Arg<'t>)> {
    section.find(name).and_then(|node| Some((node.row, node.args.first()?)))
}

/// Whether a directive is given.
pub(super) fn is_given(section: &Section, name: &str) -> bool {
    section.mentions(name)
}

/// The first value of a statement.
pub(super) fn first<'s, 't>(node: &'s Node<'t>) -> Option<&'s Arg<'t>> {
    node.args.first()
}

pub(super) fn default_of(context: Context, name: &str) -> &'static str {
    row(context, name).map_or("", |row| row.default)
}

/// `block.directive`, as in messages.
pub(super) fn full_name(row: &Row, context: Context) -> String {
    match context {
        Context::Top | Context::Route => row.name.to_owned(),
        context if context.title().starts_with("route.") => {
            format!("{} {}", context.title().trim_start_matches("route."), row.name)
        }
        context => format!("{}.{}", context.title(), row.name),
    }
}

/// The value, unless it may be a secret: placeholders and secret references stay out of messages.
fn shown(row: &Row, arg: &Arg) -> String {
    if row.kind == Kind::Secret || !arg.literal || arg.text.chars().count() > 40 {
        return String::new();
    }
    format!(", not `{}`", arg.text.escape_debug())
}
