//! Runtime secrets over kill -9 and over a change of the key that seals them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::thread;

use e2e::client::Client;
use e2e::fail::{Attempt, Fail};
use e2e::ports;
use e2e::rig::{PATIENCE, Rig};
use serde_json::{Value, json};

const CONFIG: &str = "
ingress { listen {{ingress}} }
pull_api { listen {{pull}} auth token raw:tok }
admin_api { listen {{admin}} }
secrets { secret pool { runtime true max_versions 10000 } }
/a { auth hmac { provider github secret_ref pool } pull { path /a } }
";

const KEY: &str = "HOOKAIDO_SECRET_ENCRYPTION_KEY";
const PREVIOUS: &str = "HOOKAIDO_SECRET_ENCRYPTION_KEY_PREVIOUS";
const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

fn keys(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn admin(rig: &Rig) -> Attempt<Client> {
    Ok(Client::new(ports::local(rig.names.port("admin")?)).with("X-Hookaido-Audit-Reason", "test"))
}

/// Ids that the pool has.
fn listed(rig: &Rig) -> Attempt<BTreeSet<String>> {
    let (status, answer) = admin(rig)?.get("/secrets/pool")?;
    let versions =
        answer.get("versions").and_then(Value::as_array).ok_or_else(|| Fail(format!("{status} {answer}")))?;
    Ok(versions.iter().filter_map(|version| version.get("id")?.as_str().map(str::to_owned)).collect())
}

/// Adds versions until the server is gone, and notes those that were answered.
fn add_until_gone(mut client: Client, added: &Mutex<BTreeSet<String>>) {
    for number in 0.. {
        let Ok((201, answer)) = client.ask("/secrets/pool", &json!({ "value": format!("k{number}") })) else { return };
        let id = answer.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        added.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }
}

#[test]
fn what_was_answered_survives_a_kill_and_what_was_deleted_stays_away() -> Attempt<()> {
    const ROUNDS: usize = 4;
    const AT_ONCE: usize = 4;
    const EACH: usize = 15;
    let mut rig = Rig::new(CONFIG)?;
    rig.environment = keys(&[(KEY, OLD)]);
    rig.start()?;
    let (mut known, mut deleted) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..ROUNDS {
        let added = Mutex::new(BTreeSet::new());
        let address = ports::local(rig.names.port("admin")?);
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                let client = Client::new(address).with("X-Hookaido-Audit-Reason", "test");
                let added = &added;
                scope.spawn(move || add_until_gone(client, added));
            }
            e2e::rig::await_that("some versions", || Some(()).filter(|()| added.lock().unwrap().len() >= EACH))?;
            rig.server.stop("KILL", PATIENCE)
        })?;
        rig.start()?;
        known.extend(added.into_inner().unwrap());
        let there = listed(&rig)?;
        let lost: Vec<_> = known.difference(&there).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} of {} are gone", known.len());
        let back: Vec<_> = deleted.intersection(&there).collect();
        assert!(back.is_empty(), "round {round}: {back:?} are back");
        let gone = known.pop_first().ok_or_else(|| Fail("nothing was added".to_owned()))?;
        let answer = admin(&rig)?.call("DELETE", &format!("/secrets/pool/{gone}"), b"")?;
        assert_eq!(answer.status, 204);
        deleted.insert(gone);
    }
    Ok(())
}

#[test]
fn another_key_takes_over_with_the_help_of_the_one_before() -> Attempt<()> {
    let mut rig = Rig::new(CONFIG)?;
    rig.environment = keys(&[(KEY, OLD)]);
    rig.start()?;
    let (status, answer) = admin(&rig)?.ask("/secrets/pool", &json!({ "value": "It's a Secret to Everybody" }))?;
    assert_eq!(status, 201, "{answer}");
    let there = listed(&rig)?;

    let restart = |rig: &mut Rig, environment: &[(&str, &str)]| {
        rig.server.stop("TERM", PATIENCE)?;
        rig.environment = keys(environment);
        rig.launch()
    };
    let refused = |rig: &mut Rig, text: &str| {
        assert_eq!(rig.ended()?, 1);
        assert!(rig.log().contains(text), "{}", rig.log());
        Ok::<(), Fail>(())
    };
    restart(&mut rig, &[(KEY, NEW)])?;
    refused(&mut rig, "was sealed under key")?;
    restart(&mut rig, &[])?;
    refused(&mut rig, "is not set")?;
    for environment in [&[(KEY, NEW), (PREVIOUS, OLD)][..], &[(KEY, NEW)]] {
        rig.server.stop("TERM", PATIENCE)?;
        rig.environment = keys(environment);
        rig.start()?;
        assert_eq!(listed(&rig)?, there);
        let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let mut sender = rig.client("ingress")?.with("X-Hub-Signature-256", good);
        assert_eq!(sender.post("/a", "Hello, World!")?, 202);
    }
    restart(&mut rig, &[(KEY, OLD)])?;
    refused(&mut rig, "was sealed under key")
}
