//! Sessions that openssl resumes, and PROXY headers as curl writes them.

use std::path::Path;
use std::time::Duration;

use e2e::fail::{Attempt, fail};
use e2e::{clock, files, pki};

use crate::Report;
use crate::site::Site;
use crate::tls::{answered, refused, s_client};
use crate::tool::lacking;

/// `EDGE` and `MODE` are replaced.
const CONFIG: &str = "ingress {
 listen {{ingress}}
 EDGE
 tls {
  cert_file {{dir}}/server.pem
  key_file {{dir}}/server.key
  client_ca {{dir}}/clients.pem
  client_auth MODE
 }
}
pull_api { listen {{pull}}
 auth token raw:tok
}
/a { pull { path /a } }
";

pub(crate) fn check(report: &mut Report, binary: &Path) -> Attempt<()> {
    if let Some(why) = lacking(&["curl"], "--version").or_else(|| lacking(&["openssl"], "version")) {
        report.skipped("edge", &why);
        return Ok(());
    }
    let start = |edge: &str, mode: &str| {
        Site::start(binary, &CONFIG.replace("EDGE", edge).replace("MODE", mode), |dir| {
            pki::write(dir)?;
            Ok(std::fs::copy(dir.join("ca.pem"), dir.join("clients.pem")).map(drop)?)
        })
    };
    for version in ["-tls1_2", "-tls1_3"] {
        let name = format!("s_client/resumed_{}", version.trim_start_matches('-'));
        report.note(&name, resumed(&start("", "require_and_verify")?, version));
    }
    report.note("curl/proxy_protocol", introduced(&start("proxy_protocol { from 127.0.0.1 }", "none")?));
    Ok(())
}

/// A session stands for the certificate it was made with, until the CAs change.
fn resumed(site: &Site, version: &str) -> Attempt<()> {
    let [ca, cert, key, session] = ["ca.pem", "client.pem", "client.key", "session"].map(|name| site.file(name));
    let again = ["-CAfile", &ca, version, "-sess_in", &session];
    s_client(site, &["-CAfile", &ca, version, "-cert", &cert, "-key", &key, "-sess_out", &session], None)?;
    // Without a certificate of its own, so only the session can say who this is.
    s_client(site, &again, None)?;
    let other = std::fs::read_to_string(site.file("other.pem"))?;
    files::write(site.dir(), "clients.pem", &other)?;
    let told = || site.server.log_tail().contains("certificates_reloaded").then_some(());
    if clock::poll(Duration::from_secs(10), clock::POLL, told).is_none() {
        return fail(format!("the changed CA is not taken: {}", site.server.log_tail()));
    }
    s_client(site, &again, Some("certificate required"))
}

fn introduced(site: &Site) -> Attempt<()> {
    let ca = site.file("ca.pem");
    for http in ["--http1.1", "--http2"] {
        answered(site, &["--cacert", &ca, http, "--haproxy-protocol"], "0 202")?;
    }
    refused(site, &["--cacert", &ca])
}
