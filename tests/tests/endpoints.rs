//! Endpoints changed through the admin API: many at once, and a configuration file that is a link or may not be written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use e2e::client::{Client, json_of};
use e2e::fail::{Attempt, Fail};
use e2e::files;
use e2e::ports;
use e2e::rig::Rig;
use serde_json::{Value, json};

const COMMON: &str = "
ingress { listen {{ingress}} }
pull_api { listen {{pull}} auth token raw:tok }
admin_api { listen {{admin}} }
";

/// How many change something at the same time: fewer than may wait.
const AT_ONCE: usize = 8;

fn config(routes: usize) -> String {
    let route = |at: usize| format!("/r{at} {{ # route {at}\n  pull {{ path /r{at} }}\n}}\n");
    format!("{COMMON}{}", (0..routes).map(route).collect::<String>())
}

/// Status and JSON of a change.
fn change(client: &mut Client, method: &str, endpoint: &str, route: &str) -> Attempt<(u16, Value)> {
    let body = json!({ "route": route }).to_string();
    let answer = client.call(method, &format!("/applications/shop/endpoints/{endpoint}"), body.as_bytes())?;
    Ok((answer.status, json_of(&answer)))
}

fn admin(rig: &Rig) -> Attempt<Client> {
    Ok(rig.client("admin")?.with("X-Hookaido-Audit-Reason", "test"))
}

/// Does the same on several connections at once, numbered from 0.
fn at_once<T: Send>(rig: &Rig, one: impl Fn(Client, usize) -> Attempt<T> + Sync) -> Attempt<Vec<T>> {
    let address = ports::local(rig.names.port("admin")?);
    thread::scope(|scope| {
        let (one, client) = (&one, || Client::new(address).with("X-Hookaido-Audit-Reason", "test"));
        let all: Vec<_> = (0..AT_ONCE).map(|at| scope.spawn(move || one(client(), at))).collect();
        all.into_iter().map(|one| one.join().map_err(|_panic| Fail("a client broke".to_owned()))?).collect()
    })
}

fn endpoints(rig: &Rig) -> Attempt<u64> {
    let (_, model) = admin(rig)?.get("/management/model")?;
    model.get("endpoint_count").and_then(serde_json::Value::as_u64).ok_or_else(|| Fail(format!("no count in {model}")))
}

#[test]
fn changes_at_once_are_made_one_after_the_other_and_none_is_lost() -> Attempt<()> {
    const ROUNDS: usize = 5;
    let rig = Rig::started(&config(AT_ONCE))?;
    for round in 0..ROUNDS {
        let created =
            at_once(&rig, |mut client, at| change(&mut client, "PUT", &format!("e{at}"), &format!("/r{at}")))?;
        for (status, answer) in &created {
            assert_eq!((*status, &answer["action"]), (200, &json!("created")), "round {round}: {answer}");
        }
        assert_eq!(endpoints(&rig)?, AT_ONCE as u64);
        let text = fs::read_to_string(files::path(rig.dir(), "config"))?;
        assert_eq!(text.matches("endpoint_name \"e").count(), AT_ONCE);
        assert_eq!(text.matches("# route").count(), AT_ONCE);
        let deleted = at_once(&rig, |mut client, at| change(&mut client, "DELETE", &format!("e{at}"), ""))?;
        assert!(deleted.iter().all(|(status, _)| *status == 200), "{deleted:?}");
    }
    // the same route for all: one gets it
    let wanted = at_once(&rig, |mut client, at| change(&mut client, "PUT", &format!("e{at}"), "/r0"))?;
    assert_eq!(wanted.iter().filter(|(status, _)| *status == 200).count(), 1, "{wanted:?}");
    let refused = wanted.iter().filter(|(_, answer)| answer["code"] == "management_route_already_mapped");
    assert_eq!(refused.count(), AT_ONCE - 1, "{wanted:?}");
    assert_eq!(endpoints(&rig)?, 1);
    Ok(())
}

#[test]
fn a_linked_file_stays_a_link_and_keeps_its_mode() -> Attempt<()> {
    let mut rig = Rig::new(&config(1))?;
    let (file, real) = (files::path(rig.dir(), "config"), rig.dir().join("real.conf"));
    fs::rename(&file, &real)?;
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640))?;
    std::os::unix::fs::symlink("real.conf", &file)?;
    rig.start()?;
    let (status, answer) = change(&mut admin(&rig)?, "PUT", "e", "/r0")?;
    assert_eq!(status, 200, "{answer}");
    assert!(fs::symlink_metadata(&file)?.is_symlink());
    assert_eq!(fs::metadata(&real)?.permissions().mode() & 0o777, 0o640);
    assert!(fs::read_to_string(&real)?.contains("endpoint_name \"e\""));
    assert!(!rig.dir().join("real.conf.new").exists());
    Ok(())
}

#[test]
fn a_file_that_may_not_be_written_stays_and_nothing_is_applied() -> Attempt<()> {
    let rig = Rig::started(&config(1))?;
    let file = files::path(rig.dir(), "config");
    let before = fs::read(&file)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444))?;
    let (status, answer) = change(&mut admin(&rig)?, "PUT", "e", "/r0")?;
    assert_eq!((status, &answer["code"]), (503, &json!("management_unavailable")));
    assert!(answer["detail"].as_str().is_some_and(|detail| detail.contains("cannot be written")), "{answer}");
    assert_eq!((fs::read(&file)?, endpoints(&rig)?), (before, 0));
    rig.await_log(&["config_write_failed"], 1)?;
    assert!(rig.logged(&["admin_management_mutation"]).is_empty());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    assert_eq!(change(&mut admin(&rig)?, "PUT", "e", "/r0")?.0, 200);
    assert_eq!(endpoints(&rig)?, 1);
    Ok(())
}
