//! Named secrets: versions, each with a window in which it counts.
//!
//! A pool is shared by every route that names it. Its versions can be replaced while requests are being checked; a check takes the
//! list once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use hookaido_model::UnixMillis;
use hookaido_model::config;
use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{AuthError, SecretSource, SecretValue};

/// A key of HMAC-SHA256 with its first blocks computed, so that a signature does not hash the key again.
#[derive(Clone)]
pub(crate) struct MacKey(Hmac<Sha256>);

impl MacKey {
    pub(crate) fn new(secret: &SecretValue) -> Self {
        // RFC 2104: padded with zeros to a block, and hashed before when it is longer.
        let mut block = Zeroizing::new([0u8; 64]);
        let hashed = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(secret.bytes())));
        let key = if secret.bytes().len() > block.len() { hashed.as_slice() } else { secret.bytes() };
        for (place, byte) in block.iter_mut().zip(key) {
            *place = *byte;
        }
        Self(Hmac::new((&*block).into()))
    }

    /// The HMAC of the parts in a row.
    pub(crate) fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(***)")
    }
}

/// One version of a named secret.
#[derive(Clone, Debug)]
pub struct PoolVersion {
    /// Its name.
    pub id: Arc<str>,
    /// First instant at which it counts; `None` from the beginning of time.
    pub valid_from: Option<UnixMillis>,
    /// First instant at which it no longer counts; `None` for no end.
    pub valid_until: Option<UnixMillis>,
    pub(crate) key: MacKey,
}

impl PoolVersion {
    /// A version with its value.
    #[must_use]
    pub fn new(
        id: Arc<str>,
        value: &SecretValue,
        valid_from: Option<UnixMillis>,
        valid_until: Option<UnixMillis>,
    ) -> Self {
        Self { id, valid_from, valid_until, key: MacKey::new(value) }
    }

    /// Reads the version that the configuration describes.
    ///
    /// # Errors
    /// If its value cannot be read.
    pub fn resolve(version: &config::SecretVersion, source: &dyn SecretSource) -> Result<Self, AuthError> {
        let value = source.resolve(&version.value)?;
        Ok(Self::new(Arc::clone(&version.id), &value, version.valid_from, version.valid_until))
    }

    /// Whether it counts at `at`: from `valid_from` on, before `valid_until`.
    #[must_use]
    pub fn valid_at(&self, at: UnixMillis) -> bool {
        self.valid_from.is_none_or(|from| from <= at) && self.valid_until.is_none_or(|until| at < until)
    }
}

/// The versions of one named secret.
#[derive(Debug)]
pub struct Pool(RwLock<Arc<[PoolVersion]>>);

impl Pool {
    /// A pool of these versions. An empty pool is legal: nothing verifies until it has one.
    #[must_use]
    pub fn new(versions: Vec<PoolVersion>) -> Self {
        Self(RwLock::new(versions.into()))
    }

    /// The versions at this moment.
    #[must_use]
    pub fn versions(&self) -> Arc<[PoolVersion]> {
        Arc::clone(&self.0.read())
    }

    /// Replaces all versions; requests that are being checked keep the list they took.
    pub fn replace(&self, versions: Vec<PoolVersion>) {
        *self.0.write() = versions.into();
    }
}

/// All named secrets of a configuration.
#[derive(Clone, Debug, Default)]
pub struct SecretPools(BTreeMap<String, Arc<Pool>>);

impl SecretPools {
    /// Reads the `secrets` block. A pool that the admin API fills starts with the version of the file, if it has one.
    ///
    /// # Errors
    /// If a value cannot be read.
    pub fn resolve(pools: &BTreeMap<String, config::SecretPool>, source: &dyn SecretSource) -> Result<Self, AuthError> {
        let mut resolved = BTreeMap::new();
        for (id, pool) in pools {
            let version = match pool {
                config::SecretPool::Static(version) => Some(version),
                config::SecretPool::Runtime { initial, .. } => initial.as_ref(),
            };
            let versions = version.map(|v| PoolVersion::resolve(v, source)).transpose()?;
            resolved.insert(id.clone(), Arc::new(Pool::new(versions.into_iter().collect())));
        }
        Ok(Self(resolved))
    }

    pub(crate) fn insert(&mut self, name: String, pool: Arc<Pool>) {
        self.0.insert(name, pool);
    }

    /// The pool of this name.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<Pool>> {
        self.0.get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_includes_its_start_and_excludes_its_end() {
        let value = SecretValue::new("k");
        let version = PoolVersion::new("v".into(), &value, Some(UnixMillis(10)), Some(UnixMillis(20)));
        for (at, valid) in [(9, false), (10, true), (19, true), (20, false)] {
            assert_eq!(version.valid_at(UnixMillis(at)), valid, "{at}");
        }
        assert!(PoolVersion::new("v".into(), &value, None, None).valid_at(UnixMillis(i64::MIN)));
    }

    #[test]
    fn the_mac_is_that_of_rfc_4231() {
        // Test cases 1 and 6: a short key, and one longer than a block.
        for (key, data, want) in [
            (vec![0x0b; 20], &b"Hi There"[..], "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                vec![0xaa; 131],
                &b"Test Using Larger Than Block-Size Key - Hash Key First"[..],
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            let mac = MacKey::new(&SecretValue::new(key)).sign(&[data]);
            assert_eq!(crate::hex::encode(&mac), *want.as_bytes());
        }
    }

    #[test]
    fn a_runtime_pool_starts_with_what_the_file_gives_it() {
        let version = config::SecretVersion {
            id: "a".into(),
            value: hookaido_model::SecretRef::Raw("k".into()),
            valid_from: None,
            valid_until: None,
        };
        let pools = BTreeMap::from([
            ("empty".to_owned(), config::SecretPool::Runtime { id: "empty".into(), initial: None, max_versions: 32 }),
            (
                "seeded".to_owned(),
                config::SecretPool::Runtime { id: "seeded".into(), initial: Some(version.clone()), max_versions: 32 },
            ),
            ("a".to_owned(), config::SecretPool::Static(version)),
        ]);
        let pools = SecretPools::resolve(&pools, &crate::FixedSecrets::default()).unwrap();
        let counts = ["empty", "seeded", "a"].map(|id| pools.get(id).unwrap().versions().len());
        assert_eq!(counts, [0, 1, 1]);
        assert!(pools.get("b").is_none());
    }
}
