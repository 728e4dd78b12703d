//! The tidy check: what the compiler and clippy cannot say about the shape of this tree.
//!
//! Owns the list of findings; `arrows` checks who depends on whom, `sources` the files. It only reads. Called by
//! `cargo xtask tidy` and by a test, so that `cargo test` fails on an untidy tree.

mod arrows;
mod mask;
mod soaks;
mod sources;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Worth a look.
    Warning,
    /// Must be changed.
    Failure,
}

/// One thing to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// Relative to the top of the tree.
    pub(crate) file: PathBuf,
    /// From 1.
    pub(crate) line: usize,
    /// What is wrong, and what to do.
    pub(crate) message: String,
}

/// Checks the tree below `root`; an empty answer is a tidy tree.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = arrows::check(root)?;
    findings.extend(sources::check(root)?);
    findings.extend(crate::codegen::check(root)?);
    findings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Ok(findings)
}

impl Finding {
    pub(crate) fn is_failure(&self) -> bool {
        self.level == Level::Failure
    }

    pub(crate) fn failure(file: &Path, line: usize, message: impl Into<String>) -> Self {
        Self { level: Level::Failure, file: file.to_owned(), line, message: message.into() }
    }

    fn warning(file: &Path, line: usize, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::failure(file, line, message) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Warning => "warning",
            Level::Failure => "error",
        };
        write!(f, "{}:{}: {level}: {}", self.file.display(), self.line, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let findings = check(crate::root().unwrap()).unwrap();
        let failures: Vec<_> = findings.iter().filter(|f| f.is_failure()).map(Finding::to_string).collect();
        assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
    }
}
