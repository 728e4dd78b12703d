//! The directive table as text for people: `config reference` and `docs/configuration.md`.

mod examples;

use std::fmt::Write as _;

use crate::Context;
use crate::read::form;
use crate::suggest::nearest;
use crate::table::{Kind, Reload, Row, Shape, rows};

pub use examples::example;

/// Every directive, or those called `name`; a block's name gives its directives, too.
///
/// # Errors
/// There is none; the text says which one may have been meant.
pub fn reference(name: Option<&str>) -> Result<String, String> {
    let mut text = String::new();
    for context in Context::ALL {
        let whole = name.is_none_or(|name| context.title() == name || context.title().ends_with(&format!(".{name}")));
        for row in rows(context).iter().filter(|row| whole || name == Some(row.name)) {
            write_row(&mut text, context, row);
        }
    }
    if !text.is_empty() {
        return Ok(text);
    }
    let name = name.unwrap_or_default();
    let names = Context::ALL.into_iter().flat_map(|context| rows(context).iter().map(|row| row.name));
    Err(match nearest(name, names) {
        Some(near) => format!("there is no directive `{name}`; did you mean `{near}`?"),
        None => format!("there is no directive `{name}`"),
    })
}

fn write_row(text: &mut String, context: Context, row: &Row) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{} in {}", row.name, context.title());
    let _ = writeln!(text, "  {}", row.doc);
    let _ = writeln!(text, "  write:   {}", form(row).replace('`', ""));
    if let Some(kind) = kind(row) {
        let _ = writeln!(text, "  value:   {kind}");
    }
    if !row.default.is_empty() {
        let _ = writeln!(text, "  default: {}", row.default);
    }
    let _ = writeln!(text, "  reload:  {}", reload(row.reload));
    text.push('\n');
}

/// `docs/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(HEAD);
    for context in Context::ALL {
        let _ = writeln!(text, "\n## {}\n", heading(context));
        let _ = writeln!(text, "| directive | value | default | reload | |\n|---|---|---|---|---|");
        for row in rows(context) {
            let written = form(row).replace('|', "\\|");
            let kind = kind(row).unwrap_or_default().replace('|', "\\|");
            let default = if row.default.is_empty() { String::new() } else { format!("`{}`", row.default) };
            let many = if row.repeats { " May be repeated." } else { "" };
            let _ = writeln!(text, "| {written} | {kind} | {default} | {} | {}{many} |", reload_of(row), row.doc);
        }
        let _ = writeln!(text, "\n```hookaido\n{}```", example(context));
    }
    text
}

fn heading(context: Context) -> String {
    match context {
        Context::Top => "The file".to_owned(),
        context => format!("`{}`", context.title()),
    }
}

/// What a reload does with a row; a block that is live as such leaves it to its directives.
fn reload_of(row: &Row) -> &'static str {
    if row.kind == Kind::None && row.shape == Shape::Block && row.reload == Reload::Live {
        ""
    } else {
        reload(row.reload)
    }
}

fn reload(reload: Reload) -> &'static str {
    match reload {
        Reload::Live => "live",
        Reload::Restart => "restart",
    }
}

/// What a value must be, for people.
fn kind(row: &Row) -> Option<String> {
    Some(match row.kind {
        Kind::None => return None,
        Kind::Text => "text".to_owned(),
        Kind::Raw => "any text".to_owned(),
        Kind::Address => "`host:port`".to_owned(),
        Kind::Prefix => "path or nothing".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Int(min, i64::MAX) => format!("whole number from {min}"),
        Kind::Int(min, max) => format!("whole number {min} to {max}"),
        Kind::CountOrOff => "whole number, or `off`".to_owned(),
        Kind::Rate => "number above 0".to_owned(),
        Kind::Duration => "duration, or `off`".to_owned(),
        Kind::PositiveDuration => "duration above 0".to_owned(),
        Kind::Size => "size from 1b to 1024gb".to_owned(),
        Kind::SizeOrOff => "size up to 1024gb, or `off`".to_owned(),
        Kind::Switch => "`on` or `off`".to_owned(),
        Kind::OneOf(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::Secret => "`env:NAME`, `file:PATH`, `vault:PATH` or `raw:VALUE`".to_owned(),
        Kind::Url => "URL, `http` or `https`".to_owned(),
        Kind::HeaderName => "header name".to_owned(),
        Kind::Label => "1 to 128 of `A-Z a-z 0-9 . _ : -`".to_owned(),
        Kind::Time => "RFC 3339 time".to_owned(),
    })
}

const HEAD: &str = "# Configuration reference

<!-- Generated from the directive table by `cargo xtask reference`. Do not edit. -->

A file is a list of statements: a name, its values, and perhaps a block in `{ }`. Newlines and blanks separate words alike.

- Words are bare or in double quotes; quotes are needed around blanks, `#`, `{`, `}` and `\"`. Inside, `\\\\ \\\" \\n \\t \\r` are escapes.
- `#` starts a comment up to the end of the line.
- Placeholders: `{$NAME}`, `{$NAME:default}` and `{env.NAME}` stand for environment variables, `{file.PATH}` for the content of a file,
  `\"{vars.NAME}\"` (in quotes) for a value of `vars`.
- Durations are numbers with units: `250ms`, `5s`, `1h30m`, `7d`. Sizes are whole numbers with `b`, `kb`, `mb` or `gb`, powers of 1024.
- \"live\" means that a reload applies a change at once, \"restart\" that it refuses it until the process is restarted.
";

#[cfg(test)]
mod tests;
