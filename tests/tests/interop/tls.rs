//! TLS listeners as curl and `openssl s_client` see them.

use std::path::Path;
use std::time::Duration;

use e2e::fail::{Attempt, fail};
use e2e::{clock, files, pki};

use crate::Report;
use crate::site::Site;
use crate::tool::{Post, Tool, lacking, want};

/// `MODE` is replaced.
const CONFIG: &str = "ingress {
 listen {{ingress}}
 tls {
  cert_file {{dir}}/server.pem
  key_file {{dir}}/server.key
  MODE
 }
}
pull_api { listen {{pull}}
 auth token raw:tok
}
/a { pull { path /a } }
";
const REQUEST: &[u8] = b"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
const CA: &str = "client_ca {{dir}}/ca.pem\n  client_auth ";

/// What becomes of a client.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Served,
    /// The handshake breaks off with this alert.
    Alert(&'static str),
}
use Fate::{Alert, Served};

const MISSING: Fate = Alert("certificate required");
const UNKNOWN: Fate = Alert("unknown ca");

/// What each mode does with a client without certificate, with one of `client_ca`, and with one that signed itself.
const MODES: [(&str, [Fate; 3]); 6] = [
    ("none", [Served, Served, Served]),
    ("request", [Served, Served, Served]),
    ("require_any", [MISSING, Served, Served]),
    ("verify_if_given", [Served, Served, UNKNOWN]),
    ("require_and_verify", [MISSING, Served, UNKNOWN]),
    // As in Hookaido 2.11, a short name of the one before.
    ("require", [MISSING, Served, UNKNOWN]),
];

pub(crate) fn check(report: &mut Report, binary: &Path) -> Attempt<()> {
    if let Some(why) = lacking(&["curl"], "--version").or_else(|| lacking(&["openssl"], "version")) {
        report.skipped("tls", &why);
        return Ok(());
    }
    let mut site = Site::start(binary, &CONFIG.replace("MODE", ""), pki::write)?;
    report.note("curl/tls_server_verified", answered(&site, &["--cacert", &site.file("ca.pem")], "0 202"));
    report.note("curl/tls_http1", answered(&site, &["--http1.1", "--cacert", &site.file("ca.pem")], "0 202 1.1"));
    report.note("curl/tls_1.2", answered(&site, &["--tls-max", "1.2", "--cacert", &site.file("ca.pem")], "0 202"));
    report.note("curl/tls_unknown_ca", answered(&site, &["--cacert", &site.file("other.pem")], "60 000"));
    if curl_speaks_http2() {
        let options = ["--http2", "--cacert", &site.file("ca.pem")];
        report.note("curl/tls_http2", answered(&site, &options, "0 202 2"));
    } else {
        report.skipped("curl/tls_http2", "this curl does not speak HTTP/2");
    }
    let ca = site.file("ca.pem");
    for version in ["-tls1_2", "-tls1_3"] {
        let name = format!("s_client/{}", version.trim_start_matches('-'));
        report.note(&name, s_client(&site, &["-CAfile", &ca, version], None));
    }
    report.note(
        "s_client/tls1_1_refused",
        s_client(&site, &["-CAfile", &ca, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], Some("")),
    );
    report.note("tls/bad_swap_keeps_old", bad_swap(&mut site));
    report.note("tls/swap_by_sighup", swap(&mut site, &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]));
    report.note("tls/swap_to_rsa", swap(&mut site, &["-newkey", "rsa:2048"]));

    for (mode, fates) in MODES {
        // A CA that is of no use to a mode is only warned of.
        let site = Site::start(binary, &CONFIG.replace("MODE", &format!("{CA}{mode}")), pki::write)?;
        for (client, fate) in [None, Some("client"), Some("other")].into_iter().zip(fates) {
            let name = format!("{mode}/{}", client.unwrap_or("no_certificate"));
            report.note(&format!("curl/{name}"), curl_as(&site, client, fate));
            for version in ["tls1_2", "tls1_3"] {
                report.note(&format!("s_client/{version}/{name}"), s_client_as(&site, client, (fate, version)));
            }
        }
    }
    Ok(())
}

/// Files of a certificate and its key.
fn shown(site: &Site, client: &str) -> [String; 2] {
    [site.file(&format!("{client}.pem")), site.file(&format!("{client}.key"))]
}

fn curl_as(site: &Site, client: Option<&str>, fate: Fate) -> Attempt<()> {
    let ca = ca_of(site);
    let files = client.map(|client| shown(site, client));
    let mut options = vec!["--cacert", &ca];
    if let Some([cert, key]) = &files {
        options.extend(["--cert", cert, "--key", key]);
    }
    if fate == Served { answered(site, &options, "0 202") } else { refused(site, &options) }
}

