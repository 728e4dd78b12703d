//! `hookaido db` on the files of running and of stopped servers.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use e2e::client::Client;
use e2e::fail::{Attempt, Fail};
use e2e::rig::{PATIENCE, Rig, await_that};
use e2e::{binary, ports};
use serde_json::Value;

const CONFIG: &str = "
ingress { listen {{ingress}} }
pull_api { listen {{pull}} auth token raw:tok max_batch 1000 max_lease_batch 1000 }
admin_api { listen {{admin}} }
/a { pull { path /a } }
/b { pull { path /b } }
";

/// Runs `hookaido db` with these arguments on a queue file.
fn db(queue: &Path, args: &[&str]) -> Attempt<Output> {
    let mut command = Command::new(binary::locate()?);
    Ok(command.arg("db").args(args).arg("--db").arg(queue).output()?)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(output: &Output) -> Attempt<Value> {
    serde_json::from_slice(&output.stdout).map_err(|error| Fail(format!("{error}: {}", said(output))))
}

#[test]
fn a_backup_made_under_load_is_sound_and_a_server_starts_on_it() -> Attempt<()> {
    let rig = Rig::started(CONFIG)?;
    let (stop, accepted) = (AtomicBool::new(false), Mutex::new(BTreeSet::new()));
    let ingress = ports::local(rig.names.port("ingress")?);
    let copy = rig.dir().join("copy.db");
    let before: BTreeSet<String> = thread::scope(|scope| -> Attempt<_> {
        for sender in 0..4 {
            let (stop, accepted) = (&stop, &accepted);
            scope.spawn(move || {
                let mut client = Client::new(ingress);
                for n in 0.. {
                    let body = format!("{sender}-{n}-{}", "x".repeat(3000));
                    if stop.load(Ordering::Relaxed) || client.post("/a", &body) != Ok(202) {
                        return;
                    }
                    accepted.lock().unwrap_or_else(PoisonError::into_inner).insert(body);
                }
            });
        }
        let count = || accepted.lock().unwrap_or_else(PoisonError::into_inner).len();
        let work = || -> Attempt<_> {
            await_that("some webhooks", || Some(count()).filter(|count| *count >= 500))?;
            let before = accepted.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let made = db(&rig.db, &["backup", "--format", "json", &copy.to_string_lossy()])?;
            assert_eq!(made.status.code(), Some(0), "{}", said(&made));
            let after = count();
            let messages = json(&made)?["messages"].as_u64().and_then(|count| usize::try_from(count).ok());
            assert!(messages.is_some_and(|messages| messages >= before.len()), "{}", said(&made));
            await_that("the load to go on", || (count() > after).then_some(()))?;

            // The others that work beside a server, and those that do not.
            let stats = json(&db(&rig.db, &["stats", "--format", "json"])?)?;
            assert!(stats["messages"]["queued"].as_u64() >= Some(500), "{stats}");
            let check = db(&rig.db, &["check"])?;
            assert_eq!(check.status.code(), Some(0), "{}", said(&check));
            for refused in [db(&rig.db, &["vacuum"])?, db(&rig.db, &["import", &copy.to_string_lossy()])?] {
                assert_eq!(refused.status.code(), Some(1));
            }
            assert!(said(&db(&rig.db, &["vacuum"])?).contains("is in use by process"));
            Ok(before)
        };
        let before = work();
        stop.store(true, Ordering::Relaxed);
        before
    })?;

    let check = db(&copy, &["check", "--format", "json"])?;
    assert_eq!((check.status.code(), &json(&check)?["ok"]), (Some(0), &Value::Bool(true)), "{}", said(&check));
    let again = db(&rig.db, &["backup", &copy.to_string_lossy()])?;
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("exists already"), "{}", said(&again));

    let mut restored = Rig::new(CONFIG)?;
    fs::rename(&copy, &restored.db)?;
    restored.start()?;
    let mut worker = restored.client("pull")?.token("tok");
    let found: BTreeSet<String> = worker.drain("/a", "200ms")?.into_iter().collect();
    assert_eq!(before.difference(&found).count(), 0, "what was accepted before the backup began is in it");
    assert_eq!(restored.client("ingress")?.post("/a", "and on")?, 202);
    Ok(())
}

#[test]
fn damage_is_an_exit_code() -> Attempt<()> {
    let mut rig = Rig::started(CONFIG)?;
    let mut client = rig.client("ingress")?;
    for n in 0..50 {
        assert_eq!(client.post("/a", &format!("{n}"))?, 202);
    }
    assert_eq!(rig.server.stop("TERM", PATIENCE)?, Some(0));
    // The log is copied into the file, so that the page that is torn is one that is read.
    assert_eq!(db(&rig.db, &["vacuum"])?.status.code(), Some(0));
    let sound = db(&rig.db, &["check"])?;
    assert_eq!(sound.status.code(), Some(0), "{}", said(&sound));
    assert!(said(&sound).contains("is sound: 50 messages"), "{}", said(&sound));

    let mut file = fs::OpenOptions::new().write(true).open(&rig.db)?;
    file.seek(SeekFrom::Start(4 * 4096))?;
    file.write_all(&[0x5a; 2048])?;
    let damaged = db(&rig.db, &["check"])?;
    assert_eq!(damaged.status.code(), Some(1), "{}", said(&damaged));
    assert!(said(&damaged).contains("IS DAMAGED"), "{}", said(&damaged));
    let told = db(&rig.db, &["check", "--format", "json"])?;
    assert_eq!((told.status.code(), &json(&told)?["ok"]), (Some(1), &Value::Bool(false)), "{}", said(&told));
    Ok(())
}

#[test]
fn a_source_that_a_process_uses_is_not_imported() -> Attempt<()> {
    let mut rig = Rig::started(CONFIG)?;
    let pid = rig.server.pid().map(|pid| format!("process {pid}")).unwrap_or_default();
    // Any database that somebody has open in the write-ahead mode will do.
    let target = rig.dir().join("new.db");
    let refused = db(&target, &["import", &rig.db.to_string_lossy()])?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains(&format!("is in use by {pid}; stop it first")), "{}", said(&refused));
    assert!(!target.exists());
    assert_eq!(rig.server.stop("TERM", PATIENCE)?, Some(0));
    let refused = db(&target, &["import", &rig.db.to_string_lossy()])?;
    assert!(said(&refused).contains("is a queue of this program already"), "{}", said(&refused));
    Ok(())
}

#[test]
fn a_missing_file_is_named_and_not_created() -> Attempt<()> {
    let folder = tempfile::tempdir()?;
    let queue = folder.path().join("none.db");
    let copy = folder.path().join("copy.db").to_string_lossy().into_owned();
    for args in [vec!["stats"], vec!["check"], vec!["vacuum"], vec!["backup", &copy], vec!["import", &copy]] {
        let refused = db(&queue, &args)?;
        assert_eq!(refused.status.code(), Some(1), "{args:?}");
        assert!(said(&refused).contains("does not exist"), "{args:?}: {}", said(&refused));
    }
    assert_eq!(fs::read_dir(folder.path())?.count(), 0);
    Ok(())
}
