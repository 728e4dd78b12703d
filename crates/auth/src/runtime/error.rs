//! What can go wrong with runtime secrets. Names pools, versions and keys, never a value.

use std::io;
use std::sync::Arc;

use super::{KEY_VARIABLE, PREVIOUS_KEY_VARIABLE};
use crate::AuthError;
use crate::seal::KeyError;

/// Why the pools of a configuration cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A secret of the configuration.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// There is a pool, but no key.
    #[error("{KEY_VARIABLE} is not set: a secret with `runtime true` needs it (32 random bytes in base64)")]
    NoKey,
    /// One of the keys is none.
    #[error("{0}: {1}")]
    Key(&'static str, KeyError),
    /// The first version of a pool.
    #[error("secret `{pool}`: its first version: {source}")]
    Seed {
        /// Name of the pool.
        pool: Arc<str>,
        /// Why.
        source: AuthError,
    },
    /// The file cannot be read.
    #[error("cannot read the file of runtime secrets {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A version was sealed by a key that nobody gave.
    #[error(
        "version {id} of secret `{pool}` was sealed under key {sealed_by}, {KEY_VARIABLE} is key {ours}: set it to the key of before, or \
         set {PREVIOUS_KEY_VARIABLE} to that"
    )]
    OtherKey {
        /// Name of the pool.
        pool: Arc<str>,
        /// Of the version.
        id: Arc<str>,
        /// Id of the key that is needed.
        sealed_by: Arc<str>,
        /// Id of the key that is there.
        ours: String,
    },
    /// A version does not open under its key.
    #[error(
        "version {id} of secret `{pool}` was changed in the file of runtime secrets; restore the file, or remove the version there"
    )]
    Changed {
        /// Name of the pool.
        pool: Arc<str>,
        /// Of the version.
        id: Arc<str>,
    },
}

/// Why a version was not added or removed. Then nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// No pool has this name.
    #[error("no pool of runtime secrets has this name")]
    NoPool,
    /// The pool has no such version.
    #[error("the pool has no version with this id")]
    NoVersion,
    /// The pool is full of versions that still count or are yet to.
    #[error("the pool has {0} versions, the most it may have; delete one first")]
    Full(usize),
    /// The value could not be sealed.
    #[error("the value could not be sealed")]
    Seal,
    /// The file could not be written.
    #[error("the file of runtime secrets could not be written: {0}")]
    Save(io::Error),
}
