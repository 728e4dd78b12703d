//! Secret values and where they come from.
//!
//! A [`SecretRef`] says where a value is; a [`SecretSource`] reads it. This is the only place that reads secrets from the
//! environment or from files, at start and again at every reload. What a vault holds comes through a [`VaultReader`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use hookaido_model::SecretRef;
use zeroize::Zeroizing;

/// Largest secret file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// A secret. Overwritten when dropped; shows nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// Takes a value over.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value. Do not keep copies.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(***)")
    }
}

/// Why a secret cannot be read. Names where it is, never what it is.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or empty.
    #[error("secret env:{name}: the environment variable is not set or empty")]
    Unset {
        /// Name of the variable.
        name: String,
    },
    /// The file cannot be read.
    #[error("secret file:{path}: {source}")]
    File {
        /// As written.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file, the field of the vault or the inline value holds nothing but white space.
    #[error("secret {0}: the value is empty")]
    Empty(SecretRef),
    /// The vault does not give the value.
    #[error("secret {reference}: {reason}")]
    Vault {
        /// As written.
        reference: SecretRef,
        /// Why, and what to do.
        reason: String,
    },
    /// Nothing here reads this kind of reference.
    #[error("secret {0}: this kind of reference cannot be read here")]
    Unsupported(SecretRef),
}

/// Reads secrets.
pub trait SecretSource: Send + Sync + fmt::Debug {
    /// The value behind a reference. Never empty.
    ///
    /// # Errors
    /// If it is missing, unreadable or empty.
    fn resolve(&self, reference: &SecretRef) -> Result<SecretValue, SecretError>;
}

/// Asks a vault.
pub trait VaultReader: Send + Sync + fmt::Debug {
    /// The value at a path; of several fields there, the one that is named, or else the obvious one. Blocks, within bounds.
    ///
    /// # Errors
    /// Why there is no value, and what to do: neither a secret nor the vault's token.
    fn read(&self, path: &str, field: Option<&str>) -> Result<SecretValue, String>;
}

/// A look-up of environment variables.
type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The source of a running process: `env:`, `file:`, `raw:` and, with a reader, `vault:`.
#[derive(Clone)]
pub struct SecretResolver {
    environment: Environment,
    vault: Option<Arc<dyn VaultReader>>,
}

impl SecretResolver {
    /// Reads variables of the process.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this module is the one that reads secrets from the environment")]
    pub fn new() -> Self {
        Self::with_environment(|name| std::env::var(name).ok())
    }

    /// Reads variables through `environment`, for example with those of a dotenv file behind the process's own.
    pub fn with_environment(environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { environment: Arc::new(environment), vault: None }
    }

    /// Reads `vault:` references through `vault`.
    #[must_use]
    pub fn with_vault(self, vault: Arc<dyn VaultReader>) -> Self {
        Self { vault: Some(vault), ..self }
    }
}

impl Default for SecretResolver {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SecretResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretResolver")
    }
}

impl SecretSource for SecretResolver {
    fn resolve(&self, reference: &SecretRef) -> Result<SecretValue, SecretError> {
        match reference {
            SecretRef::Env(name) => (self.environment)(name)
                .filter(|value| !value.is_empty())
                .map(SecretValue::new)
                .ok_or_else(|| SecretError::Unset { name: name.to_string() }),
            SecretRef::File(path) => read_file(path, reference),
            SecretRef::Raw(value) if value.is_empty() => Err(SecretError::Empty(reference.clone())),
            SecretRef::Raw(value) => Ok(SecretValue::new(value.as_bytes())),
            SecretRef::Vault(text) => match &self.vault {
                Some(vault) => read_vault(&**vault, text, reference),
                None => Err(SecretError::Unsupported(reference.clone())),
            },
        }
    }
}

/// What stands behind `PATH` or `PATH#FIELD`.
fn read_vault(vault: &dyn VaultReader, text: &str, reference: &SecretRef) -> Result<SecretValue, SecretError> {
    let failed = |reason| SecretError::Vault { reference: reference.clone(), reason };
    let (path, field) = text.split_once('#').map_or((text, None), |(path, field)| (path, Some(field.trim())));
    if field == Some("") {
        return Err(failed("no field stands after `#`: name one, or leave the `#` out".to_owned()));
    }
    let value = vault.read(path.trim(), field).map_err(failed)?;
    if value.bytes().trim_ascii().is_empty() {
        return Err(SecretError::Empty(reference.clone()));
    }
    Ok(value)
}

