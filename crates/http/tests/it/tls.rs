//! TLS: what ALPN agrees on, what is asked of clients, certificates that change.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use bytes::Bytes;
use hookaido_http::{
    Drain, Handler, ListenerLimits, ListenerOptions, Peer, PrefixMux, Protocol, Reply, Request, Response, ServerTls,
    TlsError, bind, serve,
};
use hookaido_model::config::{ClientAuth, Front, Tls};
use hookaido_telemetry::{AccessLog, Metrics};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A CA, and a folder with what it issued.
pub(crate) struct Pki {
    dir: tempfile::TempDir,
    pub(crate) ca: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pki = Self { dir: tempfile::tempdir().unwrap(), ca };
        pki.write("ca.pem", "CERTIFICATE", pki.ca.der());
        pki.issue("server", &pki.ca);
        pki.issue("client", &pki.ca);
        pki
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, label: &str, der: &[u8]) {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        std::fs::write(self.path(name), format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")).unwrap();
    }

    pub(crate) fn issue(&self, name: &str, by: &Issuer<'_, KeyPair>) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, by).unwrap();
        self.write(&format!("{name}.pem"), "CERTIFICATE", certificate.der());
        self.write(&format!("{name}.key"), "PRIVATE KEY", key.serialized_der());
    }

    pub(crate) fn tls(&self, client_auth: ClientAuth) -> Tls {
        Tls {
            cert_file: self.path("server.pem").into(),
            key_file: self.path("server.key").into(),
            client_ca: Some(self.path("ca.pem").into()),
            client_auth,
        }
    }

    /// A client with the named certificate if any, offering the given protocols.
    pub(crate) fn client_config(
        &self,
        cert: Option<&str>,
        alpn: &[&[u8]],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(Path::new(&self.path("ca.pem"))).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match cert {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain = vec![CertificateDer::from_pem_file(Path::new(&self.path(&format!("{name}.pem")))).unwrap()];
                let key = PrivateKeyDer::from_pem_file(Path::new(&self.path(&format!("{name}.key")))).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }

    /// Connects, with the named certificate if any, offering the given protocols.
    pub(crate) async fn connect(
        &self,
        site: &Site,
        cert: Option<&str>,
        alpn: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_with(site, &self.client_config(cert, alpn, rustls::ALL_VERSIONS)).await
    }

    pub(crate) async fn connect_with(
        &self,
        site: &Site,
        config: &Arc<ClientConfig>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        shake_hands(config, TcpStream::connect(site.addr).await.unwrap()).await
    }
}

pub(crate) async fn shake_hands(
    config: &Arc<ClientConfig>,
    stream: TcpStream,
) -> std::io::Result<TlsStream<TcpStream>> {
    TlsConnector::from(Arc::clone(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// Answers with what it knows of the peer.
struct Who;

impl Handler for Who {
    fn handle(&self, request: Request, peer: &Arc<Peer>) -> Reply {
        if request.uri().path() == "/peer" {
            return Reply::ready(Response::new(peer.addr.to_string().into()));
        }
        if request.uri().path() == "/who" {
            let who = peer.identity().map_or("nobody".to_owned(), |identity| {
                let names: Vec<_> = identity.names.iter().map(ToString::to_string).collect();
                format!("{} {}", identity.subject, names.join(" "))
            });
            return Reply::ready(Response::new(who.into()));
        }
        let tls = peer.tls.as_ref().map(|tls| (tls.server_name.clone(), tls.certificates.len()));
        Reply::ready(Response::new(format!("{:?} {tls:?}", request.version()).into()))
    }
}

pub(crate) struct Site {
    pub(crate) addr: std::net::SocketAddr,
    pub(crate) config: Arc<ArcSwap<ServerTls>>,
    metrics: Arc<Metrics>,
    _stop: tokio_util::sync::DropGuard,
}

pub(crate) fn start(tls: &Tls, limits: ListenerLimits) -> Site {
    start_behind(tls, limits, &Front::default())
}

pub(crate) fn start_behind(tls: &Tls, limits: ListenerLimits, front: &Front) -> Site {
    start_with(tls, limits, front, Protocol::Http)
}

fn start_with(tls: &Tls, limits: ListenerLimits, front: &Front, protocol: Protocol) -> Site {
    let listener = bind("127.0.0.1:0").unwrap();
    let addr = listener.addr();
    let config = Arc::new(ArcSwap::from_pointee(ServerTls::read(tls).unwrap()));
    let metrics = Metrics::new().0;
    let options = ListenerOptions {
        protocol,
        limits,
        tls: Some(Arc::clone(&config)),
        access_log: Arc::new(AccessLog::disabled()),
        metrics: Arc::clone(&metrics),
    };
    let stop = CancellationToken::new();
    let drain = Drain { stop: stop.clone(), budget: Duration::ZERO };
    let mux = Arc::new(ArcSwap::from_pointee(
        PrefixMux::new("ingress", Arc::new(Who)).behind(hookaido_http::Front::new(front)),
    ));
    TaskTracker::new().spawn(serve(listener, mux, options, drain));
    Site { addr, config, metrics, _stop: stop.drop_guard() }
}

/// One HTTP/1.1 request; `None` where the server ends the connection instead.
async fn ask_http1(stream: std::io::Result<TlsStream<TcpStream>>) -> Option<String> {
    let mut stream = stream.ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.rsplit_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

pub(crate) async fn ask_http2(stream: TlsStream<TcpStream>, path: &str) -> String {
    let (mut sender, conn) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    TaskTracker::new().spawn(conn);
    let request = http::Request::get(format!("https://localhost{path}")).body(Empty::<Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn alpn_chooses_the_protocol() {
    let pki = Pki::new();
    let site = start(&pki.tls(ClientAuth::None), ListenerLimits::default());
    let http1 = "HTTP/1.1 Some((Some(\"localhost\"), 0))";
    assert_eq!(ask_http1(pki.connect(&site, None, &[]).await).await.as_deref(), Some(http1));
    assert_eq!(ask_http1(pki.connect(&site, None, &[b"http/1.1"]).await).await.as_deref(), Some(http1));
    let stream = pki.connect(&site, None, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(ask_http2(stream, "/x").await, "HTTP/2.0 Some((Some(\"localhost\"), 0))");
}

#[tokio::test]
async fn a_listener_of_http2_takes_nothing_else() {
    let pki = Pki::new();
    let site = start_with(&pki.tls(ClientAuth::None), ListenerLimits::default(), &Front::default(), Protocol::Http2);
    let stream = pki.connect(&site, None, &[b"h2", b"http/1.1"]).await.unwrap();
    assert!(ask_http2(stream, "/x").await.starts_with("HTTP/2.0 "));
    for alpn in [&[b"http/1.1".as_slice()][..], &[]] {
        assert_eq!(ask_http1(pki.connect(&site, None, alpn).await).await, None, "{alpn:?}");
    }
}

#[tokio::test]
async fn clients_are_asked_as_configured() {
    let pki = Pki::new();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    pki.issue("stranger", &CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap());
    for (mode, none, known, stranger) in [
        (ClientAuth::None, Some(0), Some(0), Some(0)),
        (ClientAuth::Request, Some(0), Some(1), Some(1)),
        (ClientAuth::RequireAny, None, Some(1), Some(1)),
        (ClientAuth::VerifyIfGiven, Some(0), Some(1), None),
        (ClientAuth::RequireAndVerify, None, Some(1), None),
    ] {
        let site = start(&pki.tls(mode), ListenerLimits::default());
        for (cert, certificates) in [(None, none), (Some("client"), known), (Some("stranger"), stranger)] {
            let expected = certificates.map(|n| format!("HTTP/1.1 Some((Some(\"localhost\"), {n}))"));
            assert_eq!(ask_http1(pki.connect(&site, cert, &[]).await).await, expected, "{mode:?} {cert:?}");
        }
    }
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections() {
    let pki = Pki::new();
    let site = start(&pki.tls(ClientAuth::None), ListenerLimits::default());
    let shown =
        |stream: &TlsStream<TcpStream>| stream.get_ref().1.peer_certificates().unwrap().first().unwrap().to_vec();
    let before = shown(&pki.connect(&site, None, &[]).await.unwrap());
    pki.issue("server", &pki.ca);
    site.config.store(Arc::new(ServerTls::read(&pki.tls(ClientAuth::None)).unwrap()));
    assert_ne!(shown(&pki.connect(&site, None, &[]).await.unwrap()), before);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_awaited_for_ever() {
    let pki = Pki::new();
    let limits = ListenerLimits { tls_timeout: Duration::from_millis(50), ..ListenerLimits::default() };
    let site = start(&pki.tls(ClientAuth::None), limits);
    let mut stream = TcpStream::connect(site.addr).await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(site.metrics.http.active(), 0);
}

#[tokio::test]
async fn files_that_do_not_fit_are_named() {
    let pki = Pki::new();
    let fine = pki.tls(ClientAuth::None);
    let missing = Tls { cert_file: "no/such.pem".into(), ..fine.clone() };
    assert!(matches!(ServerTls::read(&missing), Err(TlsError::Read { path, .. }) if &*path == "no/such.pem"));
    let no_cert = Tls { cert_file: fine.key_file.clone(), ..fine.clone() };
    assert!(matches!(ServerTls::read(&no_cert), Err(TlsError::NoCertificate { .. })));
    let other_key = Tls { key_file: pki.path("client.key").into(), ..fine.clone() };
    assert!(matches!(ServerTls::read(&other_key), Err(TlsError::Unusable { .. })));
    let no_ca = Tls { client_ca: None, client_auth: ClientAuth::RequireAndVerify, ..fine };
    assert!(matches!(ServerTls::read(&no_ca), Err(TlsError::NoClientCa)));
}
