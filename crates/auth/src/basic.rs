//! Basic credentials of ingress routes (RFC 7617).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::AuthError;

/// Pairs of user and password, any of which is good. Only digests are kept; every check compares with all of them, so that neither
/// the names nor the lengths show in its duration.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicAuth(Vec<([u8; 32], [u8; 32])>);

impl BasicAuth {
    /// Takes literal pairs.
    ///
    /// # Errors
    /// If there is none.
    pub fn new(pairs: &[(String, String)]) -> Result<Self, AuthError> {
        if pairs.is_empty() {
            return Err(AuthError::NoSecret);
        }
        Ok(Self(pairs.iter().map(|(user, password)| (digest(user.as_bytes()), digest(password.as_bytes()))).collect()))
    }

    /// Whether the value of the `Authorization` header carries one of the pairs.
    #[must_use]
    pub fn check(&self, authorization: Option<&[u8]>) -> bool {
        let Some(decoded) = authorization.and_then(decoded) else { return false };
        let Some(colon) = decoded.iter().position(|b| *b == b':') else { return false };
        let (user, rest) = decoded.split_at(colon);
        let (user, password) = (digest(user), digest(rest.get(1..).unwrap_or_default()));
        let matches = |pair: &([u8; 32], [u8; 32])| pair.0.ct_eq(&user) & pair.1.ct_eq(&password);
        self.0.iter().fold(Choice::from(0), |found, pair| found | matches(pair)).into()
    }
}

impl std::fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BasicAuth({} pairs)", self.0.len())
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// `user:password` of an `Authorization` value.
fn decoded(value: &[u8]) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    STANDARD.decode(encoded).ok().map(zeroize::Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)], value: &str) -> bool {
        let pairs: Vec<_> = pairs.iter().map(|(u, p)| ((*u).to_owned(), (*p).to_owned())).collect();
        BasicAuth::new(&pairs).unwrap().check(Some(value.as_bytes()))
    }

    fn basic(credentials: &str) -> String {
        format!("Basic {}", STANDARD.encode(credentials))
    }

    #[test]
    fn user_and_password_count_exactly() {
        let pairs = [("ci", "s3:cret"), ("other", "pass")];
        for good in ["ci:s3:cret", "other:pass"] {
            assert!(check(&pairs, &basic(good)), "{good}");
            assert!(check(&pairs, &basic(good).replace("Basic", "bAsIc")), "{good}");
        }
        for bad in ["ci:S3:cret", "CI:s3:cret", "ci:", "ci", ":", "", "nobody:s3:cret", "other:s3:cret", "ci:pass"] {
            assert!(!check(&pairs, &basic(bad)), "{bad}");
        }
        for bad in ["", "Basic", "Basic ", "Basic !!!", "Basic Y2k=", "Bearer s3:cret", "BasicY2k6czM6Y3JldA=="] {
            assert!(!check(&pairs, bad), "{bad}");
        }
    }

    #[test]
    fn no_pair_is_an_error_and_no_header_is_refused() {
        assert!(BasicAuth::new(&[]).is_err());
        assert!(!BasicAuth::new(&[(String::new(), String::new())]).unwrap().check(None));
    }
}
