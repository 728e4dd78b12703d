//! The variables of a `--dotenv` file, and the one view of the environment that the whole server shares.
//!
//! The compiler (placeholders) and secret resolution read through the same [`ProcessEnvironment`], so that they never disagree.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hookaido_auth::SecretResolver;
use hookaido_config::{Environment, ProcessEnvironment};

use crate::vault::Vault;

/// Why a `--dotenv` file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DotenvError {
    /// It cannot be read.
    #[error("cannot read the dotenv file {path}: {source}")]
    Read {
        /// As given.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not `NAME=VALUE`.
    #[error("{path}:{line}: expected NAME=VALUE")]
    Line {
        /// As given.
        path: String,
        /// From 1.
        line: usize,
    },
}

/// The environment of the process, with the variables of `dotenv` behind it.
///
/// The file holds `NAME=VALUE` lines; blank lines and lines that start with `#` are passed over, `export ` in front is allowed, a value
/// may stand in single or double quotes.
///
/// # Errors
/// If the file cannot be read or a line has another form.
pub fn environment(dotenv: Option<&Path>) -> Result<ProcessEnvironment, DotenvError> {
    let Some(path) = dotenv else { return Ok(ProcessEnvironment::default()) };
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| DotenvError::Read { path: shown.clone(), source })?;
    let fallback = parse(&text).map_err(|line| DotenvError::Line { path: shown, line })?;
    Ok(ProcessEnvironment { fallback })
}

/// Resolves references to secrets; variables, also those that say where a vault is, are looked up in the same environment.
#[must_use]
pub fn secrets(environment: &ProcessEnvironment) -> SecretResolver {
    let (variables, vault) = (environment.clone(), Vault::new(environment.clone()));
    SecretResolver::with_environment(move |name| variables.var(name)).with_vault(Arc::new(vault))
}

/// The variables of a text, or the number of the line that has another form.
fn parse(text: &str) -> Result<BTreeMap<String, String>, usize> {
    let mut variables = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or(index + 1)?;
        let name = name.trim();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(index + 1);
        }
        variables.insert(name.to_owned(), unquote(value.trim()).to_owned());
    }
    Ok(variables)
}

fn unquote(value: &str) -> &str {
    let inside = |quote| value.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_names_and_values() {
        let variables = parse("# c\n\nexport A=1\nB = \"x y\" \nC='='\nD=\n").unwrap();
        let value = |name: &str| variables.get(name).map(String::as_str);
        assert_eq!([value("A"), value("B"), value("C"), value("D")], [Some("1"), Some("x y"), Some("="), Some("")]);
        assert_eq!(parse("A=1\nNO_EQUALS\n").unwrap_err(), 2);
        assert_eq!(parse("A B=1").unwrap_err(), 1);
    }
}
