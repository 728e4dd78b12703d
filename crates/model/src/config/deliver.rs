//! Push targets.

use std::sync::Arc;
use std::time::Duration;

use super::SecretVersion;
use super::route::ExecEnv;
use crate::{RetryPolicy, SecretRef};

/// One push target of a route.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The URL, or the path of the command: the name under which messages are queued for it.
    pub target: Arc<str>,
    /// How it is reached.
    pub transport: Transport,
    /// What follows a failure.
    pub retry: RetryPolicy,
    /// Longest time of one try.
    pub timeout: Duration,
}

/// How a target is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Transport {
    /// `deliver "URL"`.
    Http(HttpDelivery),
    /// `deliver exec "COMMAND"`.
    Exec(ExecDelivery),
}

/// An HTTP target.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpDelivery {
    /// Headers added to every request, in order; names in canonical form.
    pub headers: Vec<(String, String)>,
    /// How requests are signed.
    pub signing: Option<Signing>,
}

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecDelivery {
    /// File name; no arguments.
    pub command: Arc<str>,
    /// Added to its environment.
    pub env: ExecEnv,
}

/// `sign hmac ...`.
#[derive(Clone, Debug, PartialEq)]
pub struct Signing {
    /// The key, or the versions to choose from.
    pub secret: SigningSecret,
    /// Header of the signature.
    pub signature_header: String,
    /// Header of the timestamp.
    pub timestamp_header: String,
}

/// The key of a signature.
#[derive(Clone, Debug, PartialEq)]
pub enum SigningSecret {
    /// One secret.
    Single(SecretRef),
    /// Named versions, of which one is chosen by its window.
    Versions {
        /// In the order of the file.
        versions: Vec<SecretVersion>,
        /// Ids of runtime pools whose versions count, too.
        pools: Vec<Arc<str>>,
        /// Which of the valid ones.
        selection: SecretSelection,
    },
}

/// Which of several valid versions signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretSelection {
    /// The one that became valid last.
    #[default]
    NewestValid,
    /// The one that became valid first.
    OldestValid,
}