fn s_client_as(site: &Site, client: Option<&str>, (fate, version): (Fate, &str)) -> Attempt<()> {
    let ca = ca_of(site);
    let files = client.map(|client| shown(site, client));
    let version = format!("-{version}");
    let mut options = vec!["-CAfile", &ca, &version];
    if let Some([cert, key]) = &files {
        options.extend(["-cert", cert, "-key", key]);
    }
    let alert = match fate {
        Served => None,
        Alert(alert) => Some(alert),
    };
    s_client(site, &options, alert)
}

fn ca_of(site: &Site) -> String {
    site.file("ca.pem")
}

fn curl_speaks_http2() -> bool {
    Tool::new("curl").arg("--version").run().is_ok_and(|ran| ran.out.contains("HTTP2"))
}

/// curl's exit code, status and HTTP version.
fn curl(site: &Site, options: &[&str]) -> Attempt<String> {
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    let url = format!("https://{}/a", site.at("ingress")?);
    Post { url, headers: vec![], body: b"hi", options }.send(site.dir())
}

pub(crate) fn answered(site: &Site, options: &[&str], wanted: &str) -> Attempt<()> {
    let seen = curl(site, options)?;
    if seen.starts_with(wanted) { Ok(()) } else { fail(format!("wanted {wanted:?}, saw {seen:?}")) }
}

/// The handshake breaks off, so there is no answer; curl's code depends on when it notices.
pub(crate) fn refused(site: &Site, options: &[&str]) -> Attempt<()> {
    let seen = curl(site, options)?;
    let broken = seen.contains(" 000") && !seen.starts_with("0 ") && !seen.starts_with("28 ");
    if broken { Ok(()) } else { fail(format!("wanted a broken handshake, saw {seen:?}")) }
}

/// A verified session with a request inside; where there is `alert`, none at all but that alert.
pub(crate) fn s_client(site: &Site, options: &[&str], alert: Option<&str>) -> Attempt<()> {
    let fixed = ["s_client", "-quiet", "-verify_return_error", "-verify_ip", "127.0.0.1", "-connect"];
    let tool = Tool::new("openssl").args(fixed).arg(site.at("ingress")?).args(options);
    let ran = tool.input(REQUEST).run()?;
    let holds = match alert {
        None => ran.out.starts_with("HTTP/1.1 202 "),
        Some(alert) => ran.out.is_empty() && ran.err.contains(&format!("alert {alert}")),
    };
    if holds { Ok(()) } else { fail(ran.told()) }
}

/// A key that does not belong to the certificate is turned down; the old pair goes on.
fn bad_swap(site: &mut Site) -> Attempt<()> {
    let good = std::fs::read_to_string(site.file("server.key"))?;
    let other = std::fs::read_to_string(site.file("other.key"))?;
    files::write(site.dir(), "server.key", &other)?;
    site.server.signal("HUP")?;
    let told = || site.server.log_tail().contains("config_reload_failed").then_some(());
    if clock::poll(Duration::from_secs(10), clock::POLL, told).is_none() {
        return fail(format!("the pair is not turned down: {}", site.server.log_tail()));
    }
    let kept = answered(site, &["--cacert", &ca_of(site)], "0 202");
    files::write(site.dir(), "server.key", &good)?;
    kept
}

/// openssl makes a new key and certificate; after SIGHUP they are shown, and the old ones no longer.
fn swap(site: &mut Site, kind: &[&str]) -> Attempt<()> {
    let [cert, key, trust] = ["fresh.pem", "fresh.key", "trust.pem"].map(|name| site.file(name));
    let subject = ["-nodes", "-days", "2", "-subj", "/CN=fresh", "-addext", "subjectAltName=IP:127.0.0.1"];
    let request = Tool::new("openssl").args(["req", "-x509", "-keyout", &key, "-out", &cert]).args(kind).args(subject);
    request.run()?.printed()?;
    std::fs::copy(&cert, &trust)?;
    want("before", "60 000 0", &curl(site, &["--cacert", &trust])?)?;
    std::fs::rename(&key, site.file("server.key"))?;
    std::fs::rename(&cert, site.file("server.pem"))?;
    site.server.signal("HUP")?;
    let trusted = || curl(site, &["--cacert", &trust]).ok().filter(|seen| seen.starts_with("0 202"));
    if clock::poll(Duration::from_secs(10), clock::POLL, trusted).is_none() {
        return fail(format!("the new certificate is not shown: {}", site.server.log_tail()));
    }
    answered(site, &["--cacert", &ca_of(site)], "60 000")?;
    s_client(site, &["-CAfile", &trust], None)
}
