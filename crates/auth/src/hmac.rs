//! Verifies signatures of requests.
//!
//! One verifier for all schemes: it reads the places that a [`Scheme`] names, computes the HMAC with every secret that counts and
//! compares in constant time. Says nothing about replays: a verified request tells which nonce to claim.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use hookaido_model::UnixMillis;
use hookaido_model::config::HmacAuth;
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use subtle::{Choice, ConstantTimeEq};

use crate::pool::MacKey;
use crate::scheme::{Content, Form, Judged, SignedTime, TimePlace, tagged};
use crate::{AuthError, Pool, Scheme, SecretPools, SecretSource, hex};

/// Most signatures of one header that are tried; senders give one for each secret during a rotation.
const MAX_SIGNATURES: usize = 16;
/// Longest nonce, in bytes.
const MAX_NONCE: usize = 256;

/// Checks the signatures of one route.
#[derive(Debug)]
pub struct HmacVerifier {
    scheme: Scheme,
    /// Inline secrets; they have no window.
    keys: Vec<MacKey>,
    /// Named secrets.
    pools: Vec<Arc<Pool>>,
}

/// What a signature may cover.
#[derive(Clone, Copy)]
pub struct SignedRequest<'a> {
    /// As sent.
    pub method: &'a str,
    /// Cleaned, without query.
    pub path: &'a str,
    /// As sent.
    pub headers: &'a HeaderMap,
    /// Byte for byte.
    pub body: &'a [u8],
}

impl fmt::Debug for SignedRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedRequest({} {}, {} bytes)", self.method, self.path, self.body.len())
    }
}

/// A request whose signature is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<'a> {
    /// What must not be used again, and until when; `None` where the scheme has no nonce.
    pub nonce: Option<(&'a [u8], UnixMillis)>,
}

/// Why a request is refused. The sender is told nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No signature, or not in the form of the scheme.
    #[error("no signature in the expected form")]
    NoSignature,
    /// No timestamp, or no number.
    #[error("no timestamp in the expected form")]
    NoTimestamp,
    /// Too far from the present.
    #[error("the timestamp is outside the tolerance")]
    Stale,
    /// No nonce, or one that is too long.
    #[error("no nonce, or longer than 256 bytes")]
    NoNonce,
    /// No secret made this signature.
    #[error("the signature does not match")]
    Mismatch,
}

/// The signatures that a request brings.
type Candidates = SmallVec<[[u8; 32]; 2]>;

impl HmacVerifier {
    /// Reads the secrets of a route.
    ///
    /// # Errors
    /// If there is none, one cannot be read, or a header name is none.
    pub fn build(auth: &HmacAuth, pools: &SecretPools, source: &dyn SecretSource) -> Result<Self, AuthError> {
        let scheme = Scheme::new(&auth.scheme)?;
        let keys = auth.secrets.iter().map(|reference| Ok(MacKey::new(&source.resolve(reference)?)));
        let keys = keys.collect::<Result<Vec<_>, AuthError>>()?;
        let pool = |id: &String| pools.get(id).cloned().ok_or_else(|| AuthError::UnknownSecret(id.clone()));
        let pools = auth.secret_ids.iter().map(pool).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() && pools.is_empty() {
            return Err(AuthError::NoSecret);
        }
        Ok(Self { scheme, keys, pools })
    }

    /// Whether any secret counts at `at`. Without one every request is refused, whatever it proves.
    #[must_use]
    pub fn has_secret(&self, at: UnixMillis) -> bool {
        let counts = |pool: &Arc<Pool>| pool.versions().iter().any(|version| version.valid_at(at));
        !self.keys.is_empty() || self.pools.iter().any(counts)
    }