/// The content of a file without the white space around it, as the reference cuts it.
fn read_file(path: &Arc<str>, reference: &SecretRef) -> Result<SecretValue, SecretError> {
    use std::io::Read;

    let failed = |source| SecretError::File { path: path.to_string(), source };
    let mut content = Zeroizing::new(Vec::new());
    let file = std::fs::File::open(&**path).map_err(failed)?;
    file.take(MAX_FILE + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > MAX_FILE {
        return Err(failed(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "larger than 1 MiB")));
    }
    let trimmed = content.trim_ascii();
    if trimmed.is_empty() {
        return Err(SecretError::Empty(reference.clone()));
    }
    Ok(SecretValue::new(trimmed))
}

/// A source for tests: `env:`, `file:` and `vault:` references are looked up in a table by their text; `raw:` is itself.
#[derive(Debug, Default)]
pub struct FixedSecrets(HashMap<String, SecretValue>);

impl FixedSecrets {
    /// A table from the text of a reference (`env:TOKEN`) to its value.
    #[must_use]
    pub fn new(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), SecretValue::new(*value))).collect())
    }
}

impl SecretSource for FixedSecrets {
    fn resolve(&self, reference: &SecretRef) -> Result<SecretValue, SecretError> {
        match reference {
            SecretRef::Raw(value) => Ok(SecretValue::new(value.as_bytes())),
            other => {
                let name = other.to_string();
                self.0.get(&name).cloned().ok_or(SecretError::Unset { name })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> SecretRef {
        SecretRef::parse(text).unwrap()
    }

    #[test]
    fn values_come_from_the_environment_files_and_the_text_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "\n two words \r\n\n").unwrap();
        let source = SecretResolver::with_environment(|name| (name == "KEY").then(|| " from env ".to_owned()));
        let read = |text: &str| source.resolve(&parse(text)).map(|v| String::from_utf8(v.bytes().to_vec()).unwrap());
        assert_eq!(read("env:KEY").unwrap(), " from env ");
        assert_eq!(read("raw: spaced ").unwrap(), " spaced ");
        assert_eq!(read(&format!("file:{}", path.display())).unwrap(), "two words");
        assert!(matches!(read("env:OTHER"), Err(SecretError::Unset { .. })));
        assert!(matches!(read("file:/nowhere/at/all"), Err(SecretError::File { .. })));
        assert!(matches!(read("vault:secret/x#y"), Err(SecretError::Unsupported(_))));
    }

    #[test]
    fn empty_values_are_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = SecretResolver::with_environment(|_| Some(String::new()));
        for text in ["env:KEY".to_owned(), "raw:".to_owned(), format!("file:{}", file.path().display())] {
            assert!(source.resolve(&parse(&text)).is_err(), "{text}");
        }
    }

    #[derive(Debug)]
    struct Echo;

    impl VaultReader for Echo {
        fn read(&self, path: &str, field: Option<&str>) -> Result<SecretValue, String> {
            match path {
                "none" => Err("nothing there".to_owned()),
                "empty" => Ok(SecretValue::new(" ")),
                _ => Ok(SecretValue::new(format!("{path} {field:?}"))),
            }
        }
    }

    #[test]
    fn a_vault_is_asked_for_path_and_field() {
        let source = SecretResolver::with_environment(|_| None).with_vault(Arc::new(Echo));
        let read = |text: &str| match source.resolve(&parse(text)) {
            Ok(value) => String::from_utf8(value.bytes().to_vec()).unwrap(),
            Err(error) => error.to_string(),
        };
        assert_eq!(read("vault:kv/a"), "kv/a None");
        assert_eq!(read("vault: kv/a # b#c "), "kv/a Some(\"b#c\")");
        assert_eq!(read("vault:none#x"), "secret vault:none#x: nothing there");
        assert_eq!(read("vault:empty"), "secret vault:empty: the value is empty");
        assert!(read("vault:kv/a#").contains("no field stands after"));
    }

    #[test]
    fn debug_text_hides_the_value() {
        assert!(!format!("{:?}", SecretValue::new("hunter2")).contains("hunter2"));
        assert!(!format!("{:?}", FixedSecrets::new(&[("env:A", "hunter2")])).contains("hunter2"));
    }
}
