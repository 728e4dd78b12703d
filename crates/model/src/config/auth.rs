//! How an ingress request proves itself. An enum, so that "not found" can never mean "no authentication".

use std::sync::Arc;
use std::time::Duration;

use crate::SecretRef;

/// Authentication of a route.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum IngressAuth {
    /// None is configured.
    #[default]
    None,
    /// `auth hmac`.
    Hmac(HmacAuth),
    /// `auth basic`: user names with their passwords; any pair passes.
    Basic(Vec<(String, String)>),
    /// `auth forward`.
    Forward(ForwardAuth),
}

/// `auth hmac ...`.
#[derive(Clone, Debug, PartialEq)]
pub struct HmacAuth {
    /// What is signed, and where the signature stands.
    pub scheme: HmacScheme,
    /// Inline secrets; any may have signed.
    pub secrets: Vec<SecretRef>,
    /// Ids of named secrets; a version counts when its window holds the signed time.
    pub secret_ids: Vec<String>,
}

/// What is signed, and where the signature stands.
#[derive(Clone, Debug, PartialEq)]
pub enum HmacScheme {
    /// Timestamp, method, path and body hash, with a nonce.
    Canonical {
        /// Where the parts stand.
        headers: HmacHeaders,
        /// Most the timestamp may be off, to either side.
        tolerance: Duration,
    },
    /// `provider github`.
    Github,
    /// `provider gitea`.
    Gitea,
    /// `provider stripe`.
    Stripe,
    /// `provider cituro`.
    Cituro,
}

/// Header names of the canonical scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HmacHeaders {
    /// Hex HMAC-SHA256.
    pub signature: String,
    /// Unix seconds.
    pub timestamp: String,
    /// Used once.
    pub nonce: String,
}

/// `auth forward URL { ... }`.
#[derive(Clone, Debug, PartialEq)]
pub struct ForwardAuth {
    /// Asked for every request.
    pub url: Arc<str>,
    /// Longest time of the question.
    pub timeout: Duration,
    /// Headers taken from a positive answer into the message; names in canonical form.
    pub copy_headers: Vec<String>,
    /// Most bytes of the body that are passed on; `None` passes all.
    pub body_limit: Option<u64>,
}
