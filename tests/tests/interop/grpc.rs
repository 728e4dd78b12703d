//! gRPC workers with the client that Google publishes for Python, its code made from our `.proto` file by grpcio-tools.

use std::path::{Path, PathBuf};

use e2e::fail::{Attempt, Fail, fail};
use e2e::pki;

use crate::site::Site;
use crate::tool::{Ran, Tool, lacking, script};
use crate::{Report, setup};

const CONFIG: &str = "ingress { listen {{ingress}} }
pull_api { listen {{pull}} grpc_listen {{grpc}}
 auth token raw:tok
 TLS
}
/a { pull { path /a } }
";
const TLS: &str = "tls { cert_file {{dir}}/server.pem
 key_file {{dir}}/server.key
 MODE }";
const MUTUAL: &str = "client_ca {{dir}}/ca.pem
 client_auth require_and_verify";

/// A Python with the library, and the folder of the code made from the `.proto` file.
struct Worker {
    python: PathBuf,
    stubs: PathBuf,
}

pub(crate) fn check(report: &mut Report, binary: &Path) -> Attempt<()> {
    if let Some(why) = lacking(&["python3"], "--version") {
        report.skipped("grpc", &why);
        return Ok(());
    }
    let worker = match setup::grpc() {
        Ok((python, stubs)) => Worker { python, stubs },
        Err(Fail(why)) => {
            report.skipped("grpc", &why);
            return Ok(());
        }
    };
    let plain = Site::start(binary, &CONFIG.replace("TLS", ""), |_| Ok(()))?;
    let ran = worker.run(&plain, "tok", &[])?;
    for name in ran.out.lines().filter_map(|line| line.strip_prefix("ok ")) {
        report.ok(&format!("grpc/{name}"));
    }
    if ran.code != 0 {
        report.failed("grpc", &ran.told());
    }
    let tls = Site::start(binary, &CONFIG.replace("TLS", &TLS.replace("MODE", "")), pki::write)?;
    report.note("grpc/tls", worker.reaches(&tls, &["ca.pem"], true));
    report.note("grpc/tls_unknown_ca", worker.reaches(&tls, &["other.pem"], false));
    let mutual = Site::start(binary, &CONFIG.replace("TLS", &TLS.replace("MODE", MUTUAL)), pki::write)?;
    report.note("grpc/mtls", worker.reaches(&mutual, &["ca.pem", "client.pem", "client.key"], true));
    report.note("grpc/mtls_without_certificate", worker.reaches(&mutual, &["ca.pem"], false));
    report.note("grpc/mtls_of_another_ca", worker.reaches(&mutual, &["ca.pem", "other.pem", "other.key"], false));
    Ok(())
}

impl Worker {
    fn run(&self, site: &Site, token: &str, files: &[String]) -> Attempt<Ran> {
        let tool = Tool::new(&self.python).arg(script("grpc_worker.py")).arg(&self.stubs);
        let tool = tool.args([site.at("ingress")?, site.at("grpc")?, token.to_owned()]).args(files);
        tool.within(60).run()
    }

    /// Whether the worker gets through with these files of the folder.
    fn reaches(&self, site: &Site, files: &[&str], wanted: bool) -> Attempt<()> {
        let files: Vec<String> = files.iter().map(|name| site.file(name)).collect();
        let ran = self.run(site, "tok", &files)?;
        let reached = ran.code == 0 && ran.out.contains("ok reached");
        let turned_away = ran.code != 0 && ran.err.contains("UNAVAILABLE");
        if (wanted && reached) || (!wanted && turned_away) { Ok(()) } else { fail(ran.told()) }
    }
}
