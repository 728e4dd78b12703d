//! Vectors of providers, and every way in which a request can be wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use hookaido_model::SecretRef;
use hookaido_model::config::{HmacHeaders, HmacScheme, SecretPool, SecretVersion};
use http::HeaderValue;

use super::*;
use crate::{FixedSecrets, SecretValue};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const BODY: &[u8] = b"{\"n\":1}";

fn canonical() -> HmacScheme {
    let headers = HmacHeaders {
        signature: "X-Signature".to_owned(),
        timestamp: "X-Timestamp".to_owned(),
        nonce: "X-Nonce".to_owned(),
    };
    HmacScheme::Canonical { headers, tolerance: Duration::from_secs(300) }
}

fn verifier(scheme: HmacScheme, secrets: &[&str]) -> HmacVerifier {
    let secrets = secrets.iter().map(|s| SecretRef::Raw((*s).into())).collect();
    let auth = HmacAuth { scheme, secrets, secret_ids: Vec::new() };
    HmacVerifier::build(&auth, &SecretPools::default(), &FixedSecrets::default()).unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_str(v).unwrap())).collect()
}

fn mac(secret: &str, text: &[u8]) -> String {
    let mac = MacKey::new(&SecretValue::new(secret)).sign(&[text]);
    String::from_utf8(hex::encode(&mac).to_vec()).unwrap()
}

