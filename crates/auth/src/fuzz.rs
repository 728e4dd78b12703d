//! What must hold of any bytes where credentials are expected. Property tests and the fuzz targets call the same functions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookaido_model::config::{HmacAuth, HmacHeaders, HmacScheme};
use hookaido_model::{SecretRef, UnixMillis};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use crate::pool::MacKey;
use crate::{BasicAuth, BearerTokens, FixedSecrets, HmacVerifier, SecretPools, SecretValue, SignedRequest, hex};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const BODY: &[u8] = b"{\"n\":1}";
const SECRET: &str = "s3cret";

/// One scheme, and what a right header of it looks like.
struct Case {
    scheme: HmacScheme,
    header: &'static str,
    right: String,
    /// Whether anything may follow behind a comma.
    tagged: bool,
}

fn mac(parts: &[&[u8]]) -> String {
    let mac = MacKey::new(&SecretValue::new(SECRET)).sign(parts);
    hex::encode(&mac).iter().map(|digit| char::from(*digit)).collect()
}

fn cases() -> [Case; 5] {
    let (secs, millis) = ("1700000000", "1700000000000");
    let timed = |time: &str, tag: &str| format!("t={time},{tag}={}", mac(&[time.as_bytes(), b".", BODY]));
    let hash = hex::encode(&Sha256::digest(BODY).into());
    let headers = HmacHeaders {
        signature: "X-Signature".to_owned(),
        timestamp: "X-Timestamp".to_owned(),
        nonce: "X-Nonce".to_owned(),
    };
    let canonical = HmacScheme::Canonical { headers, tolerance: std::time::Duration::from_secs(300) };
    let canonical_right = mac(&[secs.as_bytes(), b"\nPOST\n/a\n", &hash]);
    let whole = |scheme, header, right| Case { scheme, header, right, tagged: false };
    let several = |scheme, header, right| Case { scheme, header, right, tagged: true };
    [
        whole(HmacScheme::Github, "x-hub-signature-256", format!("sha256={}", mac(&[BODY]))),
        whole(HmacScheme::Gitea, "x-gitea-signature", mac(&[BODY])),
        whole(canonical, "x-signature", canonical_right),
        several(HmacScheme::Stripe, "stripe-signature", timed(secs, "v1")),
        several(HmacScheme::Cituro, "x-cituro-signature", timed(millis, "s")),
    ]
}

/// Whether a request with these headers passes; `None` where HTTP does not allow such a header.
fn passes(scheme: &HmacScheme, pairs: &[(&'static str, &[u8])]) -> Option<bool> {
    let secrets = vec![SecretRef::Raw(SECRET.into())];
    let auth = HmacAuth { scheme: scheme.clone(), secrets, secret_ids: Vec::new() };
    let verifier = HmacVerifier::build(&auth, &SecretPools::default(), &FixedSecrets::default()).ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?);
    }
    let request = SignedRequest { method: "POST", path: "/a", headers: &headers, body: BODY };
    Some(verifier.verify(&request, NOW).is_ok())
}

/// Nothing passes but what was signed: not these bytes, alone, around a right signature or as its time, nor the right header twice.
///
/// # Panics
/// If it does not hold.
pub fn signature_headers(bytes: &[u8]) {
    for Case { scheme, header, right, tagged } in cases() {
        let rest = [("x-timestamp", &b"1700000000"[..]), ("x-nonce", b"n")];
        let with = |value: &[u8]| passes(&scheme, &[(header, value), rest[0], rest[1]]);
        let (right, is_blank) = (right.as_bytes(), bytes.trim_ascii().is_empty());
        let holds_it = bytes.windows(64).any(|part| right.ends_with(&part.to_ascii_lowercase()));
        assert_eq!(with(right), Some(true));
        assert!(with(bytes) != Some(true) || holds_it);
        assert_ne!(passes(&scheme, &[(header, right), (header, bytes), rest[0], rest[1]]), Some(true));
        assert_ne!(passes(&scheme, &[(header, bytes), (header, right), rest[0], rest[1]]), Some(true));
        if tagged {
            // Whatever follows a right signature as a part of its own is passed over.
            assert_ne!(with(&[right, b",", bytes].concat()), Some(false));
        } else if !is_blank {
            assert_ne!(with(&[right, bytes].concat()), Some(true));
            assert_ne!(with(&[bytes, right].concat()), Some(true));
        }
    }
    canonical_parts(bytes);
}

/// The other two headers of the canonical scheme.
fn canonical_parts(bytes: &[u8]) {
    let [_, _, Case { scheme, header, right, .. }, ..] = cases();
    let right = (header, right.as_bytes());
    let text = bytes.trim_ascii();
    let as_time = passes(&scheme, &[right, ("x-timestamp", bytes), ("x-nonce", b"n")]);
    assert!(as_time != Some(true) || text == b"1700000000");
    let as_nonce = passes(&scheme, &[right, ("x-timestamp", b"1700000000"), ("x-nonce", bytes)]);
    assert!(as_nonce.is_none_or(|passes| passes == (1..=256).contains(&text.len())), "{text:?}");
}

/// Basic credentials and bearer tokens pass exactly when they say what they must, however they are written.
///
/// # Panics
/// If it does not hold.
pub fn credentials(bytes: &[u8]) {
    let basic = BasicAuth::new(&[("user".to_owned(), "pass:word".to_owned())]);
    let decoded = bytes.get(6..).and_then(|encoded| STANDARD.decode(encoded).ok());
    assert!(basic.is_ok_and(|basic| !basic.check(Some(bytes)) || decoded.as_deref() == Some(b"user:pass:word")));

    let tokens = BearerTokens::resolve(&[SecretRef::Raw("tok".into())], &FixedSecrets::default());
    let is_token = bytes.trim_ascii().get(6..).is_some_and(|token| token.trim_ascii() == b"tok");
    assert!(tokens.is_ok_and(|tokens| !tokens.check(Some(bytes)) || is_token));

    // What is configured is found again.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let value = format!("bAsIc {}", STANDARD.encode(format!("{user}:{password}")));
    let basic = BasicAuth::new(&[(user.to_owned(), password.to_owned())]);
    assert!(basic.is_ok_and(|basic| basic.check(Some(value.as_bytes()))));
    let token = text.trim_ascii();
    if !token.is_empty() {
        let tokens = BearerTokens::resolve(&[SecretRef::Raw(token.into())], &FixedSecrets::default());
        assert!(tokens.is_ok_and(|tokens| tokens.check(Some(format!("beArer \t{token} ").as_bytes()))));
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Bytes, and pieces of headers in any order.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let mut known: Vec<String> = cases()
            .into_iter()
            .flat_map(|case| [case.right.clone(), case.right.get(..40).unwrap_or_default().to_owned()])
            .collect();
        known.extend(
            [
                "t=",
                "v1=",
                "s=",
                ",",
                ";",
                " ",
                "sha256=",
                "1700000000",
                "+",
                "-1",
                "Basic ",
                "Bearer ",
                "tok",
                "dXNlcjpwYXNzOndvcmQ=",
                ":",
                "\t",
                "\u{e9}",
            ]
            .map(str::to_owned),
        );
        let known = proptest::sample::select(known).prop_map(String::into_bytes);
        vec(prop_oneof![3 => known, 1 => vec(any::<u8>(), 0..20)], 0..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn nothing_passes_but_what_was_signed(bytes in bytes()) {
            signature_headers(&bytes);
        }

        #[test]
        fn credentials_pass_exactly_when_they_are_right(bytes in bytes()) {
            credentials(&bytes);
        }
    }
}
