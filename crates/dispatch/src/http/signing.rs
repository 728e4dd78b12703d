//! The key of a target's signatures, read again now and then where it may change under a running server.

use std::sync::Arc;
use std::time::Duration;

use hookaido_auth::sign::NoValidSecret;
use hookaido_auth::{AuthError, Signature, Signer};
use hookaido_model::config::{SecretVersion, Signing, SigningSecret};
use hookaido_model::{SecretRef, UnixMillis};
use parking_lot::Mutex;

use crate::target::Secrets;

/// The longest time for which a key is used without looking whether it is still the one.
const FRESH: Duration = Duration::from_secs(60);

/// Signs what goes to one target.
#[derive(Debug)]
pub(super) struct TargetSigner {
    signing: Signing,
    secrets: Secrets,
    /// Whether a secret can change without a reload.
    changes: bool,
    current: Mutex<(Arc<Signer>, UnixMillis)>,
}

/// Why a request cannot be signed. Another try may succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SigningError {
    #[error(transparent)]
    NoValidSecret(#[from] NoValidSecret),
    #[error("the signing secret cannot be read: {0}")]
    Secret(#[from] AuthError),
}

impl TargetSigner {
    /// Reads the secrets for the first time.
    ///
    /// # Errors
    /// If that fails.
    pub(super) fn new(signing: &Signing, secrets: &Secrets, now: UnixMillis) -> Result<Self, AuthError> {
        let references: Vec<&SecretRef> = match &signing.secret {
            SigningSecret::Single(reference) => vec![reference],
            SigningSecret::Versions { versions, .. } => {
                versions.iter().map(|SecretVersion { value, .. }| value).collect()
            }
        };
        let changes = references.iter().any(|reference| matches!(reference, SecretRef::File(_) | SecretRef::Vault(_)));
        let signer = Arc::new(build(signing, secrets)?);
        Ok(Self { signing: signing.clone(), secrets: secrets.clone(), changes, current: Mutex::new((signer, now)) })
    }

    /// Signs a request.
    ///
    /// # Errors
    /// If there is no valid secret, or it cannot be read any more.
    pub(super) async fn sign(&self, path: &str, body: &[u8], now: UnixMillis) -> Result<Signature, SigningError> {
        let (signer, read_at) = self.current.lock().clone();
        let signer = if self.changes && now.since(read_at) >= FRESH { self.read_again(now).await? } else { signer };
        Ok(signer.sign("POST", path, body, now)?)
    }

    async fn read_again(&self, now: UnixMillis) -> Result<Arc<Signer>, AuthError> {
        let (signing, secrets) = (self.signing.clone(), self.secrets.clone());
        let Ok(read) = tokio::task::spawn_blocking(move || build(&signing, &secrets)).await else {
            // the runtime is going away
            return Err(AuthError::NoSecret);
        };
        let signer = Arc::new(read?);
        *self.current.lock() = (Arc::clone(&signer), now);
        Ok(signer)
    }
}

fn build(signing: &Signing, secrets: &Secrets) -> Result<Signer, AuthError> {
    Signer::build_with_pools(signing, &secrets.pools, &*secrets.source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookaido_auth::{SecretPools, SecretResolver};

    #[tokio::test]
    async fn a_file_is_read_again_after_a_minute() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "first").unwrap();
        let path = file.path().to_str().unwrap();
        let signing = Signing {
            secret: SigningSecret::Single(SecretRef::File(path.into())),
            signature_header: "X-S".to_owned(),
            timestamp_header: "X-T".to_owned(),
        };
        let secrets = Secrets { source: Arc::new(SecretResolver::new()), pools: SecretPools::default() };
        let signer = TargetSigner::new(&signing, &secrets, UnixMillis(0)).unwrap();
        // the key shows in a signature at a fixed time
        let key_at = |now: i64| {
            let signer = &signer;
            async move { signer.sign("/", b"", UnixMillis(now)).await.map(|s| s.signature.1) }
        };
        let expected = |key: &str, now: i64| {
            let signing = Signing { secret: SigningSecret::Single(SecretRef::Raw(key.into())), ..signing.clone() };
            build(&signing, &secrets).unwrap().sign("POST", "/", b"", UnixMillis(now)).unwrap().signature.1
        };
        std::fs::write(file.path(), "second").unwrap();
        assert_eq!(key_at(59_999).await.unwrap(), expected("first", 59_999));
        assert_eq!(key_at(60_000).await.unwrap(), expected("second", 60_000));
        std::fs::remove_file(file.path()).unwrap();
        assert_eq!(key_at(119_000).await.unwrap(), expected("second", 119_000));
        assert!(key_at(120_000).await.is_err(), "a revoked key does not sign");
    }
}
