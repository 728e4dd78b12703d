//! The one error of this crate: why something could not be carried out, in words for the report.

use std::fmt;
use std::io;

/// Why a step could not be carried out. A step that ran but saw the wrong thing yields differences instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail(pub String);

/// What may fail yields this.
pub type Attempt<T> = Result<T, Fail>;

/// A failure with this text.
pub fn fail<T>(text: impl Into<String>) -> Attempt<T> {
    Err(Fail(text.into()))
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fail {}

impl From<io::Error> for Fail {
    fn from(error: io::Error) -> Self {
        Self(format!("I/O error: {error}"))
    }
}
