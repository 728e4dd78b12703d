//! Signatures that others made, recorded: `tests/data/signatures.json` has what Stripe's and GitHub's own libraries and openssl signed, and
//! when. Each is good as it is, and refused after any change.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookaido_http::{Request, RequestBody};
use hookaido_ingress::Table;
use hookaido_model::config::{HmacAuth, HmacHeaders, HmacScheme, IngressAuth, Route};
use hookaido_model::{SecretRef, UnixMillis};
use serde_json::Value;

use crate::support::*;

const TOLERANCE: Duration = Duration::from_secs(300);

/// One signed request.
#[derive(Clone, Debug)]
struct Vector {
    /// Who signed, and in which scheme.
    name: String,
    scheme: String,
    secret: String,
    body: Vec<u8>,
    /// Those of the signature; the signature itself is in the first.
    headers: Vec<(String, String)>,
}

/// All of them, and the instant at which they were signed.
fn vectors() -> (UnixMillis, Vec<Vector>) {
    let file: Value = serde_json::from_str(include_str!("../data/signatures.json")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let vector = |one: &Value| {
        let mut headers: Vec<_> =
            one["headers"].as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect();
        headers.sort_by_key(|(name, _)| !name.to_lowercase().contains("signature"));
        Vector {
            name: format!("{}, {}", text(&one["signer"]), text(&one["scheme"])),
            scheme: text(&one["scheme"]),
            secret: text(&one["secret"]),
            body: STANDARD.decode(text(&one["body_b64"])).unwrap(),
            headers,
        }
    };
    let vectors = file["vectors"].as_array().unwrap().iter().map(vector).collect();
    (UnixMillis(file["time"].as_i64().unwrap() * 1000), vectors)
}

impl Vector {
    fn is_timed(&self) -> bool {
        !["github", "gitea"].contains(&self.scheme.as_str())
    }

    fn route(&self, secret: &str) -> Route {
        let scheme = match self.scheme.as_str() {
            "github" => HmacScheme::Github,
            "gitea" => HmacScheme::Gitea,
            "stripe" => HmacScheme::Stripe,
            "cituro" => HmacScheme::Cituro,
            _ => HmacScheme::Canonical {
                headers: HmacHeaders {
                    signature: "X-Signature".to_owned(),
                    timestamp: "X-Timestamp".to_owned(),
                    nonce: "X-Nonce".to_owned(),
                },
                tolerance: TOLERANCE,
            },
        };
        let auth = HmacAuth { scheme, secrets: vec![SecretRef::Raw(secret.into())], secret_ids: Vec::new() };
        Route { auth: IngressAuth::Hmac(auth), ..route("/hook") }
    }

    fn request(&self) -> Request {
        let mut request = http::Request::post("/hook").header("Host", "hooks.example.com");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(RequestBody::full(self.body.clone())).unwrap()
    }

    /// The same request with another value in one of its headers.
    fn with(&self, header: usize, value: String) -> Self {
        let mut changed = self.clone();
        changed.headers[header].1 = value;
        changed
    }
}

/// Refused, and told nothing but that.
async fn is_refused(table: &Arc<Table>, vector: &Vector, what: &str) {
    let response = send(table, vector.request()).await;
    assert_eq!(response.status().as_u16(), 401, "{}: {what}: {vector:?}", vector.name);
    assert_eq!(text(&response), "{\"code\":\"unauthorized\",\"detail\":\"missing or wrong credentials\"}\n");
    let headers: Vec<_> = response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(headers, [("content-type", &b"application/json"[..]), ("www-authenticate", b"HMAC realm=\"hookaido\"")]);
}

/// Another character of the same kind.
fn other(byte: u8) -> u8 {
    match byte {
        b'9' => b'0',
        b'f' | b'F' => b'a',
        _ => byte + 1,
    }
}

#[tokio::test]
async fn what_others_signed_is_good_and_stored_as_it_was_signed() {
    let (signed_at, vectors) = vectors();
    assert!(vectors.len() >= 25);
    for vector in vectors {
        let world = World::new();
        world.clock.set(signed_at);
        let table = world.table(&[vector.route(&vector.secret)]).await;
        assert_eq!(status(&table, vector.request()).await, 202, "{vector:?}");
        let stored = world.stored("/hook").await;
        assert_eq!(stored[0].body, vector.body);
        // Only the canonical scheme has something that counts once.
        let again = if vector.scheme == "canonical" { 401 } else { 202 };
        assert_eq!(status(&table, vector.request()).await, again, "{}", vector.name);
    }
}

#[tokio::test]
async fn another_secret_or_another_byte_is_refused() {
    let (signed_at, vectors) = vectors();
    for vector in vectors {
        let world = World::new();
        world.clock.set(signed_at);
        for secret in [format!("{}x", vector.secret), vector.secret[1..].to_owned(), vector.secret.to_uppercase()] {
            is_refused(&world.table(&[vector.route(&secret)]).await, &vector, "another secret").await;
        }
        let table = world.table(&[vector.route(&vector.secret)]).await;
        for at in [0, vector.body.len() / 2, vector.body.len().saturating_sub(1)] {
            let mut changed = vector.clone();
            if let Some(byte) = changed.body.get_mut(at) {
                *byte ^= 1;
                is_refused(&table, &changed, "another byte of the body").await;
            }
        }
        let longer = Vector { body: [&vector.body[..], b"\n"].concat(), ..vector.clone() };
        is_refused(&table, &longer, "a longer body").await;
        // A nonce may be any; that it counts once is tested elsewhere.
        for (header, (_, value)) in vector.headers.iter().enumerate().filter(|(_, (name, _))| name != "X-Nonce") {
            for at in 0..value.len() {
                let mut bytes = value.clone().into_bytes();
                bytes[at] = other(bytes[at]);
                let changed = vector.with(header, String::from_utf8(bytes).unwrap());
                is_refused(&table, &changed, "another byte of a header").await;
            }
        }
        assert!(world.stored("/hook").await.is_empty());
    }
}

#[tokio::test]
async fn too_early_or_too_late_is_refused() {
    let (signed_at, vectors) = vectors();
    for vector in vectors.iter().filter(|vector| vector.is_timed()) {
        let world = World::new();
        let table = world.table(&[vector.route(&vector.secret)]).await;
        // Cituro counts milliseconds, and those were signed 123 of them later.
        let exact = signed_at.plus(Duration::from_millis(if vector.scheme == "cituro" { 123 } else { 0 }));
        let (late, early) = (exact.plus(TOLERANCE), exact.minus(TOLERANCE));
        let moment = Duration::from_millis(1);
        let year = Duration::from_secs(365 * 24 * 3600);
        for now in [late.plus(moment), early.minus(moment), late.plus(year), early.minus(year), UnixMillis(0)] {
            world.clock.set(now);
            is_refused(&table, vector, "at another time").await;
        }
        world.clock.set(late);
        assert_eq!(status(&table, vector.request()).await, 202, "{vector:?}");
    }
}

#[tokio::test]
async fn truncated_and_doubled_headers_are_refused() {
    let (signed_at, vectors) = vectors();
    for vector in vectors {
        let world = World::new();
        world.clock.set(signed_at);
        let table = world.table(&[vector.route(&vector.secret)]).await;
        for (header, (name, value)) in vector.headers.iter().enumerate() {
            let mut without = vector.clone();
            without.headers.remove(header);
            is_refused(&table, &without, "a header is missing").await;
            for second in [value.clone(), String::new(), "x".to_owned()] {
                for first in [true, false] {
                    let mut doubled = vector.clone();
                    let at = if first { 0 } else { doubled.headers.len() };
                    doubled.headers.insert(at, (name.clone(), second.clone()));
                    is_refused(&table, &doubled, "a header is there twice").await;
                }
            }
            if name == "X-Nonce" {
                continue;
            }
            for length in 0..value.len() {
                is_refused(&table, &vector.with(header, value[..length].to_owned()), "cut at its end").await;
            }
            for length in 1..value.len() {
                is_refused(&table, &vector.with(header, value[length..].to_owned()), "cut at its start").await;
            }
            // A tagged header may hold several signatures, so the second one counts there.
            if !value.starts_with("t=") {
                is_refused(&table, &vector.with(header, format!("{value}{value}")), "written twice").await;
                is_refused(&table, &vector.with(header, format!("{value},{value}")), "listed twice").await;
            }
            is_refused(&table, &vector.with(header, format!("{value}0")), "longer").await;
        }
        assert!(world.stored("/hook").await.is_empty());
        assert_eq!(status(&table, vector.request()).await, 202, "refusals change nothing");
    }
}
