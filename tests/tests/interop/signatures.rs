//! Signatures that openssl makes and curl sends.

use std::path::Path;

use e2e::fail::Attempt;
use e2e::{clock, ports};

use crate::Report;
use crate::site::Site;
use crate::tool::{Post, lacking, openssl_sha256, want};

const CONFIG: &str = "ingress { listen {{ingress}} }
pull_api { listen {{pull}}
 auth token raw:tok
}
/github { auth hmac { provider github
  secret raw:one-secret
 }
 pull { path /github }
}
/canonical { auth hmac raw:other-secret
 pull { path /canonical }
}
";
const BODY: &[u8] = b"{\"action\":\"opened\",\"text\":\"Gr\xc3\xbc\xc3\x9fe & \\n \xf0\x9f\xaa\x9d\"}\n\0\xff";
/// BODY with one bit of one byte changed.
const FLIPPED: &[u8] = b"{\"action\":\"opened\",\"text\":\"Gr\xc3\xbc\xc3\x9fe & \\n \xf0\x9f\xaa\x9d\"}\n\0\xfe";

pub(crate) fn check(report: &mut Report, binary: &Path) -> Attempt<()> {
    if let Some(why) = lacking(&["curl"], "--version").or_else(|| lacking(&["openssl"], "version")) {
        report.skipped("signatures", &why);
        return Ok(());
    }
    let site = Site::start(binary, CONFIG, |_| Ok(()))?;
    let cases = [("one-secret", BODY, "202"), ("no-secret", BODY, "401"), ("one-secret", FLIPPED, "401")];
    for ((secret, sent, status), name) in cases.into_iter().zip(["good", "wrong_secret", "flipped_byte"]) {
        report.note(&format!("openssl/github_{name}"), github(&site, secret, sent, status));
        let secret = secret.replace("one", "other");
        report.note(&format!("openssl/canonical_{name}"), canonical(&site, &secret, sent, status));
    }
    report.note("openssl/canonical_replayed", replayed(&site));
    report.note("openssl/canonical_old", at_another_time(&site, -3_600));
    report.note("openssl/canonical_future", at_another_time(&site, 3_600));
    report.note(
        "openssl/canonical_truncated",
        changed(&site, |header| header.get(..header.len() - 1).unwrap_or_default().to_owned()),
    );
    report.note("openssl/canonical_doubled", changed(&site, |header| format!("{header}\r\n{header}")));
    Ok(())
}

fn github(site: &Site, secret: &str, sent: &[u8], status: &str) -> Attempt<()> {
    let signature = openssl_sha256(Some(secret), BODY)?;
    let headers = vec![format!("X-Hub-Signature-256: sha256={signature}")];
    let url = format!("http://{}/github", site.at("ingress")?);
    let seen = Post { url, headers, body: sent, options: vec![] }.send(site.dir())?;
    want("answer", &format!("0 {status} 1.1"), &seen)
}

/// Headers over timestamp, method, path and hash of BODY, each on a line of its own.
fn canonical_headers(secret: &str, timestamp: i64) -> Attempt<Vec<String>> {
    let message = format!("{timestamp}\nPOST\n/canonical/x\n{}", openssl_sha256(None, BODY)?);
    let signature = openssl_sha256(Some(secret), message.as_bytes())?;
    let nonce = format!("{:016x}{:016x}", ports::random(), ports::random());
    Ok(vec![format!("X-Signature: {signature}"), format!("X-Timestamp: {timestamp}"), format!("X-Nonce: {nonce}")])
}

fn post(site: &Site, headers: &[String], body: &[u8]) -> Attempt<String> {
    let url = format!("http://{}/canonical/x?not=signed", site.at("ingress")?);
    Post { url, headers: headers.to_vec(), body, options: vec![] }.send(site.dir())
}

fn canonical(site: &Site, secret: &str, sent: &[u8], status: &str) -> Attempt<()> {
    let headers = canonical_headers(secret, clock::unix_now())?;
    want("answer", &format!("0 {status} 1.1"), &post(site, &headers, sent)?)
}

fn replayed(site: &Site) -> Attempt<()> {
    let headers = canonical_headers("other-secret", clock::unix_now())?;
    want("first", "0 202 1.1", &post(site, &headers, BODY)?)?;
    want("second", "0 401 1.1", &post(site, &headers, BODY)?)
}

fn at_another_time(site: &Site, skew: i64) -> Attempt<()> {
    let headers = canonical_headers("other-secret", clock::unix_now() + skew)?;
    want("answer", "0 401 1.1", &post(site, &headers, BODY)?)
}

/// Each of the headers changed alone; in the end they are good as they were. A nonce may be cut: it is another one then.
fn changed(site: &Site, change: fn(&str) -> String) -> Attempt<()> {
    let headers = canonical_headers("other-secret", clock::unix_now())?;
    for (at, header) in headers.iter().enumerate() {
        let mut changed = headers.clone();
        changed.remove(at);
        let new = change(header);
        if header.starts_with("X-Nonce") && !new.contains('\r') {
            continue;
        }
        changed.extend(new.split("\r\n").map(str::to_owned));
        want(header, "0 401 1.1", &post(site, &changed, BODY)?)?;
    }
    want("unchanged", "0 202 1.1", &post(site, &headers, BODY)?)
}
