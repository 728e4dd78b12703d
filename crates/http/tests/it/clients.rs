//! Identities of clients: verified ones, sessions that are resumed, CAs that change.

use std::sync::Arc;

use hookaido_http::{ListenerLimits, ServerTls};
use hookaido_model::config::{ClientAuth, Front, ProxyProtocol, Tls};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::tls::{Pki, Site, ask_http2, start, start_behind};

/// Asks who the server thinks is there, and keeps the connection. `None` where it ends.
async fn who(stream: &mut TlsStream<TcpStream>) -> Option<(u16, String)> {
    stream.write_all(b"GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n").await.ok()?;
    let mut seen = Vec::new();
    loop {
        let mut part = [0; 1024];
        let read = stream.read(&mut part).await.ok().filter(|read| *read > 0)?;
        seen.extend(part.iter().take(read));
        let text = String::from_utf8_lossy(&seen).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
        if body.len() >= length {
            return Some((head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned()));
        }
    }
}

fn other_ca() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "another ca");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn exchange(site: &Site, tls: &Tls) {
    site.config.store(Arc::new(ServerTls::read(tls).unwrap()));
}

const NAMED: &str = "CN=client dns:localhost";

#[tokio::test]
async fn only_a_verified_certificate_is_an_identity() {
    let pki = Pki::new();
    for (mode, cert, want) in [
        (ClientAuth::RequireAndVerify, Some("client"), NAMED),
        (ClientAuth::VerifyIfGiven, Some("client"), NAMED),
        (ClientAuth::VerifyIfGiven, None, "nobody"),
        (ClientAuth::Request, Some("client"), "nobody"),
        (ClientAuth::RequireAny, Some("client"), "nobody"),
    ] {
        let site = start(&pki.tls(mode), ListenerLimits::default());
        let mut stream = pki.connect(&site, cert, &[]).await.unwrap();
        assert_eq!(who(&mut stream).await, Some((200, want.to_owned())), "{mode:?}");
        let stream = pki.connect(&site, cert, &[b"h2"]).await.unwrap();
        assert_eq!(ask_http2(stream, "/who").await, want, "{mode:?}");
    }
}

#[tokio::test]
async fn a_resumed_session_keeps_its_identity_and_ends_with_its_configuration() {
    let pki = Pki::new();
    let tls = pki.tls(ClientAuth::RequireAndVerify);
    let site = start(&tls, ListenerLimits::default());
    for versions in [rustls::ALL_VERSIONS, &[&rustls::version::TLS12]] {
        let mut config = pki.client_config(Some("client"), &[], versions);
        Arc::make_mut(&mut config).resumption = rustls::client::Resumption::in_memory_sessions(8);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut stream = pki.connect_with(&site, &config).await.unwrap();
            assert_eq!(who(&mut stream).await, Some((200, NAMED.to_owned())));
            kinds.push(stream.get_ref().1.handshake_kind());
        }
        assert_eq!(kinds, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]);
        // The same CAs, another configuration: nothing is resumed, the certificate is judged anew.
        exchange(&site, &tls);
        let mut stream = pki.connect_with(&site, &config).await.unwrap();
        assert_eq!(who(&mut stream).await, Some((200, NAMED.to_owned())));
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        // Other CAs: the client that could resume is nobody now.
        pki.write("other-ca.pem", "CERTIFICATE", other_ca().der());
        exchange(&site, &Tls { client_ca: Some(pki.path("other-ca.pem").into()), ..tls.clone() });
        let answer = match pki.connect_with(&site, &config).await {
            Ok(mut stream) => who(&mut stream).await,
            Err(_) => None,
        };
        assert_eq!(answer, None);
        exchange(&site, &tls);
    }
}