    /// Checks a request.
    ///
    /// # Errors
    /// If it does not prove that its sender knows one of the secrets.
    pub fn verify<'a>(&self, request: &SignedRequest<'a>, now: UnixMillis) -> Result<Verified<'a>, Denied> {
        let header = value(request.headers, &self.scheme.header).ok_or(Denied::NoSignature)?;
        let candidates = self.candidates(header);
        if candidates.is_empty() {
            return Err(Denied::NoSignature);
        }
        let time = self.scheme.time.as_ref().map(|time| signed_time(time, header, request.headers, now)).transpose()?;
        let nonce = self.nonce(request.headers)?;
        let judged_at = match (self.scheme.judged, &time) {
            (Judged::AtSignedTime, Some(time)) => time.at,
            _ => now,
        };
        let text = time.as_ref().map_or(&b""[..], |time| time.text);
        if !self.matches(request, text, &candidates, judged_at) {
            return Err(Denied::Mismatch);
        }
        Ok(Verified { nonce: nonce.map(|nonce| (nonce, time.map_or(now, |time| time.counts_until))) })
    }

    fn candidates(&self, header: &[u8]) -> Candidates {
        match self.scheme.form {
            Form::Prefixed(prefix) => {
                header.strip_prefix(prefix.as_bytes()).and_then(hex::decode).into_iter().collect()
            }
            Form::Tagged(tag) => tagged(header, tag).take(MAX_SIGNATURES).filter_map(hex::decode).collect(),
        }
    }

    fn nonce<'a>(&self, headers: &'a HeaderMap) -> Result<Option<&'a [u8]>, Denied> {
        let Some(name) = &self.scheme.nonce else { return Ok(None) };
        let nonce = value(headers, name).filter(|nonce| nonce.len() <= MAX_NONCE);
        nonce.map(Some).ok_or(Denied::NoNonce)
    }

    /// Whether any secret that counts at `judged_at` made any of the candidates.
    fn matches(
        &self,
        request: &SignedRequest<'_>,
        time: &[u8],
        candidates: &Candidates,
        judged_at: UnixMillis,
    ) -> bool {
        let content = signed_content(self.scheme.content, request, time);
        let parts = [content.as_ref(), if self.scheme.content == Content::Canonical { b"" } else { request.body }];
        let try_key = |key: &MacKey| {
            let mac = key.sign(&parts);
            candidates.iter().fold(Choice::from(0), |found, candidate| found | candidate.ct_eq(&mac))
        };
        let inline = self.keys.iter().fold(Choice::from(0), |found, key| found | try_key(key));
        let named = self.pools.iter().fold(inline, |found, pool| {
            let versions = pool.versions();
            let valid = versions.iter().filter(|version| version.valid_at(judged_at));
            valid.fold(found, |found, version| found | try_key(&version.key))
        });
        named.into()
    }
}

/// What is signed before the body, or all of it in the canonical scheme.
fn signed_content<'a>(content: Content, request: &SignedRequest<'a>, time: &[u8]) -> Cow<'a, [u8]> {
    match content {
        Content::Body => Cow::Borrowed(b""),
        Content::TimeDotBody => Cow::Owned([time, b"."].concat()),
        Content::Canonical => {
            let hash = hex::encode(&Sha256::digest(request.body).into());
            let parts = [time, request.method.as_bytes(), request.path.as_bytes(), &hash];
            Cow::Owned(parts.join(&b'\n'))
        }
    }
}

/// A time that is within the tolerance.
struct CheckedTime<'a> {
    text: &'a [u8],
    at: UnixMillis,
    counts_until: UnixMillis,
}

fn signed_time<'a>(
    time: &SignedTime,
    signature_header: &'a [u8],
    headers: &'a HeaderMap,
    now: UnixMillis,
) -> Result<CheckedTime<'a>, Denied> {
    let text = match &time.place {
        TimePlace::Header(name) => value(headers, name),
        TimePlace::Tag(tag) => tagged(signature_header, tag).next(),
    };
    let text = text.ok_or(Denied::NoTimestamp)?;
    let at = number(text).and_then(|n| n.checked_mul(time.unit_ms)).map(UnixMillis).ok_or(Denied::NoTimestamp)?;
    if at > now.plus(time.tolerance) || at < now.minus(time.tolerance) {
        return Err(Denied::Stale);
    }
    Ok(CheckedTime { text, at, counts_until: at.plus(time.tolerance) })
}

/// A decimal number of at most 18 digits; a plus sign in front is allowed.
fn number(text: &[u8]) -> Option<i64> {
    let text = text.strip_prefix(b"+").unwrap_or(text);
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter().try_fold(0i64, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

/// The only value of a header without the white space around it; `None` when it is missing, empty or there twice, because nobody could say
/// then which one others go by.
fn value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let only = values.next().filter(|_| values.next().is_none())?;
    Some(only.as_bytes().trim_ascii()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
