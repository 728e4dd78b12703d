//! `secrets { ... }`: named versions with windows.

use std::sync::Arc;

use crate::{SecretRef, UnixMillis};

/// One named entry: a static version, or a pool that the admin API fills.
#[derive(Clone, Debug, PartialEq)]
pub enum SecretPool {
    /// One version, from the file.
    Static(SecretVersion),
    /// `runtime true`.
    Runtime {
        /// Its name.
        id: Arc<str>,
        /// The version that the file gives it to start with.
        initial: Option<SecretVersion>,
        /// Most versions that it may hold.
        max_versions: u32,
    },
}

/// One version of a secret.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretVersion {
    /// Its name.
    pub id: Arc<str>,
    /// Where the value is.
    pub value: SecretRef,
    /// First instant at which it counts; `None` from the beginning of time.
    pub valid_from: Option<UnixMillis>,
    /// First instant at which it no longer counts; `None` for no end.
    pub valid_until: Option<UnixMillis>,
}
