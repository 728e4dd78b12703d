//! A signed request counts once, but a refused one may be repeated.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use hookaido_http::Request;
use hookaido_ingress::handle;
use hookaido_model::config::{DropPolicy, HmacAuth, HmacHeaders, HmacScheme, IngressAuth, QueueLimits, Route};
use hookaido_model::{ManualClock, SecretRef};
use hookaido_queue::MemoryStore;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::support::gated::Gated;
use crate::support::*;

const UNBOUNDED: QueueLimits = QueueLimits { max_depth: None, drop_policy: DropPolicy::Reject };

fn signed_route(path: &str) -> Route {
    let headers = HmacHeaders {
        signature: "X-Signature".to_owned(),
        timestamp: "X-Timestamp".to_owned(),
        nonce: "X-Nonce".to_owned(),
    };
    let scheme = HmacScheme::Canonical { headers, tolerance: Duration::from_secs(300) };
    let auth = HmacAuth { scheme, secrets: vec![SecretRef::Raw("s3cret".into())], secret_ids: Vec::new() };
    Route { auth: IngressAuth::Hmac(auth), ..route(path) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A POST signed now.
fn signed(path: &str, nonce: &str, more: &[(&str, &str)], body: &str) -> Request {
    let time = NOW.secs().to_string();
    let text = format!("{time}\nPOST\n{path}\n{}", hex(&Sha256::digest(body)));
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cret").unwrap();
    mac.update(text.as_bytes());
    let signature = hex(&mac.finalize().into_bytes());
    let mut headers = vec![("X-Signature", signature.as_str()), ("X-Timestamp", &time), ("X-Nonce", nonce)];
    headers.extend_from_slice(more);
    post(path, &headers, body)
}

#[tokio::test]
async fn a_stored_request_cannot_be_repeated_not_even_after_a_reload() {
    let world = World::new();
    let table = world.table(&[signed_route("/a")]).await;
    assert_eq!(status(&table, signed("/a", "n", &[], "m")).await, 202);
    assert_eq!(status(&table, signed("/a", "n", &[], "m")).await, 401);
    assert_eq!(status(&table, signed("/a", "other", &[], "m")).await, 202);
    let reloaded = world.table(&[signed_route("/a"), route("/b")]).await;
    drop(table);
    assert_eq!(status(&reloaded, signed("/a", "n", &[], "m")).await, 401);
    world.clock.advance(Duration::from_millis(300_001));
    assert_eq!(status(&reloaded, signed("/a", "n", &[], "m")).await, 401, "the timestamp refuses it now");
    assert_eq!(world.stored("/a").await.len(), 2);
}

#[tokio::test]
async fn a_refused_request_may_be_repeated_as_it_is() {
    let world = World::with_limits(QueueLimits { max_depth: Some(1), drop_policy: DropPolicy::Reject });
    let table = world.table(&[Route { max_headers: 300, ..signed_route("/a") }]).await;
    let long = "v".repeat(300);
    assert_eq!(status(&table, signed("/a", "n", &[("X-Fill", &long)], "m")).await, 413);
    assert_eq!(status(&table, signed("/a", "fill", &[], "m")).await, 202);
    assert_eq!(status(&table, signed("/a", "n", &[], "m")).await, 503);
    let emptied = World { queue: World::new().queue, ..world };
    let table = emptied.table(&[signed_route("/a")]).await;
    assert_eq!(status(&table, signed("/a", "n", &[], "m")).await, 202);
    assert_eq!(status(&table, signed("/a", "n", &[], "m")).await, 401);
}

#[tokio::test]
async fn a_nonce_counts_once_for_a_route_whatever_the_path_below_it() {
    let world = World::new();
    let table = world.table(&[signed_route("/a"), signed_route("/b")]).await;
    assert_eq!(status(&table, signed("/a", "n", &[], "m")).await, 202);
    assert_eq!(status(&table, signed("/a/x", "n", &[], "m")).await, 401);
    assert_eq!(status(&table, signed("/b", "n", &[], "m")).await, 202);
}

#[tokio::test]
async fn a_bad_signature_claims_nothing() {
    let world = World::new();
    let table = world.table(&[signed_route("/a")]).await;
    let mut forged = signed("/a", "n", &[], "m");
    forged.headers_mut().insert("x-timestamp", http::HeaderValue::from(NOW.secs() - 1));
    assert_eq!(status(&table, forged).await, 401);
    assert_eq!(status(&table, signed("/a", "n", &[], "m")).await, 202);
}

#[tokio::test]
async fn a_repeat_during_the_first_request_is_refused_whatever_becomes_of_the_sender() {
    let gate = Arc::new(Semaphore::new(0));
    let clock = ManualClock::at(NOW);
    let store = Gated { inner: Arc::new(MemoryStore::new()), gate: Arc::clone(&gate) };
    let world = World::with_store(Arc::new(store), clock, UNBOUNDED);
    let table = world.table(&[signed_route("/a")]).await;
    let mut first = Box::pin(handle(&table, signed("/a", "n", &[], "m"), &peer()));
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx).is_pending())).await);
    assert_eq!(status(&table, signed("/a", "n", &[], "m")).await, 401);
    // The sender hangs up; the message is stored nevertheless, so the nonce stays used.
    drop(first);
    gate.add_permits(1);
    world.tasks.close();
    world.tasks.wait().await;
    assert_eq!(world.stored("/a").await.len(), 1);
    assert_eq!(status(&table, signed("/a", "n", &[], "m")).await, 401);
}
