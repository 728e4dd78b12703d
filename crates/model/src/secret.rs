//! References to secrets, as the configuration writes them. Reading them is `hookaido-auth`'s work.

use std::fmt;
use std::sync::Arc;

/// Where a secret's value is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// `env:NAME`: an environment variable.
    Env(Arc<str>),
    /// `file:PATH`: a file's content; one trailing newline is not part of it.
    File(Arc<str>),
    /// `raw:VALUE`: the value itself, for tests.
    Raw(Arc<str>),
    /// `vault:PATH`: a Vault key.
    Vault(Arc<str>),
}

impl SecretRef {
    /// Splits `scheme:rest`; `None` for any other form. An empty rest is accepted here and refused where it is read.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let rest = Arc::from(rest);
        match scheme {
            "env" => Some(Self::Env(rest)),
            "file" => Some(Self::File(rest)),
            "raw" => Some(Self::Raw(rest)),
            "vault" => Some(Self::Vault(rest)),
            _ => None,
        }
    }
}

/// Shows where, never the value.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Raw(_) => f.write_str("raw:***"),
            Self::Vault(path) => write!(f, "vault:{path}"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
