//! What a configuration takes from outside: environment variables and files, for placeholders only.
//!
//! Injected, so that tests and tools decide what is there. Secrets are not read here; see `hookaido-auth`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Environment variables and files.
pub trait Environment {
    /// The value of a variable; `None` if it is not set.
    fn var(&self, name: &str) -> Option<String>;

    /// The content of a file. Bytes that are not UTF-8 are an error.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, path: &str) -> io::Result<String>;
}

/// Those of the process, with the variables of a `--dotenv` file behind them.
#[derive(Clone, Debug, Default)]
pub struct ProcessEnvironment {
    /// Used where the process has no variable of that name.
    pub fallback: BTreeMap<String, String>,
}

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "placeholders are where configuration meets the environment")]
    fn var(&self, name: &str) -> Option<String> {
        // Names that no environment can hold would make the standard library panic on some platforms.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var(name).ok().or_else(|| self.fallback.get(name).cloned())
    }

    fn read(&self, path: &str) -> io::Result<String> {
        std::fs::read_to_string(Path::new(path))
    }
}

/// Those of a table: for tests and tools.
#[derive(Clone, Debug, Default)]
pub struct FixedEnvironment {
    /// Variables.
    pub vars: BTreeMap<String, String>,
    /// Files and their content.
    pub files: BTreeMap<String, String>,
}

impl FixedEnvironment {
    /// No files, and these variables.
    pub fn with_vars<'a>(vars: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { vars, files: BTreeMap::new() }
    }
}

impl Environment for FixedEnvironment {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).cloned()
    }

    fn read(&self, path: &str) -> io::Result<String> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
