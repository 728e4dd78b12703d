//! Secrets and proofs: where secret values come from, and how a request shows that its sender knows one.
//!
//! Owns secret sources and pools (static, and sealed at run time), signature schemes (verify and sign), bearer tokens, basic credentials and the memory of used
//! nonces. Knows headers and bytes only: no routes, no HTTP server, no store.

pub mod basic;
pub mod bearer;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod hex;
pub mod hmac;
pub mod nonce;
pub mod pool;
pub mod runtime;
pub mod scheme;
pub mod seal;
pub mod secret;
pub mod sign;

pub use basic::BasicAuth;
pub use bearer::BearerTokens;
pub use hmac::{Denied, HmacVerifier, SignedRequest, Verified};
pub use nonce::{Claim, ClaimError, NonceStore};
pub use pool::{Pool, PoolVersion, SecretPools};
pub use runtime::{AddedVersion, ChangeError, NewVersion, PreparedSecrets, RuntimeError, RuntimeSecrets};
pub use scheme::Scheme;
pub use secret::{FixedSecrets, SecretError, SecretResolver, SecretSource, SecretValue, VaultReader};
pub use sign::{NoValidSecret, Signature, Signer};

/// Why the authentication that the configuration asks for cannot be built. Nothing is ever left open instead.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A named secret that the configuration does not have.
    #[error("no secret named `{0}` in the `secrets` block")]
    UnknownSecret(String),
    /// Text that is no header name.
    #[error("`{0}` is not a header name")]
    HeaderName(String),
    /// Nothing could ever pass, because no secret or credential is given.
    #[error("authentication without any secret")]
    NoSecret,
}
