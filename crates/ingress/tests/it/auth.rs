//! Who may send.

use std::time::Duration;

use hookaido_ingress::BuildError;
use hookaido_model::SecretRef;
use hookaido_model::config::{ForwardAuth, HmacAuth, HmacScheme, IngressAuth, Route};

use crate::support::*;

#[tokio::test]
async fn basic_credentials_are_asked_for_with_a_challenge() {
    let world = World::new();
    let auth = IngressAuth::Basic(vec![("ci".to_owned(), "s3:cret".to_owned())]);
    let table = world.table(&[Route { auth, ..route("/a") }]).await;
    let response = send(&table, post("/a", &[], "hi")).await;
    assert_eq!(response.status().as_u16(), 401);
    assert!(header(&response, "www-authenticate").unwrap().starts_with("Basic realm="));
    assert_eq!(status(&table, post("/a", &[("Authorization", "Basic Y2k6czM6Y3JldA==")], "hi")).await, 202);
    assert_eq!(status(&table, post("/a", &[("Authorization", "Basic Y2k6czM6Y3JlZA==")], "hi")).await, 401);
    let stored = world.stored("/a").await;
    assert_eq!(stored.len(), 1);
    assert!(!stored[0].headers.contains_key("Authorization"));
}

#[tokio::test]
async fn a_provider_signature_is_checked_over_the_raw_body() {
    let world = World::new();
    let auth = HmacAuth {
        scheme: HmacScheme::Github,
        secrets: vec![SecretRef::Raw("It's a Secret to Everybody".into())],
        secret_ids: Vec::new(),
    };
    let table = world.table(&[Route { auth: IngressAuth::Hmac(auth), max_body: 20, ..route("/a") }]).await;
    let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let signed = |body: &str| post("/a", &[("X-Hub-Signature-256", good)], body);
    assert_eq!(status(&table, signed("Hello, World!")).await, 202);
    assert_eq!(status(&table, signed("Hello, World!")).await, 202, "github has no nonce");
    let response = send(&table, signed("Hello, World?")).await;
    assert_eq!((response.status().as_u16(), header(&response, "www-authenticate").is_some()), (401, true));
    assert_eq!(status(&table, post("/a", &[], "Hello, World!")).await, 401);
    assert_eq!(status(&table, signed(&"x".repeat(21))).await, 413, "the size comes before the signature");
    assert_eq!(world.stored("/a").await.len(), 2);
}

#[tokio::test]
async fn a_route_whose_authentication_cannot_be_built_is_never_open() {
    let world = World::new();
    let hmac = |secrets: Vec<SecretRef>, ids: &[&str]| {
        let secret_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        IngressAuth::Hmac(HmacAuth { scheme: HmacScheme::Github, secrets, secret_ids })
    };
    let forward = IngressAuth::Forward(ForwardAuth {
        url: "https://auth.example.com/".into(),
        timeout: Duration::from_secs(1),
        copy_headers: Vec::new(),
        body_limit: None,
    });
    for (auth, what) in [
        (IngressAuth::Basic(Vec::new()), "no pair"),
        (hmac(Vec::new(), &[]), "no secret"),
        (hmac(vec![SecretRef::Env("MISSING".into())], &[]), "unreadable secret"),
        (hmac(Vec::new(), &["gone"]), "unknown secret"),
        (forward, "forward"),
    ] {
        let error = world.try_table(&[route("/ok"), Route { auth, ..route("/a") }]).await.expect_err(what);
        assert!(error.to_string().contains("/a"), "{error}");
        assert!(matches!(error, BuildError::Auth { .. } | BuildError::Forward { .. }), "{what}: {error}");
    }
}
