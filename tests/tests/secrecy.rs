//! Secrets stay where they are: neither they nor a signature that would have been right appear in any answer or log, whatever is sent.

use std::collections::BTreeMap;
use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::client::Client;
use e2e::fail::Attempt;
use e2e::rig::{PATIENCE, Rig};
use e2e::sign;
use serde_json::{Value, json};

const CONFIG: &str = "
ingress { listen {{ingress}} }
pull_api { listen {{pull}} auth token raw:TOKEN }
admin_api { listen {{admin}} auth token raw:ADMIN }
observability { access_log on metrics { listen {{metrics}} } }
secrets { secret \"named\" {
 value raw:NAMED
 valid_from \"2020-01-01T00:00:00Z\"
} }
/github { auth hmac { provider github secret raw:GITHUB } pull { path /github } }
/gitea { auth hmac { provider gitea secret \"file:{{dir}}/gitea.secret\" } pull { path /gitea } }
/stripe { auth hmac { provider stripe secret raw:STRIPE } pull { path /stripe } }
/cituro { auth hmac { provider cituro secret raw:CITURO } pull { path /cituro } }
/canonical { auth hmac raw:CANONICAL pull { path /canonical } }
/named { auth hmac { secret_ref \"named\" } pull { path /named } }
/basic { auth basic \"operator\" \"BASIC\" pull { path /basic } }
";
/// Name in the configuration, and value.
const SECRETS: [(&str, &str); 9] = [
    ("TOKEN", "pull-token-c41f5e77"),
    ("ADMIN", "admin-token-9b2d6a10"),
    ("NAMED", "named-secret-5d0e8f42"),
    ("GITHUB", "github-secret-77aa01bc"),
    ("GITEA", "gitea-secret-1f3c9e58"),
    ("STRIPE", "whsec-secret-e0b7d264"),
    ("CITURO", "cituro-secret-38c6f9a1"),
    ("CANONICAL", "canonical-secret-6be4720d"),
    ("BASIC", "basic-password-a95f13ce"),
];

fn secret(name: &str) -> &'static str {
    SECRETS.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
}

/// Everything that came back.
#[derive(Default)]
struct Answers(Vec<String>);

impl Answers {
    fn call(&mut self, client: &mut Client, method: &str, path: &str, body: &[u8]) -> Attempt<u16> {
        let answer = client.call(method, path, body)?;
        self.0.push(format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body)));
        Ok(answer.status)
    }
}

/// Ways to get a signature wrong, as `e2e::sign` knows them.
fn wrongs() -> Vec<Value> {
    vec![
        json!({"break": "signature"}),
        json!({"break": "body"}),
        json!({"break": "timestamp"}),
        json!({"skew_s": -100_000}),
        json!({"skew_s": 100_000}),
        json!({"omit": ["timestamp"]}),
        json!({"omit": ["nonce"]}),
        json!({"omit": ["signature"]}),
        json!({"prefix": "sha1="}),
        json!({"tag": "v0"}),
        json!({"timestamp": "soon"}),
        json!({"secret": "another"}),
    ]
}

/// Sends everything wrong to a signed route. Yields the signatures that would have been right.
fn wrongly(rig: &Rig, route: &str, scheme: &str, answers: &mut Answers) -> Attempt<Vec<String>> {
    let path = format!("/{route}/x");
    let key = secret(&route.to_uppercase());
    let mut expected = vec![];
    for (number, wrong) in wrongs().into_iter().enumerate() {
        let body = format!("{route} {number}");
        let mut how = json!({"scheme": scheme, "secret": key});
        let right = sign::headers(&how, "POST", &path, body.as_bytes())?;
        if let (Some(how), Value::Object(wrong)) = (how.as_object_mut(), wrong.clone()) {
            how.extend(wrong);
        }
        let mut client = rig.client("ingress")?;
        for (name, value) in sign::headers(&how, "POST", &path, body.as_bytes())? {
            client = client.with(&name, &value);
        }
        let status = answers.call(&mut client, "POST", &path, body.as_bytes())?;
        // A scheme without a time knows nothing of it, and one without tags nothing of them.
        assert!([401, 202].contains(&status), "{route} {wrong}: {status}");
        if status == 401 {
            // The last of a tagged header is its signature.
            expected.extend(right.iter().filter_map(|(_, value)| Some(value.rsplit(['=', ',']).next()?.to_owned())));
        } else {
            assert!(
                !["signature", "body"].contains(&wrong.get("break").and_then(Value::as_str).unwrap_or_default()),
                "{route} {wrong}"
            );
        }
    }
    Ok(expected.into_iter().filter(|text| text.len() == 64).collect())
}

#[test]
fn no_secret_and_no_right_signature_is_ever_told() -> Attempt<()> {
    let mut config = CONFIG.to_owned();
    for (name, value) in SECRETS {
        config = config.replace(name, value);
    }
    let mut rig = Rig::new(&config)?;
    rig.log_level = "debug";
    fs::write(rig.dir().join("gitea.secret"), secret("GITEA"))?;
    rig.start()?;

    let mut answers = Answers::default();
    let mut expected = BTreeMap::new();
    for (route, scheme) in [
        ("github", "github"),
        ("gitea", "gitea"),
        ("stripe", "stripe"),
        ("cituro", "cituro"),
        ("canonical", "canonical"),
        ("named", "canonical"),
    ] {
        expected.insert(route, wrongly(&rig, route, scheme, &mut answers)?);
    }
    assert!(expected["canonical"].len() >= 9 && expected["stripe"].len() >= 7, "{expected:?}");

    for credentials in ["", "operator:", "operator:wrong", "wrong:basic-password", ":"] {
        let mut client =
            rig.client("ingress")?.with("Authorization", &format!("Basic {}", STANDARD.encode(credentials)));
        assert_eq!(answers.call(&mut client, "POST", "/basic", b"m")?, 401);
    }
    for (listener, path) in [("pull", "/github/dequeue"), ("admin", "/messages"), ("admin", "/healthz?details=1")] {
        for token in ["", "wrong", "c41f5e77"] {
            assert_eq!(answers.call(&mut rig.client(listener)?.token(token), "POST", path, b"{}")?, 401);
        }
    }
    let mut operator = rig.client("admin")?.token(secret("ADMIN"));
    for path in ["/healthz?details=1", "/messages?limit=100", "/dlq", "/attempts", "/applications", "/management/model"]
    {
        answers.call(&mut operator, "GET", path, b"")?;
    }
    answers.call(&mut rig.client("metrics")?, "GET", "/metrics", b"")?;
    rig.server.signal("HUP")?;
    rig.await_log(&["config_reloaded_ok"], 1)?;
    let denied = rig.logged(&["ingress_auth_denied"]).len();
    assert!(denied >= 40, "the log is not at its most talkative: {denied}");
    assert_eq!(rig.server.stop("TERM", PATIENCE)?, Some(0));

    let said = [answers.0.join("\n"), rig.log()].concat();
    for (name, value) in SECRETS {
        for form in [value.to_owned(), STANDARD.encode(value), STANDARD.encode(format!("operator:{value}"))] {
            assert!(!said.contains(&form), "{name} is told as {form}");
        }
    }
    for signature in expected.values().flatten() {
        assert!(!said.to_lowercase().contains(signature.as_str()), "a right signature is told: {signature}");
    }
    Ok(())
}
