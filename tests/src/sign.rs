//! Signs requests as webhook providers do, and wrongly where a scenario asks for it; checks signed deliveries.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::clock;
use crate::fail::{Attempt, fail};
use crate::names::plain;
use crate::ports;

/// The members of one `sign`, with their defaults.
struct How<'a>(&'a Value);

impl<'a> How<'a> {
    fn text(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).and_then(Value::as_str)
    }

    fn flag(&self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    fn texts(&self, key: &str) -> Vec<&'a str> {
        self.0.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn breaks(&self, what: &str) -> bool {
        self.text("break") == Some(what)
    }

    fn omits(&self, what: &str) -> bool {
        self.texts("omit").contains(&what)
    }

    fn secrets(&self) -> Vec<&'a str> {
        let several = self.texts("secrets");
        if several.is_empty() { vec![self.text("secret").unwrap_or_default()] } else { several }
    }

    fn header(&self, member: &str, default: &str) -> String {
        self.text(member).unwrap_or(default).to_owned()
    }

    /// The signature of a message in hex, with its first digit changed if it is to be broken.
    fn mac(&self, secret: &str, message: &[u8]) -> String {
        let mut hex = hmac_hex(secret, message);
        if self.breaks("signature") {
            let other = if hex.starts_with('0') { "1" } else { "0" };
            hex.replace_range(..1, other);
        }
        if self.flag("upper") { hex.to_uppercase() } else { hex }
    }
}

/// The headers that sign a request.
pub fn headers(how: &Value, method: &str, path: &str, body: &[u8]) -> Attempt<Vec<(String, String)>> {
    let how = How(how);
    let scheme = how.text("scheme").unwrap_or("canonical");
    let skew = how.0.get("skew_s").and_then(Value::as_i64).unwrap_or(0);
    let seconds = clock::unix_now() + skew;
    let now = if scheme == "cituro" && !how.flag("seconds") { seconds * 1_000 } else { seconds };
    let sent_time = how.0.get("timestamp").map_or_else(|| now.to_string(), plain);
    let signed_time = if how.breaks("timestamp") { (now + 1).to_string() } else { sent_time.clone() };
    let mut signed_body = body.to_vec();
    if how.breaks("body") {
        signed_body.push(b'x');
    }
    let whole_body = |header: &str, prefix: &str| {
        let secret = how.secrets().first().copied().unwrap_or_default();
        let value = format!("{}{}", how.text("prefix").unwrap_or(prefix), how.mac(secret, &signed_body));
        Ok(vec![(how.header("signature_header", header), value)])
    };
    match scheme {
        "canonical" => {
            let path = how.text("path").map_or_else(|| percent_decoded(before_query(path)), str::to_owned);
            let method = how.text("method").unwrap_or(method);
            Ok(canonical(&how, &Canonical { method, path: &path, body: &signed_body, signed_time, sent_time }))
        }
        "github" => whole_body("X-Hub-Signature-256", "sha256="),
        "gitea" => whole_body("X-Gitea-Signature", ""),
        "stripe" => Ok(tagged(&how, ("Stripe-Signature", "v1"), &signed_body, (&sent_time, &signed_time))),
        "cituro" => Ok(tagged(&how, ("X-CITURO-SIGNATURE", "s"), &signed_body, (&sent_time, &signed_time))),
        other => fail(format!("unknown sign scheme {other}")),
    }
}

struct Canonical<'a> {
    method: &'a str,
    path: &'a str,
    body: &'a [u8],
    signed_time: String,
    sent_time: String,
}

/// Separate headers for signature, timestamp and nonce over a string of four lines.
fn canonical(how: &How<'_>, parts: &Canonical<'_>) -> Vec<(String, String)> {
    let order = how.texts("order");
    let order = if order.is_empty() { vec!["timestamp", "method", "path", "body"] } else { order };
    let body_hash = sha256_hex(parts.body);
    let lines = order.iter().map(|part| match *part {
        "timestamp" => parts.signed_time.as_str(),
        "method" => parts.method,
        "path" => parts.path,
        _ => body_hash.as_str(),
    });
    let message = lines.collect::<Vec<_>>().join("\n");
    let macs: Vec<String> = how.secrets().iter().map(|secret| how.mac(secret, message.as_bytes())).collect();
    let signature = format!("{}{}", how.text("prefix").unwrap_or_default(), macs.join(","));
    let random_nonce = || format!("n-{:016x}{:016x}", ports::random(), ports::random());
    let nonce = how.text("nonce").filter(|nonce| !nonce.is_empty()).map_or_else(random_nonce, str::to_owned);
    let headers = [
        ("signature", "X-Signature", signature),
        ("timestamp", "X-Timestamp", parts.sent_time.clone()),
        ("nonce", "X-Nonce", nonce),
    ];
    let kept = headers.into_iter().filter(|(what, ..)| !how.omits(what));
    kept.map(|(what, header, value)| (how.header(&format!("{what}_header"), header), value)).collect()
}

