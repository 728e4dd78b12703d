//! Diagnostics: one problem in a configuration file, as data. Rendering is the business of `cli`.
//!
//! Codes: `E00nn` are problems of the text, found here; `E01nn` and above are problems of meaning, found in `config`.
//! A `W` in front marks a warning. A code keeps its meaning for ever, because people search for it.

use crate::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot run.
    Error,
    /// The file runs, perhaps not as its author thinks.
    Warning,
}

/// A second place that helps to understand a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is to be seen there.
    pub text: String,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code such as `E0107`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop. Never holds the value of a secret.
    pub message: String,
    /// Where.
    pub span: Span,
    /// A few words shown at `span`.
    pub label: Option<String>,
    /// What to write instead.
    pub help: Option<String>,
    /// Other places involved.
    pub related: Vec<Label>,
}

impl Diagnostic {
    /// An error at `span`.
    #[must_use]
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, span, message.into())
    }

    /// A warning at `span`.
    #[must_use]
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, span, message.into())
    }

    fn new(code: &'static str, severity: Severity, span: Span, message: String) -> Self {
        Self { code, severity, message, span, label: None, help: None, related: Vec::new() }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a few words for the marked place.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds another place involved.
    #[must_use]
    pub fn with_related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push(Label { span, text: text.into() });
        self
    }

    /// Whether this keeps the file from running.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Whether the tree may differ from what the author meant, so that neither formatting nor editing it is safe.
    ///
    /// True for errors of syntax; problems of meaning, and of placeholders inside of strings, leave the structure alone.
    #[must_use]
    pub fn breaks_structure(&self) -> bool {
        self.is_error() && self.code.starts_with("E00") && !matches!(self.code, "E0002" | "E0010" | "E0011")
    }
}
