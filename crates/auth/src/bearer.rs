//! Bearer tokens of the pull and admin APIs.

use hookaido_model::SecretRef;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{AuthError, SecretSource};

/// A list of tokens, any of which is good. Only digests are kept, so that a comparison takes the same time whatever is presented.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BearerTokens(Vec<[u8; 32]>);

impl BearerTokens {
    /// Reads the tokens. No references give an empty list, which nothing passes: whoever wants an API without tokens must ask
    /// [`BearerTokens::is_empty`].
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn resolve(references: &[SecretRef], source: &dyn SecretSource) -> Result<Self, AuthError> {
        let digest = |reference: &SecretRef| Ok(Sha256::digest(source.resolve(reference)?.bytes()).into());
        Ok(Self(references.iter().map(digest).collect::<Result<_, AuthError>>()?))
    }

    /// Whether there is no token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the value of the `Authorization` header carries one of the tokens. The scheme counts in any case; white space around
    /// the token does not belong to it (RFC 6750 section 2.1, read generously).
    #[must_use]
    pub fn check(&self, authorization: Option<&[u8]>) -> bool {
        let Some(token) = authorization.and_then(presented) else { return false };
        let digest: [u8; 32] = Sha256::digest(token).into();
        let found = self.0.iter().fold(subtle::Choice::from(0), |found, known| found | known.ct_eq(&digest));
        found.into()
    }
}

/// The token of an `Authorization` value; `None` for another scheme or an empty token.
fn presented(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.trim_ascii().split_at_checked(6)?;
    let token = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer") && rest.first() == Some(&b' ') && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FixedSecrets;

    fn tokens(values: &[&str]) -> BearerTokens {
        let references: Vec<_> = values.iter().map(|v| SecretRef::parse(&format!("raw:{v}")).unwrap()).collect();
        BearerTokens::resolve(&references, &FixedSecrets::default()).unwrap()
    }

    #[test]
    fn the_scheme_counts_in_any_case_and_the_token_exactly() {
        let tokens = tokens(&["tok", "two words"]);
        for good in ["Bearer tok", "bearer tok", "BEARER   tok  ", "Bearer two words"] {
            assert!(tokens.check(Some(good.as_bytes())), "{good}");
        }
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Bearertok",
            "tok",
            "Bearer tok2",
            "Bearer to",
            "Bearer TOK",
            "Basic dG9rOg==",
            "Token tok",
            "Bearer tok tok",
            "Bearer two  words",
        ] {
            assert!(!tokens.check(Some(bad.as_bytes())), "{bad}");
        }
        assert!(!tokens.check(None));
    }

    #[test]
    fn no_token_passes_an_empty_list() {
        let none = tokens(&[]);
        assert!(
            none.is_empty() && !none.check(Some(b"Bearer ")) && !none.check(Some(b"Bearer x")) && !none.check(None)
        );
    }

    #[test]
    fn an_unreadable_token_is_an_error() {
        let references = [SecretRef::parse("env:NOPE").unwrap()];
        assert!(BearerTokens::resolve(&references, &FixedSecrets::default()).is_err());
    }
}
