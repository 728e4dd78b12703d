//! What one delivery try came to, whatever the transport.

use std::time::Duration;

use hookaido_model::Outcome;

/// Longest error text that is stored, in bytes.
const LONGEST_ERROR: usize = 1024;

/// What one delivery try came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// What the decision rests on.
    pub(crate) outcome: Outcome,
    /// What went wrong, in words.
    pub(crate) error: Option<String>,
}

impl Reply {
    /// The target answered.
    pub(crate) fn answered(status: u16, retry_after: Option<Duration>) -> Self {
        Self { outcome: Outcome::Answered { status, retry_after }, error: None }
    }

    /// A command ended badly; `status` stands for how.
    pub(crate) fn failed(status: u16, error: String) -> Self {
        Self { error: Some(bounded(error)), ..Self::answered(status, None) }
    }

    /// No answer.
    pub(crate) fn unreachable(error: String) -> Self {
        Self { outcome: Outcome::Unreachable, error: Some(bounded(error)) }
    }

    /// Not allowed, now or later.
    pub(crate) fn denied(error: String) -> Self {
        Self { outcome: Outcome::Denied, error: Some(bounded(error)) }
    }

    /// The status that the attempt records.
    pub(crate) fn status(&self) -> Option<u16> {
        match self.outcome {
            Outcome::Answered { status, .. } => Some(status),
            Outcome::Unreachable | Outcome::Denied => None,
        }
    }

    /// What the target's `Retry-After` asked for.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self.outcome {
            Outcome::Answered { retry_after, .. } => retry_after,
            Outcome::Unreachable | Outcome::Denied => None,
        }
    }
}

/// Cut at a character boundary.
fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST_ERROR));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_errors_are_cut_between_characters() {
        let reply = Reply::unreachable("ü".repeat(1000));
        assert_eq!(reply.error.map(|e| e.len()), Some(1024));
        let reply = Reply::unreachable(format!("x{}", "ü".repeat(1000)));
        assert_eq!(reply.error.map(|e| e.len()), Some(1023));
    }
}