#[tokio::test]
async fn a_connection_is_judged_again_when_the_cas_change() {
    let pki = Pki::new();
    let tls = pki.tls(ClientAuth::VerifyIfGiven);
    let site = start(&tls, ListenerLimits::default());
    let mut known = pki.connect(&site, Some("client"), &[]).await.unwrap();
    let mut nobody = pki.connect(&site, None, &[]).await.unwrap();
    assert_eq!(who(&mut known).await, Some((200, NAMED.to_owned())));
    assert_eq!(who(&mut nobody).await, Some((200, "nobody".to_owned())));

    // Another certificate of the server, and a CA more: everybody goes on.
    pki.issue("server", &pki.ca);
    let pem = |path: String| std::fs::read_to_string(path).unwrap();
    pki.write("other-ca.pem", "CERTIFICATE", other_ca().der());
    let both = [pem(pki.path("ca.pem")), pem(pki.path("other-ca.pem"))].concat();
    std::fs::write(pki.path("both.pem"), both).unwrap();
    exchange(&site, &Tls { client_ca: Some(pki.path("both.pem").into()), ..tls.clone() });
    assert_eq!(who(&mut known).await, Some((200, NAMED.to_owned())));

    // The CA of the client goes: its connection ends with the next request, others do not.
    exchange(&site, &Tls { client_ca: Some(pki.path("other-ca.pem").into()), ..tls });
    let (status, body) = who(&mut known).await.unwrap();
    assert_eq!((status, body.contains("client_cert_refused")), (421, true));
    assert_eq!(who(&mut known).await, None);
    assert_eq!(who(&mut nobody).await, Some((200, "nobody".to_owned())));
}

/// As a whole, over HTTP/2: the request is answered, then the connection ends.
#[tokio::test]
async fn a_connection_of_http2_is_judged_again_too() {
    let pki = Pki::new();
    let tls = pki.tls(ClientAuth::RequireAndVerify);
    let site = start(&tls, ListenerLimits::default());
    let stream = pki.connect(&site, Some("client"), &[b"h2"]).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, conn) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io).await.unwrap();
    let ended = tokio::runtime::Handle::current().spawn(conn);
    let mut ask = async || {
        let request = http::Request::get("https://localhost/who").body(http_body_util::Empty::<bytes::Bytes>::new());
        sender.send_request(request.unwrap()).await.unwrap().status().as_u16()
    };
    assert_eq!(ask().await, 200);
    pki.write("other-ca.pem", "CERTIFICATE", other_ca().der());
    exchange(&site, &Tls { client_ca: Some(pki.path("other-ca.pem").into()), ..tls });
    assert_eq!(ask().await, 421);
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn files_with_the_same_content_are_the_same() {
    let pki = Pki::new();
    let tls = pki.tls(ClientAuth::RequireAndVerify);
    let before = ServerTls::read(&tls).unwrap();
    assert!(before.is_same(&ServerTls::read(&tls).unwrap()));
    pki.write("ca.pem", "CERTIFICATE", other_ca().der());
    assert!(!before.is_same(&ServerTls::read(&tls).unwrap()));
}

#[tokio::test]
async fn a_balancer_introduces_connections_before_tls() {
    let pki = Pki::new();
    let from = vec![("127.0.0.1".parse().unwrap(), 32)];
    let front = Front {
        proxy_protocol: Some(ProxyProtocol { from, timeout: std::time::Duration::from_secs(5) }),
        ..Front::default()
    };
    let site = start_behind(&pki.tls(ClientAuth::RequireAndVerify), ListenerLimits::default(), &front);
    for alpn in ["h2", "http/1.1"] {
        let mut stream = TcpStream::connect(site.addr).await.unwrap();
        stream.write_all(b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n").await.unwrap();
        let config = pki.client_config(Some("client"), &[alpn.as_bytes()], rustls::ALL_VERSIONS);
        let mut stream = crate::tls::shake_hands(&config, stream).await.unwrap();
        let want = "198.51.100.7:4711";
        if alpn == "h2" {
            assert_eq!(ask_http2(stream, "/peer").await, want);
        } else {
            stream.write_all(b"GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.ends_with(want), "{answer}");
        }
    }
    let config = pki.client_config(Some("client"), &[], rustls::ALL_VERSIONS);
    assert!(pki.connect_with(&site, &config).await.is_err(), "a handshake is no header");
}
