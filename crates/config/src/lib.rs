//! Meaning of a configuration file: directive table, checks, compiled form, reload plan.
//!
//! `bytes -> syntax::parse -> read (table) -> lower -> check -> model::Config`. Every problem of a file is reported at once, each with
//! its place. Reads environment variables and files for placeholders only, through [`Environment`]; opens nothing else.
//! Called by `cli` (every `config` command) and `server` (start, reload, edits that the admin API asks for).

mod adapt;
mod check;
mod codes;
mod compile;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod context;
mod diff;
mod environment;
mod explain;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
mod golden;
mod layout;
mod lower;
mod placeholder;
mod plan;
#[cfg(test)]
mod properties;
mod read;
mod reference;
mod relabel;
mod report;
mod suggest;
mod table;
mod text;
mod unsupported;
mod value;

pub use adapt::adapt;
pub use codes::{CODES, code_meaning};
pub use compile::{Compiled, Unused, compile, fingerprint};
pub use context::Context;
pub use diff::{DiffFile, diff, format};
pub use environment::{Environment, FixedEnvironment, ProcessEnvironment};
pub use explain::{Explanation, Question, explain};
pub use layout::LanguageLayout;
pub use lower::Defaults;
pub use plan::{Change, Plan, plan};
pub use reference::{example, markdown, reference};
pub use relabel::{RelabelError, relabel};
pub use report::{one_line, validate_json};
pub use table::{Kind, Reload, Row, Shape, row, rows};
pub use text::duration_text;
pub use unsupported::{secret_refs, unsupported, without_grpc};

/// Whether `path` is `above` or lies below it, by whole segments. Both start with `/`.
#[must_use]
pub fn is_below(path: &str, above: &str) -> bool {
    above == "/" || path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
