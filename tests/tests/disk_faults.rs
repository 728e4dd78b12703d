//! Writes that fail, and a queue file that is deleted or replaced under a running server: refused with a reason, nothing acknowledged
//! lost, and it goes on by itself once the fault is gone.
//!
//! Writes are made to fail by a limit on the size of files, which the system answers as a disk with bad blocks would: some writes work,
//! others do not. (A file system that turns read-only cannot be had without privileges while a file on it is open; the server sees the
//! same kind of error.)

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use e2e::fail::{Attempt, Fail};
use e2e::rig::{PATIENCE, Rig, await_that};

const CONFIG: &str = "
ingress { listen {{ingress}} }
pull_api { listen {{pull}} auth token raw:tok }
admin_api { listen {{admin}} }
/a { pull { path /a } }
";
/// Largest size of a file while writes fail: more than the logs of the server, less than its queue.
const LIMIT: &str = "--fsize=200000";

fn health(rig: &Rig) -> Attempt<u16> {
    Ok(rig.client("admin")?.get("/healthz")?.0)
}

fn prlimit(rig: &mut Rig, limit: &str) -> Attempt<()> {
    let pid = rig.server.pid().ok_or_else(|| Fail("no server".to_owned()))?.to_string();
    let set = Command::new("prlimit").args(["--pid", &pid, limit]).status()?;
    if set.success() { Ok(()) } else { Err(Fail(format!("prlimit {limit}: {set}"))) }
}

#[test]
fn failing_writes_are_refused_told_and_survived() -> Attempt<()> {
    if Command::new("prlimit").arg("--version").output().is_err() {
        println!("skipped: there is no prlimit to make writes fail with");
        return Ok(());
    }
    // The signal that comes with such an error would end the process.
    let under = ["/bin/sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"].map(str::to_owned);
    let mut rig = Rig::under(&under, CONFIG)?;
    rig.start()?;
    let mut provider = rig.client("ingress")?;
    let mut accepted = BTreeSet::new();
    for n in 0..200 {
        let body = format!("{n}-{}", "x".repeat(20_000));
        assert_eq!(provider.post("/a", &body)?, 202);
        accepted.insert(body);
    }
    prlimit(&mut rig, &format!("{LIMIT}:"))?;
    let refused = await_that("a refusal", || provider.call("POST", "/a", b"refused").ok().filter(|a| a.status == 503))?;
    assert!(refused.headers.iter().any(|(name, _)| name == "retry-after"), "{:?}", refused.headers);
    await_that("readiness to turn red", || health(&rig).ok().filter(|status| *status == 503))?;
    rig.await_log(&["queue_read_only", "hookaido.db failed", "check its disk", "mounted writable"], 1)?;

    prlimit(&mut rig, "--fsize=unlimited:")?;
    await_that("readiness to turn green", || health(&rig).ok().filter(|status| *status == 200))?;
    assert_eq!(provider.post("/a", "after")?, 202);
    rig.await_log(&["queue_writable"], 1)?;
    accepted.insert("after".to_owned());
    rig.server.stop("KILL", PATIENCE)?;
    rig.start()?;
    let found: BTreeSet<String> = rig.client("pull")?.token("tok").drain("/a", "200ms")?.into_iter().collect();
    assert_eq!(accepted.difference(&found).count(), 0, "nothing accepted is missing");
    Ok(())
}

#[test]
fn a_deleted_file_is_noticed_before_the_next_promise() -> Attempt<()> {
    let mut rig = Rig::started(CONFIG)?;
    let mut provider = rig.client("ingress")?;
    assert_eq!(provider.post("/a", "kept")?, 202);
    // Another name keeps the file, so that it can be put back.
    let kept = rig.dir().join("kept.db");
    fs::hard_link(&rig.db, &kept)?;
    fs::remove_file(&rig.db)?;
    assert_eq!(provider.post("/a", "lost")?, 503);
    await_that("readiness to turn red", || health(&rig).ok().filter(|status| *status == 503))?;
    rig.await_log(&["queue_read_only", "was moved or deleted; put it back, or restart"], 1)?;
    fs::hard_link(&kept, &rig.db)?;
    await_that("readiness to turn green", || health(&rig).ok().filter(|status| *status == 200))?;
    assert_eq!(provider.post("/a", "new")?, 202);
    rig.crash()?;
    assert_eq!(rig.client("pull")?.token("tok").drain("/a", "200ms")?, ["kept", "new"]);
    Ok(())
}

#[test]
fn a_replaced_file_is_noticed_and_left_alone() -> Attempt<()> {
    let mut rig = Rig::started(CONFIG)?;
    let mut provider = rig.client("ingress")?;
    assert_eq!(provider.post("/a", "first")?, 202);
    let (first, other) = (rig.dir().join("first.db"), rig.dir().join("other.db"));
    fs::write(&other, "somebody's backup")?;
    fs::hard_link(&rig.db, &first)?;
    fs::rename(&other, &rig.db)?;
    assert_eq!(provider.post("/a", "lost")?, 503);
    await_that("readiness to turn red", || health(&rig).ok().filter(|status| *status == 503))?;
    rig.await_log(&["queue_read_only", "was replaced by another file; put the first one back, or restart"], 1)?;
    assert_eq!(fs::read(&rig.db)?, b"somebody's backup");
    fs::rename(&first, &rig.db)?;
    await_that("readiness to turn green", || health(&rig).ok().filter(|status| *status == 200))?;
    assert_eq!(provider.post("/a", "second")?, 202);
    rig.crash()?;
    assert_eq!(rig.client("pull")?.token("tok").drain("/a", "200ms")?, ["first", "second"]);
    Ok(())
}

#[test]
fn a_deleted_log_is_saved_into_the_file() -> Attempt<()> {
    let mut rig = Rig::started(CONFIG)?;
    let mut provider = rig.client("ingress")?;
    for n in 0..20 {
        assert_eq!(provider.post("/a", &format!("{n}"))?, 202);
    }
    let mut log = rig.db.clone().into_os_string();
    log.push("-wal");
    fs::remove_file(log)?;
    assert_eq!(provider.post("/a", "lost")?, 503);
    rig.await_log(&["queue_read_only", "-wal was moved or deleted; everything accepted is in the file; restart"], 1)?;
    rig.crash()?;
    let wanted: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(rig.client("pull")?.token("tok").drain("/a", "200ms")?, wanted);
    Ok(())
}
