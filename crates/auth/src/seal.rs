//! Seals secrets that are kept on disk: AES-256-GCM under a key that is derived from the operator's.
//!
//! HKDF-SHA256 makes one key for each purpose, and an id that tells keys apart without revealing them. What a sealed value belongs to is
//! bound to it, so it opens in its own place only. Nonces are drawn at random by the library; a key may seal 2^32 values.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::{SecretValue, hex};

/// Length of the operator's key, in bytes.
const KEY_LEN: usize = 32;
/// Bytes of a key id.
const ID_LEN: usize = 8;

/// Why a text is no key. Says nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not base64.
    #[error("it is not base64")]
    Encoding,
    /// Another length.
    #[error("it must decode to 32 bytes, not {0}")]
    Length(usize),
    /// The library refuses it.
    #[error("no key can be derived from it")]
    Unusable,
}

/// The value could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not belong here, or was changed")]
pub struct SealError;

/// A key and its id.
pub struct SealKey {
    id: String,
    key: RandomizedNonceKey,
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.id)
    }
}

impl SealKey {
    /// The key behind 32 bytes in base64, of either alphabet, padded or not.
    ///
    /// # Errors
    /// The text is something else.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
        let decoded = GeneralPurpose::new(alphabet, config).decode(text.trim());
        let master = Zeroizing::new(decoded.map_err(|_error| KeyError::Encoding)?);
        if master.len() != KEY_LEN {
            return Err(KeyError::Length(master.len()));
        }
        let purpose = |info: &[u8]| {
            let mut derived = Zeroizing::new([0; KEY_LEN]);
            let secret = Salt::new(HKDF_SHA256, b"hookaido").extract(&master);
            let filled = secret.expand(&[info], HKDF_SHA256).and_then(|okm| okm.fill(&mut *derived));
            filled.map(|()| derived).map_err(|_unspecified| KeyError::Unusable)
        };
        let id = purpose(b"hookaido runtime secrets 1: key id")?;
        let key = purpose(b"hookaido runtime secrets 1: seal")?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*key).map_err(|_unspecified| KeyError::Unusable)?;
        let id: String = hex::encode(&id).iter().take(2 * ID_LEN).map(|digit| char::from(*digit)).collect();
        Ok(Self { id, key })
    }

    /// Names the key without revealing it: 16 hex digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a value for the place that `bound` describes: nonce, then text, then tag.
    ///
    /// # Errors
    /// The library fails; it should never.
    pub fn seal(&self, value: &SecretValue, bound: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut text = value.bytes().to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(self.bind(bound)), &mut text);
        let nonce = nonce.map_err(|_unspecified| SealError)?;
        Ok([nonce.as_ref().as_slice(), &text].concat())
    }

    /// Opens what [`seal`](Self::seal) made for the same place.
    ///
    /// # Errors
    /// It was made by another key or for another place, or was changed.
    pub fn open(&self, sealed: &[u8], bound: &[u8]) -> Result<SecretValue, SealError> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_unspecified| SealError)?;
        let mut text = Zeroizing::new(text.to_vec());
        let open = self.key.open_in_place(nonce, Aad::from(self.bind(bound)), &mut text);
        open.map(|plain| SecretValue::new(&*plain)).map_err(|_unspecified| SealError)
    }

    fn bind(&self, bound: &[u8]) -> Vec<u8> {
        [self.id.as_bytes(), b"\n", bound].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn keys_are_32_bytes_in_base64() {
        for text in [KEY, KEY.trim_end_matches('='), " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"] {
            assert_eq!(SealKey::parse(text).unwrap().id(), SealKey::parse(KEY).unwrap().id(), "{text}");
        }
        assert!(SealKey::parse("__79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA=").is_ok());
        for (text, error) in [
            ("%%%", KeyError::Encoding),
            ("", KeyError::Length(0)),
            ("AAEC", KeyError::Length(3)),
            ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISI=", KeyError::Length(35)),
        ] {
            assert_eq!(SealKey::parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn a_sealed_value_opens_with_its_key_in_its_place_and_unchanged() {
        let key = SealKey::parse(KEY).unwrap();
        let other = SealKey::parse("Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=").unwrap();
        assert_ne!(key.id(), other.id());
        let value = SecretValue::new("hunter2");
        let sealed = key.seal(&value, b"here").unwrap();
        assert_eq!(sealed.len(), NONCE_LEN + 7 + 16);
        assert_ne!(sealed, key.seal(&value, b"here").unwrap(), "each has a nonce of its own");
        assert_eq!(key.open(&sealed, b"here").unwrap(), value);
        assert_eq!(key.open(&sealed, b"there"), Err(SealError));
        assert_eq!(other.open(&sealed, b"here"), Err(SealError));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(&changed, b"here"), Err(SealError), "byte {at}");
        }
        for length in 0..sealed.len() {
            assert_eq!(key.open(&sealed[..length], b"here"), Err(SealError), "{length} bytes");
        }
        assert!(!format!("{key:?}").contains(KEY));
    }
}
