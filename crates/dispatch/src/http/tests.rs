//! TLS towards a target, with a certificate authority of the test's own (`tests/*.pem`: keys that protect nothing).

use std::net::SocketAddr;

use hookaido_model::config::Egress;
use hookaido_model::{JsonMap, Outcome, RetryPolicy, SystemClock};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::*;
use crate::http::resolve::Resolving;

#[derive(Debug)]
struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, _host: &str, port: u16) -> Resolving {
        Box::pin(std::future::ready(Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])))
    }
}

/// Answers with 200 and names the version, over TLS with these protocols; `/down` redirects to cleartext.
async fn sink(protocols: &[&str]) -> SocketAddr {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tests/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tests/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tracker = TaskTracker::new();
    tracker.clone().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tracker.spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let service = service_fn(|request: Request<Incoming>| async move {
                    let down = request.uri().path() == "/down";
                    let status = if down {
                        307
                    } else if request.version() == http::Version::HTTP_2 {
                        202
                    } else {
                        200
                    };
                    let answer = Response::builder().status(status).header(LOCATION, "http://sink.example/");
                    answer.body(Full::new(Bytes::new()))
                });
                let stream = TokioIo::new(stream);
                if h2 {
                    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(stream, service)
                        .await;
                } else {
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
                }
            });
        }
    });
    address
}

async fn deliver(url: &str, trusted: bool) -> Reply {
    let egress =
        Egress { https_only: true, redirects: true, dns_rebind_protection: false, allow: vec![], deny: vec![] };
    let mut roots = RootCertStore::empty();
    if trusted {
        roots.add(CertificateDer::from_pem_slice(include_bytes!("tests/ca.pem")).unwrap()).unwrap();
    }
    let tls = Tls::with_roots(roots).unwrap();
    let client = HttpClient::new(EgressPolicy::new(&egress), Arc::new(Loopback), Some(tls), 8, Arc::new(SystemClock));
    let http = HttpDelivery { headers: vec![], signing: None };
    let delivery = Delivery {
        target: url.into(),
        transport: hookaido_model::config::Transport::Http(http.clone()),
        retry: RetryPolicy { max: 0, base: Duration::ZERO, cap: Duration::ZERO, jitter: 0.0 },
        timeout: Duration::from_secs(10),
    };
    let secrets = Secrets { source: Arc::new(hookaido_auth::FixedSecrets::default()), pools: Default::default() };
    let target = HttpTarget::new(&delivery, &http, &client, &secrets).unwrap();
    let headers = JsonMap::from_pairs([("Connection", "x"), ("X-K", "v")]);
    target.deliver(&Content { payload: Bytes::from_static(b"hello"), headers, trace: JsonMap::default() }).await
}

#[tokio::test]
async fn tls_is_verified_and_the_version_negotiated() {
    for (protocols, status) in [(&["http/1.1"][..], 200), (&["h2", "http/1.1"][..], 202), (&[][..], 200)] {
        let sink = sink(protocols).await;
        for host in ["sink.example", "Sink.Example", "127.0.0.1"] {
            let reply = deliver(&format!("https://{host}:{}/in", sink.port()), true).await;
            assert_eq!(reply, Reply::answered(status, None), "{host} {protocols:?}");
        }
    }
}

#[tokio::test]
async fn another_name_or_an_unknown_authority_is_no_target() {
    let sink = sink(&["http/1.1"]).await;
    for (host, trusted) in [("other.example", true), ("sink.example", false)] {
        let reply = deliver(&format!("https://{host}:{}/in", sink.port()), trusted).await;
        assert_eq!(reply.outcome, Outcome::Unreachable, "{host}");
        assert!(
            reply.error.as_deref().unwrap().starts_with(&format!("TLS handshake with `{host}` failed: ")),
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn a_redirect_may_not_leave_tls() {
    let sink = sink(&["http/1.1"]).await;
    let reply = deliver(&format!("https://sink.example:{}/down", sink.port()), true).await;
    assert_eq!(reply, Reply::denied(Refused::Downgrade.to_string()));
}
