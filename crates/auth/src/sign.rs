//! Signs what push sends.
//!
//! HMAC-SHA256 in hex over method, path as sent (without query), Unix seconds and the hex SHA-256 of the body, joined by newlines.
//! The order differs from that of the canonical ingress scheme; both are part of the contract.

use std::sync::Arc;

use hookaido_model::UnixMillis;
use hookaido_model::config::{SecretSelection, Signing, SigningSecret};
use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use crate::pool::MacKey;
use crate::scheme::header_name;
use crate::{AuthError, Pool, PoolVersion, SecretPools, SecretSource, hex};

/// Signs the requests to one target.
#[derive(Debug)]
pub struct Signer {
    signature_header: HeaderName,
    timestamp_header: HeaderName,
    keys: Keys,
}

#[derive(Debug)]
enum Keys {
    Single(MacKey),
    /// The version that became valid last, or first, of those that are valid.
    Versions {
        versions: Vec<PoolVersion>,
        pools: Vec<Arc<Pool>>,
        selection: SecretSelection,
    },
}

/// Two headers to add to a request, replacing any of the same name.
#[derive(Clone, Debug)]
pub struct Signature {
    /// Hex HMAC.
    pub signature: (HeaderName, HeaderValue),
    /// Unix seconds.
    pub timestamp: (HeaderName, HeaderValue),
}

/// No version of the secret is valid at present. Trying again later may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no signing secret is valid at present")]
pub struct NoValidSecret;

impl Signer {
    /// Reads the secrets of a target that names no runtime pool.
    ///
    /// # Errors
    /// If there is none, one cannot be read, or a header name is none.
    pub fn build(signing: &Signing, source: &dyn SecretSource) -> Result<Self, AuthError> {
        Self::build_with_pools(signing, &SecretPools::default(), source)
    }

    /// Reads the secrets of a target.
    ///
    /// # Errors
    /// If there is none, one cannot be read or is unknown, or a header name is none.
    pub fn build_with_pools(
        signing: &Signing,
        known: &SecretPools,
        source: &dyn SecretSource,
    ) -> Result<Self, AuthError> {
        let keys = match &signing.secret {
            SigningSecret::Single(reference) => Keys::Single(MacKey::new(&source.resolve(reference)?)),
            SigningSecret::Versions { versions, pools, selection } => {
                let versions = versions.iter().map(|version| PoolVersion::resolve(version, source));
                let pools = pools
                    .iter()
                    .map(|id| known.get(id).cloned().ok_or_else(|| AuthError::UnknownSecret(id.as_ref().to_owned())));
                Keys::Versions {
                    versions: versions.collect::<Result<_, _>>()?,
                    pools: pools.collect::<Result<_, _>>()?,
                    selection: *selection,
                }
            }
        };
        if matches!(&keys, Keys::Versions { versions, pools, .. } if versions.is_empty() && pools.is_empty()) {
            return Err(AuthError::NoSecret);
        }
        Ok(Self {
            signature_header: header_name(&signing.signature_header)?,
            timestamp_header: header_name(&signing.timestamp_header)?,
            keys,
        })
    }

    /// Signs a request. `path` is what stands in the request line, without the query.
    ///
    /// # Errors
    /// If no version of the secret is valid at `now`.
    pub fn sign(&self, method: &str, path: &str, body: &[u8], now: UnixMillis) -> Result<Signature, NoValidSecret> {
        let key = self.keys.at(now).ok_or(NoValidSecret)?;
        let seconds = now.secs().to_string();
        let hash = hex::encode(&Sha256::digest(body).into());
        let mac = key.sign(&[method.as_bytes(), b"\n", path.as_bytes(), b"\n", seconds.as_bytes(), b"\n", &hash]);
        let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).unwrap_or(HeaderValue::from_static(""));
        Ok(Signature {
            signature: (self.signature_header.clone(), value(&hex::encode(&mac))),
            timestamp: (self.timestamp_header.clone(), value(seconds.as_bytes())),
        })
    }
}

