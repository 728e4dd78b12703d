//! Certificates that change under load, identities that end with their CA, and as many connections as the system allows.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use e2e::authority::Authority;
use e2e::conn::{Conn, last};
use e2e::fail::{Attempt, Fail};
use e2e::rig::{PATIENCE, Rig, await_that};
use e2e::{files, ports, tls};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};
use serde_json::json;

const POST: &[u8] = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";

fn config(client: &str) -> String {
    format!(
        "ingress {{
            listen {{{{ingress}}}}
            tls {{ cert_file {{{{dir}}}}/certs/tls.crt key_file {{{{dir}}}}/certs/tls.key {client} }}
        }}
        pull_api {{ listen {{{{pull}}}} auth token raw:tok }}
        admin_api {{ listen {{{{admin}}}} }}
        queue_limits {{ max_depth 10000000 }}
        /a {{ pull {{ path /a }} }}
        "
    )
}

/// Puts a certificate in place as Kubernetes does: `tls.crt -> ..data/tls.crt`, `..data -> ..N`, the last link renamed over.
fn mount(dir: &Path, authority: &Authority, version: usize) -> Attempt<Vec<u8>> {
    let certs = dir.join("certs");
    let folder = certs.join(format!("..{version}"));
    fs::create_dir_all(&folder)?;
    let der = authority.issue(&folder, "server", "server", None)?;
    fs::rename(folder.join("server.pem"), folder.join("tls.crt"))?;
    fs::rename(folder.join("server.key"), folder.join("tls.key"))?;
    symlink(format!("..{version}"), certs.join("..data_tmp"))?;
    fs::rename(certs.join("..data_tmp"), certs.join("..data"))?;
    if version == 1 {
        for name in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{name}"), certs.join(name))?;
        }
    }
    Ok(der)
}

fn client(rig: &Rig, wanted: &serde_json::Value) -> Attempt<Arc<ClientConfig>> {
    tls::client(wanted, rig.dir())?.ok_or_else(|| Fail("no TLS".to_owned()))
}

/// A connection that has shaken hands.
struct Session(StreamOwned<ClientConnection, TcpStream>);

impl Session {
    fn open(address: SocketAddr, config: &Arc<ClientConfig>) -> Attempt<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let name = "127.0.0.1".try_into().map_err(|error| Fail(format!("{error}")))?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(|error| Fail(error.to_string()))?;
        let mut stream = StreamOwned::new(session, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self(stream))
    }

    /// The status of a request.
    fn post(&mut self) -> Attempt<u16> {
        self.0.write_all(POST)?;
        let mut seen = Vec::new();
        while !seen.ends_with(b"}\n") {
            let mut part = [0; 4096];
            let read = self.0.read(&mut part)?;
            if read == 0 {
                return Err(Fail("the connection ended".to_owned()));
            }
            seen.extend(part.iter().take(read));
        }
        let text = String::from_utf8_lossy(&seen).into_owned();
        text.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(Fail(text))
    }

    fn certificate(&self) -> Vec<u8> {
        self.0
            .conn
            .peer_certificates()
            .and_then(<[_]>::first)
            .map(|certificate| certificate.to_vec())
            .unwrap_or_default()
    }

    fn kind(&self) -> Option<HandshakeKind> {
        self.0.conn.handshake_kind()
    }
}

/// Waits until new connections are shown a certificate.
fn await_certificate(address: SocketAddr, config: &Arc<ClientConfig>, der: &[u8]) -> Attempt<()> {
    await_that("the new certificate", || {
        Session::open(address, config).ok().filter(|session| session.certificate() == der).map(drop)
    })
}

#[test]
fn a_renewed_certificate_is_taken_under_load_and_drops_no_request() -> Attempt<()> {
    const RENEWALS: usize = 6;
    let mut rig = Rig::new(&config(""))?;
    let authority = Authority::new("ca")?;
    mount(rig.dir(), &authority, 1)?;
    rig.start()?;
    let address = ports::local(rig.names.port("ingress")?);
    let (over, failed) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let accepted = thread::scope(|scope| -> Attempt<usize> {
        let load = |keep: bool| {
            let (over, failed, config) = (&over, &failed, client(&rig, &json!(true)));
            let failures = |error: String| failed.lock().unwrap_or_else(PoisonError::into_inner).push(error);
            scope.spawn(move || {
                let (mut accepted, mut conn) = (0, None);
                let config = config.expect("a client");
                while !over.load(Ordering::Relaxed) {
                    let taken =
                        conn.take().map_or_else(|| Conn::open(address, PATIENCE, Some(Arc::clone(&config))), Ok);
                    let answered = taken.and_then(|mut conn: Conn| {
                        conn.send(POST)?;
                        conn.answer("POST").map(|answer| (answer, conn))
                    });
                    match answered {
                        Ok((answer, open)) if answer.status == 202 => {
                            accepted += 1;
                            conn = Some(open).filter(|_| keep && last(&answer.headers, "connection") != Some("close"));
                        }
                        Ok((answer, _)) => failures(format!("status {}", answer.status)),
                        Err(error) => failures(format!("{error:?}")),
                    }
                }
                accepted
            })
        };
        let threads = [load(true), load(true), load(false), load(false)];
        let watcher = client(&rig, &json!(true))?;
        let renewed = (2..2 + RENEWALS).try_for_each(|version| {
            let der = mount(rig.dir(), &authority, version)?;
            await_certificate(address, &watcher, &der)
        });
        over.store(true, Ordering::Relaxed);
        let accepted = threads.map(|thread| thread.join().expect("no panic"));
        renewed?;
        assert!(accepted.iter().all(|count| *count > 0), "{accepted:?}");
        Ok(accepted.iter().sum())
    })?;
    assert_eq!(failed.into_inner().unwrap_or_else(PoisonError::into_inner), Vec::<String>::new());
    assert_eq!(rig.logged(&["certificates_reloaded"]).len(), RENEWALS);
    assert_eq!(rig.client("pull")?.token("tok").drain("/a", "0s")?.len(), accepted, "what was accepted is there");

    // A file that is wrong changes nothing and is named; a key of another certificate is wrong, too.
    let present = Session::open(address, &client(&rig, &json!(true))?)?.certificate();
    let key = rig.dir().join("certs/..data/tls.key");
    authority.issue(rig.dir(), "stray", "stray", None)?;
    for (at, text) in ["no key at all".to_owned(), fs::read_to_string(rig.dir().join("stray.key"))?].iter().enumerate()
    {
        fs::write(&key, text)?;
        rig.await_log(&["certificates_reload_failed"], at + 1)?;
    }
    assert_eq!(Session::open(address, &client(&rig, &json!(true))?)?.certificate(), present);
    let der = mount(rig.dir(), &authority, 99)?;
    await_certificate(address, &client(&rig, &json!(true))?, &der)?;
    assert_eq!(rig.server.stop("TERM", PATIENCE)?, Some(0));
    Ok(())
}