fn verify(verifier: &HmacVerifier, pairs: &[(&'static str, &str)], body: &[u8]) -> Result<(), Denied> {
    let headers = headers(pairs);
    let request = SignedRequest { method: "POST", path: "/a/b", headers: &headers, body };
    verifier.verify(&request, NOW).map(|_| ())
}

#[test]
fn the_github_vector_verifies() {
    let verifier = verifier(HmacScheme::Github, &["other", "It's a Secret to Everybody"]);
    let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let name = "x-hub-signature-256";
    assert_eq!(verify(&verifier, &[(name, good)], b"Hello, World!"), Ok(()));
    assert_eq!(verify(&verifier, &[(name, &good.replace("75710", "7571A"))], b"Hello, World!"), Err(Denied::Mismatch));
    let upper = format!("sha256={}", good.replace("sha256=", "").to_uppercase());
    assert_eq!(verify(&verifier, &[(name, &upper)], b"Hello, World!"), Ok(()));
    assert_eq!(verify(&verifier, &[(name, good)], b"Hello, World"), Err(Denied::Mismatch));
    for bad in [&good.replace("sha256=", ""), &good.replace("sha", "SHA"), "sha256=", "", "sha256=zz"] {
        assert_eq!(verify(&verifier, &[(name, bad)], b"Hello, World!"), Err(Denied::NoSignature), "{bad}");
    }
    assert_eq!(verify(&verifier, &[("x-hub-signature", good)], b"Hello, World!"), Err(Denied::NoSignature));
}

#[test]
fn gitea_signs_the_body_without_prefix() {
    let verifier = verifier(HmacScheme::Gitea, &["one", "two"]);
    let good = mac("two", BODY);
    assert_eq!(verify(&verifier, &[("x-gitea-signature", &good)], BODY), Ok(()));
    let prefixed = format!("sha256={good}");
    assert_eq!(verify(&verifier, &[("x-gitea-signature", &prefixed)], BODY), Err(Denied::NoSignature));
    assert_eq!(verify(&verifier, &[("x-gitea-signature", &mac("three", BODY))], BODY), Err(Denied::Mismatch));
}

#[test]
fn stripe_takes_any_of_several_signatures() {
    let verifier = verifier(HmacScheme::Stripe, &["one", "two"]);
    let signed = |secret: &str, time: &str| mac(secret, &[time.as_bytes(), b".", BODY].concat());
    let check = |header: &str| verify(&verifier, &[("stripe-signature", header)], BODY);
    let (t, one, other) = ("1700000000", signed("one", "1700000000"), signed("x", "1700000000"));
    for good in [
        format!("t={t},v1={one}"),
        format!("v1={one},t={t}"),
        format!("t={t} , v1={other} , v1={}", signed("two", t)),
        format!("t={t},v1={one},v1={other}"),
        format!("t={t},v0=abcd,junk,v1=nothex,v1={one}"),
    ] {
        assert_eq!(check(&good), Ok(()), "{good}");
    }
    assert_eq!(check(&format!("t={t},v0={one}")), Err(Denied::NoSignature));
    assert_eq!(check(&format!("t={t},v1={other}")), Err(Denied::Mismatch));
    assert_eq!(check(&format!("v1={one}")), Err(Denied::NoTimestamp));
    assert_eq!(check(&format!("t=abc,v1={one}")), Err(Denied::NoTimestamp));
    assert_eq!(check(&format!("t=1700000001,v1={one}")), Err(Denied::Mismatch));
    for (skew, expected) in [(-300, Ok(())), (-301, Err(Denied::Stale)), (300, Ok(())), (301, Err(Denied::Stale))] {
        let time = (1_700_000_000 + skew).to_string();
        assert_eq!(check(&format!("t={time},v1={}", signed("one", &time))), expected, "{skew}");
    }
}

#[test]
fn cituro_counts_milliseconds() {
    let verifier = verifier(HmacScheme::Cituro, &["one"]);
    let check = |time: &str, tag: &str| {
        let signature = mac("one", &[time.as_bytes(), b".", BODY].concat());
        verify(&verifier, &[("x-cituro-signature", &format!("t={time},{tag}={signature}"))], BODY)
    };
    assert_eq!(check("1700000000123", "s"), Ok(()));
    assert_eq!(check("1700000000", "s"), Err(Denied::Stale));
    assert_eq!(check("1699999699000", "s"), Err(Denied::Stale));
    assert_eq!(check("1700000000123", "v1"), Err(Denied::NoSignature));
}

/// Headers of a canonical request, computed outside this crate:
/// printf '1700000000\nPOST\n/a/b\n%s' $(printf '{"n":1}' | sha256sum | cut -d' ' -f1) | openssl dgst -sha256 -hmac s3cret
const SIGNED: [(&str, &str); 3] = [
    ("x-signature", "df2bc1b4f4c7ebe4369279623b9799a6a18934bf86f84e69405c6c1a3f4fcd91"),
    ("x-timestamp", "1700000000"),
    ("x-nonce", "n-1"),
];

#[test]
fn the_canonical_text_is_time_method_path_and_hash() {
    let verifier = verifier(canonical(), &["s3cret"]);
    let headers = headers(&SIGNED);
    let request = SignedRequest { method: "POST", path: "/a/b", headers: &headers, body: BODY };
    let until = NOW.plus(Duration::from_secs(300));
    assert_eq!(verifier.verify(&request, NOW), Ok(Verified { nonce: Some((b"n-1", until)) }));
    for wrong in [
        SignedRequest { method: "PUT", ..request },
        SignedRequest { path: "/a", ..request },
        SignedRequest { body: b"{}", ..request },
    ] {
        assert_eq!(verifier.verify(&wrong, NOW), Err(Denied::Mismatch), "{wrong:?}");
    }
    assert_eq!(verifier.verify(&request, NOW.plus(Duration::from_millis(300_001))), Err(Denied::Stale));
    assert_eq!(verifier.verify(&request, NOW.minus(Duration::from_millis(300_001))), Err(Denied::Stale));
}

#[test]
fn every_part_of_a_canonical_request_is_needed() {
    let verifier = verifier(canonical(), &["s3cret"]);
    for (left_out, expected) in [(0, Denied::NoSignature), (1, Denied::NoTimestamp), (2, Denied::NoNonce)] {
        let mut pairs = SIGNED.to_vec();
        pairs.remove(left_out);
        assert_eq!(verify(&verifier, &pairs, BODY), Err(expected));
        pairs.push((SIGNED[left_out].0, ""));
        assert_eq!(verify(&verifier, &pairs, BODY), Err(expected));
    }
    for (len, expected) in [(256, Ok(())), (257, Err(Denied::NoNonce))] {
        let nonce = "n".repeat(len);
        assert_eq!(verify(&verifier, &[SIGNED[0], SIGNED[1], ("x-nonce", &nonce)], BODY), expected);
    }
    for time in ["", "+", "++1", "-1", "1700000000.0", "0x10", "99999999999999999999"] {
        let pairs = [SIGNED[0], ("x-timestamp", time), SIGNED[2]];
        assert_eq!(verify(&verifier, &pairs, BODY), Err(Denied::NoTimestamp), "{time}");
    }
}

fn pools(versions: &[(&str, i64, Option<i64>)]) -> SecretPools {
    let version = |(id, from, until): &(&str, i64, Option<i64>)| {
        let version = SecretVersion {
            id: (*id).into(),
            value: SecretRef::Raw(format!("k-{id}").into()),
            valid_from: Some(UnixMillis(NOW.0 + from * 1000)),
            valid_until: until.map(|until| UnixMillis(NOW.0 + until * 1000)),
        };
        ((*id).to_owned(), SecretPool::Static(version))
    };
    SecretPools::resolve(&versions.iter().map(version).collect::<BTreeMap<_, _>>(), &FixedSecrets::default()).unwrap()
}

#[test]
fn a_named_secret_counts_when_its_window_holds_the_signed_time() {
    let pools = pools(&[("old", -3600, Some(-60)), ("new", -120, None), ("later", 60, None)]);
    let ids = ["old", "new", "later"].map(str::to_owned).to_vec();
    let named = |scheme| HmacAuth { scheme, secrets: Vec::new(), secret_ids: ids.clone() };
    let build = |scheme| HmacVerifier::build(&named(scheme), &pools, &FixedSecrets::default()).unwrap();
    let (canonical, stripe) = (build(canonical()), build(HmacScheme::Stripe));
    let hash = String::from_utf8(hex::encode(&Sha256::digest(BODY).into()).to_vec()).unwrap();
    for (id, skew, at_signed_time, at_present) in [
        ("old", -200, true, false),
        ("old", -30, false, false),
        ("new", 0, true, true),
        ("new", -90, true, true),
        ("new", -200, false, true),
        ("later", 0, false, false),
        ("later", 90, true, false),
    ] {
        let time = (NOW.secs() + skew).to_string();
        let signature = mac(&format!("k-{id}"), format!("{time}\nPOST\n/a/b\n{hash}").as_bytes());
        let pairs = [("x-signature", signature.as_str()), ("x-timestamp", &time), ("x-nonce", "n")];
        assert_eq!(verify(&canonical, &pairs, BODY).is_ok(), at_signed_time, "canonical {id} {skew}");
        let signature = mac(&format!("k-{id}"), &[time.as_bytes(), b".", BODY].concat());
        let header = format!("t={time},v1={signature}");
        assert_eq!(verify(&stripe, &[("stripe-signature", &header)], BODY).is_ok(), at_present, "stripe {id} {skew}");
    }
}

#[test]
fn a_verifier_without_secret_is_not_built() {
    let auth = |secrets: &[SecretRef], ids: &[&str]| HmacAuth {
        scheme: HmacScheme::Github,
        secrets: secrets.to_vec(),
        secret_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    let build = |auth| HmacVerifier::build(&auth, &SecretPools::default(), &FixedSecrets::default());
    assert!(matches!(build(auth(&[], &[])), Err(AuthError::NoSecret)));
    assert!(matches!(build(auth(&[], &["gone"])), Err(AuthError::UnknownSecret(_))));
    assert!(matches!(build(auth(&[SecretRef::Env("GONE".into())], &[])), Err(AuthError::Secret(_))));
}

#[test]
fn an_empty_pool_verifies_nothing_until_it_is_filled() {
    let pool = SecretPool::Runtime { id: "p".into(), initial: None, max_versions: 32 };
    let pools = SecretPools::resolve(&BTreeMap::from([("p".to_owned(), pool)]), &FixedSecrets::default()).unwrap();
    let auth = HmacAuth { scheme: HmacScheme::Gitea, secrets: Vec::new(), secret_ids: vec!["p".to_owned()] };
    let verifier = HmacVerifier::build(&auth, &pools, &FixedSecrets::default()).unwrap();
    let signature = mac("k", BODY);
    let pairs = [("x-gitea-signature", signature.as_str())];
    assert_eq!(verify(&verifier, &pairs, BODY), Err(Denied::Mismatch));
    assert!(!verifier.has_secret(NOW));
    pools.get("p").unwrap().replace(vec![crate::PoolVersion::new("v".into(), &SecretValue::new("k"), None, None)]);
    assert_eq!(verify(&verifier, &pairs, BODY), Ok(()));
    assert!(verifier.has_secret(NOW));
    let ended = crate::PoolVersion::new("v".into(), &SecretValue::new("k"), None, Some(NOW));
    pools.get("p").unwrap().replace(vec![ended]);
    assert!(!verifier.has_secret(NOW) && verifier.has_secret(UnixMillis(NOW.0 - 1)));
}