impl Keys {
    /// The key that signs at `now`.
    fn at(&self, now: UnixMillis) -> Option<MacKey> {
        let (versions, pools, selection) = match self {
            Self::Single(key) => return Some(key.clone()),
            Self::Versions { versions, pools, selection } => (versions, pools, selection),
        };
        let pools: Vec<_> = pools.iter().map(|pool| pool.versions()).collect();
        let all = versions.iter().chain(pools.iter().flat_map(|versions| versions.iter()));
        let valid = all.filter(|version| version.valid_at(now));
        // Of several with the same start, the first in the file.
        let chosen = valid.reduce(|best, next| {
            let better = match selection {
                SecretSelection::NewestValid => next.valid_from > best.valid_from,
                SecretSelection::OldestValid => next.valid_from < best.valid_from,
            };
            if better { next } else { best }
        });
        chosen.map(|version| version.key.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FixedSecrets;
    use hookaido_model::SecretRef;
    use hookaido_model::config::{SecretPool, SecretVersion};

    fn signing(secret: SigningSecret) -> Signing {
        Signing { secret, signature_header: "X-Sig".to_owned(), timestamp_header: "X-At".to_owned() }
    }

    fn version(id: &str, from: i64, until: Option<i64>) -> SecretVersion {
        SecretVersion {
            id: id.into(),
            value: SecretRef::Raw(format!("k-{id}").into()),
            valid_from: Some(UnixMillis(from)),
            valid_until: until.map(UnixMillis),
        }
    }

    fn signed_with(secret: SigningSecret, now: i64) -> Option<String> {
        let signer = Signer::build(&signing(secret), &FixedSecrets::default()).unwrap();
        let signature = signer.sign("POST", "/in/p%20q", b"hello", UnixMillis(now)).ok()?;
        Some(signature.signature.1.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_signed_text_is_method_path_time_and_hash() {
        let signer =
            Signer::build(&signing(SigningSecret::Single(SecretRef::Raw("k1".into()))), &FixedSecrets::default());
        let signature = signer.unwrap().sign("POST", "/in/p%20q", b"{\"n\":1}", UnixMillis(1_700_000_000_999)).unwrap();
        assert_eq!(signature.timestamp, (HeaderName::from_static("x-at"), HeaderValue::from_static("1700000000")));
        // printf 'POST\n/in/p%%20q\n1700000000\n%s' $(printf '{"n":1}' | sha256sum | cut -d' ' -f1) | openssl dgst -sha256 -hmac k1
        assert_eq!(
            signature.signature.1,
            HeaderValue::from_static("cecd4fc9cdcee063d8833a91f5c8bd6231f0920f5546dec80f373720969767bd")
        );
        assert_eq!(signature.signature.0, HeaderName::from_static("x-sig"));
    }

    #[test]
    fn the_newest_or_the_oldest_valid_version_signs() {
        let versions = vec![
            version("past", 0, Some(10)),
            version("old", 0, Some(100)),
            version("new", 20, None),
            version("next", 1000, None),
        ];
        let with = |selection, now| {
            signed_with(SigningSecret::Versions { versions: versions.clone(), pools: vec![], selection }, now)
        };
        let single = |id: &str, now| signed_with(SigningSecret::Single(SecretRef::Raw(format!("k-{id}").into())), now);
        assert_eq!(with(SecretSelection::NewestValid, 50), single("new", 50));
        assert_eq!(with(SecretSelection::OldestValid, 50), single("old", 50));
        assert_eq!(with(SecretSelection::NewestValid, 2000), single("next", 2000));
        let only_past = SigningSecret::Versions {
            versions: vec![version("past", 0, Some(10))],
            pools: vec![],
            selection: SecretSelection::default(),
        };
        assert_eq!(signed_with(only_past, 50), None);
    }

    #[test]
    fn versions_of_a_runtime_pool_sign_too() {
        let pool = SecretPool::Runtime { id: "p".into(), initial: None, max_versions: 2 };
        let pools = SecretPools::resolve(&[("p".to_owned(), pool)].into(), &FixedSecrets::default()).unwrap();
        let with = |id: &str| {
            let secret = SigningSecret::Versions {
                versions: vec![],
                pools: vec![id.into()],
                selection: SecretSelection::default(),
            };
            Signer::build_with_pools(&signing(secret), &pools, &FixedSecrets::default())
        };
        assert!(matches!(with("q"), Err(AuthError::UnknownSecret(_))));
        let signer = with("p").unwrap();
        assert!(signer.sign("POST", "/", b"", UnixMillis(50)).is_err());
        let value = crate::SecretValue::new("k-new");
        pools.get("p").unwrap().replace(vec![PoolVersion::new("v".into(), &value, Some(UnixMillis(20)), None)]);
        let signature = signer.sign("POST", "/in/p%20q", b"hello", UnixMillis(50)).unwrap().signature.1;
        let single = SigningSecret::Single(SecretRef::Raw("k-new".into()));
        assert_eq!(signature.to_str().unwrap(), signed_with(single, 50).unwrap());
    }

    #[test]
    fn no_version_at_all_is_an_error() {
        let none = SigningSecret::Versions { versions: vec![], pools: vec![], selection: SecretSelection::default() };
        assert!(Signer::build(&signing(none), &FixedSecrets::default()).is_err());
    }
}