#[test]
fn an_identity_ends_with_its_ca_on_new_resumed_and_open_connections() -> Attempt<()> {
    let clients = "client_ca {{dir}}/clients.pem client_auth require_and_verify";
    let route = "/a {\n  match { client_cert san spiffe://cluster/billing/* }";
    let mut rig = Rig::new(&config(clients).replace("/a {", route))?;
    let (old, new) = (Authority::new("old ca")?, Authority::new("new ca")?);
    mount(rig.dir(), &old, 1)?;
    old.issue(rig.dir(), "alice", "alice", Some("spiffe://cluster/billing/alice"))?;
    new.issue(rig.dir(), "bob", "bob", Some("spiffe://cluster/billing/bob"))?;
    new.issue(rig.dir(), "eve", "eve", Some("spiffe://cluster/other/eve"))?;
    files::write(rig.dir(), "clients.pem", old.pem())?;
    rig.start()?;
    let config = |name: &str| client(&rig, &json!({"cert": format!("{name}.pem"), "key": format!("{name}.key")}));
    let address = ports::local(rig.names.port("ingress")?);
    let (alice, bob, eve) = (config("alice")?, config("bob")?, config("eve")?);
    let try_post = |config: &Arc<ClientConfig>| -> Attempt<(u16, Option<HandshakeKind>)> {
        let mut session = Session::open(address, config)?;
        Ok((session.post()?, session.kind()))
    };
    assert_eq!(try_post(&alice)?, (202, Some(HandshakeKind::Full)));
    assert_eq!(try_post(&alice)?, (202, Some(HandshakeKind::Resumed)));
    assert!(try_post(&bob).is_err());
    let mut open = Session::open(address, &alice)?;
    assert_eq!(open.post()?, 202);

    // A reload that changes no file changes no session either.
    rig.server.signal("HUP")?;
    rig.await_log(&["config_reloaded_ok"], 1)?;
    let session = await_that("resumed", || try_post(&alice).ok())?;
    assert_eq!(session, (202, Some(HandshakeKind::Resumed)));

    // Both CAs: the old client goes on, also on its open connection; the new one is known.
    files::write(rig.dir(), "clients.pem", &[old.pem(), new.pem()].concat())?;
    await_that("bob", || try_post(&bob).ok().filter(|(status, _)| *status == 202))?;
    assert_eq!((open.post()?, try_post(&eve)?.0), (202, 404));
    assert_eq!(try_post(&alice)?.0, 202);

    // The new one only: nothing of the old identity is left.
    files::write(rig.dir(), "clients.pem", new.pem())?;
    rig.await_log(&["certificates_reloaded"], 2)?;
    assert!(try_post(&alice).is_err(), "a session of the old CA was resumed");
    assert_eq!(open.post()?, 421);
    assert!(open.post().is_err());
    assert_eq!(try_post(&bob)?.0, 202);
    let named = |text: &str| !rig.logged(&["http_request", text]).is_empty();
    await_that("the log", || named("\"status\":421").then_some(()))?;
    for text in ["CN=alice", "uri:spiffe://cluster/billing/bob", "\"client_cert\":\"verified\""] {
        assert!(named(text), "{text}: {}", rig.log());
    }
    Ok(())
}

/// Systems set the soft limit of open files low; the server raises its own.
#[test]
fn more_connections_than_the_soft_limit_of_files_are_served() -> Attempt<()> {
    const LIMIT: usize = 100;
    let shell = format!("ulimit -Sn {LIMIT} && exec \"$0\" \"$@\"");
    let config =
        "ingress { listen {{ingress}} }\npull_api { listen {{pull}} auth token raw:tok }\n/a { pull { path /a } }";
    let mut rig = Rig::under(&["/bin/sh".to_owned(), "-c".to_owned(), shell], config)?;
    rig.start()?;
    let address = ports::local(rig.names.port("ingress")?);
    let mut open = Vec::new();
    let mut statuses = BTreeSet::new();
    for _ in 0..2 * LIMIT {
        let mut conn = Conn::open(address, PATIENCE, None)?;
        conn.send(POST)?;
        statuses.insert(conn.answer("POST")?.status);
        open.push(conn);
    }
    assert_eq!(statuses, BTreeSet::from([202]));
    assert_eq!(rig.logged(&["accept_failed"]), Vec::<String>::new());
    Ok(())
}