/// One header `t=TIME,v1=SIGNATURE` over `TIME.BODY`; `header` is its name and the tag of a signature.
fn tagged(how: &How<'_>, header: (&str, &str), body: &[u8], (sent, signed): (&str, &str)) -> Vec<(String, String)> {
    let tag = how.text("tag").unwrap_or(header.1);
    let message = [signed.as_bytes(), b".", body].concat();
    let mut parts = if how.omits("timestamp") { vec![] } else { vec![format!("t={sent}")] };
    parts.extend(how.secrets().iter().map(|secret| format!("{tag}={}", how.mac(secret, &message))));
    parts.extend(how.texts("extra_parts").iter().map(|part| (*part).to_owned()));
    vec![(how.header("signature_header", header.0), parts.join(how.text("join").unwrap_or(",")))]
}

/// What is wrong with the signature of a delivery: `METHOD\npath\ntimestamp\nhex(sha256(body))`.
pub fn verify(how: &Value, delivery: &Value, body: &[u8]) -> Vec<String> {
    let how = How(how);
    let header = |member: &str, default: &str| {
        let name = how.header(member, default).to_lowercase();
        delivery.get("headers").and_then(|headers| headers.get(name)).and_then(Value::as_str).unwrap_or_default()
    };
    let member = |key: &str| delivery.get(key).and_then(Value::as_str).unwrap_or_default();
    let timestamp = header("timestamp_header", "X-Hookaido-Timestamp");
    let signature = header("signature_header", "X-Hookaido-Signature");
    let path = before_query(member("path"));
    let message = format!("{}\n{path}\n{timestamp}\n{}", member("method"), sha256_hex(body));
    let good = hmac_hex(how.text("secret").unwrap_or_default(), message.as_bytes()) == signature;
    match (good, how.flag("fails")) {
        (true, true) => vec!["sink: signature verifies but should not".to_owned()],
        (false, false) => vec![format!("sink: bad signature {signature:?} over {message:?}")],
        _ => vec![],
    }
}

fn before_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hmac_hex(secret: &str, message: &[u8]) -> String {
    // A key of any length is a valid one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(message);
    hex(&mac.finalize().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn percent_decoded(text: &str) -> String {
    let (mut out, mut rest) = (vec![], text.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|_| *first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        let byte = digits.filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match byte.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// From the documentation of GitHub's webhooks.
    #[test]
    fn github_signs_the_body() {
        let how = json!({"scheme": "github", "secret": "It's a Secret to Everybody"});
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let signed = headers(&how, "POST", "/", b"Hello, World!").unwrap();
        assert_eq!(signed, [("X-Hub-Signature-256".to_owned(), signature.to_owned())]);
    }

    #[test]
    fn parts_can_be_left_out_and_broken() {
        let how = json!({"secret": "s", "timestamp": "7", "omit": ["nonce"], "prefix": "p="});
        let good = headers(&how, "POST", "/a%20b?q", b"x").unwrap();
        let mac = hmac_hex("s", format!("7\nPOST\n/a b\n{}", sha256_hex(b"x")).as_bytes());
        let timestamp = ("X-Timestamp".to_owned(), "7".to_owned());
        assert_eq!(good, [("X-Signature".to_owned(), format!("p={mac}")), timestamp]);
        for what in ["signature", "body", "timestamp"] {
            let mut how = how.clone();
            how["break"] = what.into();
            assert_ne!(headers(&how, "POST", "/a%20b", b"x").unwrap()[0], good[0], "{what}");
        }
    }

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(percent_decoded("/%41%2fb%zz%"), "/A/b%zz%");
    }
}
