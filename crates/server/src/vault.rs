//! `vault:` references: one request to a server that speaks the HTTP API of `HashiCorp` Vault.
//!
//! Where it is stands in the environment (`HOOKAIDO_VAULT_ADDR`, `_TOKEN`, `_NAMESPACE`, `_TIMEOUT`) and is read anew for each value.
//! Redirects are never followed: the token is for that server. Never says what a value or the token is.

use std::sync::Arc;
use std::time::Duration;

use hookaido_auth::{SecretValue, VaultReader};
use hookaido_config::Environment;
use hookaido_dispatch::{Caller, SystemResolver};
use hookaido_model::SystemClock;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::runtime::{Handle, RuntimeFlavor};

mod answer;

const ADDR: &str = "HOOKAIDO_VAULT_ADDR";
const TOKEN: &str = "HOOKAIDO_VAULT_TOKEN";
const NAMESPACE: &str = "HOOKAIDO_VAULT_NAMESPACE";
const TIMEOUT: &str = "HOOKAIDO_VAULT_TIMEOUT";
/// Settings of the connection that have no counterpart here, and what there is instead.
const REFUSED: [(&str, &str); 4] = [
    ("HOOKAIDO_VAULT_CACERT", "name the file in SSL_CERT_FILE or add it to the system's certificates"),
    ("HOOKAIDO_VAULT_CLIENT_CERT", "client certificates are not supported: unset it"),
    ("HOOKAIDO_VAULT_CLIENT_KEY", "client certificates are not supported: unset it"),
    (
        "HOOKAIDO_VAULT_INSECURE_SKIP_VERIFY",
        "certificates are always verified: unset it, and name the CA in SSL_CERT_FILE",
    ),
];
/// Longest time for one value where the environment does not say.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest answer, in bytes.
const LARGEST: usize = 1 << 20;

/// Asks the vault that an environment names.
#[derive(Debug)]
pub(crate) struct Vault<E> {
    environment: E,
}

/// One question.
struct Question {
    url: String,
    headers: HeaderMap,
    patience: Duration,
}

impl<E: Environment> Vault<E> {
    pub(crate) fn new(environment: E) -> Self {
        Self { environment }
    }

    fn var(&self, name: &str) -> Option<String> {
        let value = self.environment.var(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    }

    fn question(&self, path: &str) -> Result<Question, String> {
        let path = api_path(path)?;
        let missing = |name: &str| format!("the environment variable {name} is not set or empty: set it");
        let base = self.var(ADDR).ok_or_else(|| missing(ADDR))?;
        let scheme = base.split_once("://").map_or("", |(scheme, _)| scheme);
        if !["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) || base.contains(['?', '#']) {
            return Err(format!("{ADDR} is no base URL: write it as https://vault.example:8200"));
        }
        let mut headers = HeaderMap::new();
        let token = self.var(TOKEN).ok_or_else(|| missing(TOKEN))?;
        headers.insert(HeaderName::from_static("x-vault-token"), header(TOKEN, &token)?);
        if let Some(namespace) = self.var(NAMESPACE) {
            headers.insert(HeaderName::from_static("x-vault-namespace"), header(NAMESPACE, &namespace)?);
        }
        for (name, instead) in REFUSED {
            // what is off by default may also be switched off
            if self.var(name).is_some_and(|value| !["0", "off", "false"].contains(&value.as_str())) {
                return Err(format!("{name} is set, which has no effect here: {instead}"));
            }
        }
        Ok(Question { url: format!("{}/v1/{path}", base.trim_end_matches('/')), headers, patience: self.patience()? })
    }

    fn patience(&self) -> Result<Duration, String> {
        let Some(text) = self.var(TIMEOUT) else { return Ok(PATIENCE) };
        let patience = hookaido_model::Span::parse(&text).map(hookaido_model::Span::or_zero);
        let patience = patience.filter(|patience| !patience.is_zero());
        patience.ok_or_else(|| format!("{TIMEOUT} is no positive duration: write it as 5s"))
    }
}

impl<E: Environment + Send + Sync + std::fmt::Debug> VaultReader for Vault<E> {
    fn read(&self, path: &str, field: Option<&str>) -> Result<SecretValue, String> {
        let question = self.question(path)?;
        let work = || std::thread::scope(|scope| scope.spawn(|| ask(question)).join());
        // other tasks go on meanwhile where a worker is what waits
        let worker = Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
        let asked = if worker { tokio::task::block_in_place(work) } else { work() };
        let body = asked.map_err(|_panic| "the question to the vault broke off: try again".to_owned())??;
        answer::select(&body, field)
    }
}

fn header(name: &str, value: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(value).map_err(|_invalid| format!("{name} cannot be sent as a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The path of a reference as the API has it: without `/v1/` in front, empty segments, and characters that mean something in a URL.
fn api_path(path: &str) -> Result<String, String> {
    if path.contains("://") {
        return Err(format!("write the path only, such as `vault:secret/data/app#token`; {ADDR} says where"));
    }
    let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.iter().any(|segment| matches!(*segment, "." | "..")) {
        return Err("the path has a segment `.` or `..`: write it without".to_owned());
    }
    if segments.len() > 1 && segments.first() == Some(&"v1") {
        segments.remove(0);
    }
    if segments.is_empty() {
        return Err("the path is empty: write `vault:PATH#FIELD`".to_owned());
    }
    Ok(segments.join("/").replace('%', "%25").replace('?', "%3F"))
}

/// The body of the answer, on a runtime of its own: callers may be inside or outside of one. Runs on a thread of its own.
fn ask(question: Question) -> Result<Vec<u8>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the client: {error}"))?;
    let patience = question.patience;
    let answer = runtime.block_on(async { tokio::time::timeout(patience, get(question)).await });
    // a look-up of the name may hang on
    runtime.shutdown_background();
    answer.map_err(|_elapsed| format!("no answer within {patience:?}: check {ADDR}, or raise {TIMEOUT}"))?
}

async fn get(question: Question) -> Result<Vec<u8>, String> {
    let failed = |error: hookaido_dispatch::CallError| format!("the vault gives no answer: {error}: check {ADDR}");
    let caller = Caller::new(Arc::new(SystemResolver::default()), Arc::new(SystemClock));
    let endpoint = caller.endpoint(&question.url).map_err(failed)?;
    let (head, body) = endpoint.get(question.headers, LARGEST).await.map_err(failed)?;
    let status = head.status;
    let advice = match status {
        StatusCode::OK => return Ok(body.into()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!("check that the token in {TOKEN} is valid and may read this path, and {NAMESPACE}")
        }
        StatusCode::NOT_FOUND => {
            format!("nothing is there: check the path (`MOUNT/data/NAME` in KV version 2) and {NAMESPACE}")
        }
        StatusCode::SERVICE_UNAVAILABLE => "the vault is sealed or down: unseal it".to_owned(),
        status if status.is_redirection() => format!("redirects are not followed: name the active server in {ADDR}"),
        _ => format!("check {ADDR} and the vault"),
    };
    Err(format!("the vault answers with status {}: {advice}", status.as_u16()))
}

#[cfg(test)]
mod tests;
