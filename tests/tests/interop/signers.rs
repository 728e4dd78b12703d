//! What the libraries of Stripe and GitHub sign verifies here, and what is pulled from here verifies with them.

use std::path::Path;

use e2e::clock;
use e2e::fail::{Attempt, Fail, fail};
use serde_json::Value;

use crate::site::Site;
use crate::tool::{Post, Tool, lacking, script, want};
use crate::{Report, setup};

const CONFIG: &str = "ingress { listen {{ingress}} }
pull_api { listen {{pull}}
 auth token raw:tok
}
/stripe { auth hmac { provider stripe
  secret raw:whsec_test
 }
 pull { path /stripe }
}
/github { auth hmac { provider github
  secret raw:It's-a-Secret
 }
 pull { path /github }
}
";
const BODY: &str = "{\"id\": \"evt_1\", \"text\": \"Gr\u{fc}\u{df}e \u{1fa9d}\"}\n";

/// A library, the header it signs with and how it is called.
struct Signer<'a> {
    name: &'a str,
    secret: &'a str,
    header: &'a str,
    program: &'a Path,
    script: &'a Path,
}

pub(crate) fn check(report: &mut Report, binary: &Path) -> Attempt<()> {
    if let Some(why) = lacking(&["curl"], "--version").or_else(|| lacking(&["openssl"], "version")) {
        report.skipped("signers", &why);
        return Ok(());
    }
    let site = Site::start(binary, CONFIG, |_| Ok(()))?;
    match setup::stripe() {
        Ok(python) => {
            let (name, secret, header) = ("stripe", "whsec_test", "Stripe-Signature");
            let script = script("stripe_sign.py");
            every(report, &site, &Signer { name, secret, header, program: &python, script: &script });
        }
        Err(Fail(why)) => report.skipped("stripe", &why),
    }
    match setup::octokit() {
        Ok(script) => {
            let (name, secret, header) = ("github", "It's-a-Secret", "X-Hub-Signature-256");
            every(report, &site, &Signer { name, secret, header, program: Path::new("node"), script: &script });
        }
        Err(Fail(why)) => report.skipped("octokit", &why),
    }
    Ok(())
}

fn every(report: &mut Report, site: &Site, signer: &Signer<'_>) {
    let answers = |secret: &str, sent: &str, status: &str| {
        let seen = post(site, signer, &signer.sign(secret)?, sent)?;
        want("answer", &format!("0 {status} 1.1"), &seen)
    };
    let name = |what: &str| format!("{}_library/{what}", signer.name);
    report.note(&name("wrong_secret"), answers("another", BODY, "401"));
    report.note(&name("flipped_byte"), answers(signer.secret, &BODY.replace("evt_1", "evt_0"), "401"));
    report.note(&name("good"), answers(signer.secret, BODY, "202"));
    report.note(&name("pulled_verifies"), pulled(site, signer));
}

impl Signer<'_> {
    fn call(&self, args: &[&str], body: &[u8]) -> Attempt<String> {
        Tool::new(self.program).arg(self.script).args(args).input(body).run()?.printed()
    }

    fn sign(&self, secret: &str) -> Attempt<String> {
        let now = clock::unix_now().to_string();
        self.call(&["sign", secret, &now], BODY.as_bytes())
    }
}

fn post(site: &Site, signer: &Signer<'_>, signature: &str, body: &str) -> Attempt<String> {
    let url = format!("http://{}/{}", site.at("ingress")?, signer.name);
    let headers = vec![format!("{}: {signature}", signer.header)];
    Post { url, headers, body: body.as_bytes(), options: vec![] }.send(site.dir())
}

/// The message comes out as it was signed: the library verifies the pulled body against the pulled header.
fn pulled(site: &Site, signer: &Signer<'_>) -> Attempt<()> {
    let url = format!("http://{}/{}/dequeue", site.at("pull")?, signer.name);
    let fixed = ["-q", "-s", "--noproxy", "*", "--max-time", "10", "-H", "Authorization: Bearer tok"];
    let answer = Tool::new("curl").args(fixed).args(["-d", "{}", &url]).run()?.printed()?;
    let answer: Value = serde_json::from_str(&answer).map_err(|error| Fail(format!("{error} in {answer:?}")))?;
    let member = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let header = member(&format!("/items/0/headers/{}", signer.header));
    let body = Tool::new("openssl").args(["base64", "-d", "-A"]).input(member("/items/0/payload_b64").as_bytes());
    let body = body.run()?.out;
    if header.is_empty() || body != BODY {
        return fail(format!("pulled {answer}"));
    }
    want("library", "verified", &signer.call(&["verify", signer.secret, &header], body.as_bytes())?)
}
