//! A disk without room, and a folder that must not be written: refused with a reason, nothing acknowledged lost, and it goes on by
//! itself once there is room.
//!
//! The small disk is a tmpfs in a mount namespace of its own, so that no mount outlives the test and no privilege is needed where the
//! system lets users make namespaces. Where it does not, the test says so and is passed over.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use e2e::client::Client;
use e2e::fail::{Attempt, Fail};
use e2e::rig::{PATIENCE, Rig, await_that};

const CONFIG: &str = "
ingress { listen {{ingress}} }
pull_api { listen {{pull}} auth token raw:tok }
admin_api { listen {{admin}} }
/a { pull { path /a } }
";
/// Bytes of the small disk, and of what somebody else keeps on it.
const DISK: usize = 128 << 20;
const BALLAST: usize = 80 << 20;
/// Bytes of the ballast that are left after some of it is thrown out.
const LESS: u64 = 16 << 20;
/// Bytes of a webhook.
const BODY: usize = 192 << 10;

/// A small disk in a mount namespace. It goes when this is dropped.
struct Disk {
    /// Where it is mounted, inside.
    at: PathBuf,
    /// Keeps the namespace alive until its input ends.
    keeper: Child,
    _input: Option<ChildStdin>,
    /// Runs a program inside.
    enter: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Disk {
    /// The disk, or why there can be none here.
    fn mount() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut reasons = vec![];
        for user in [false, true] {
            match Self::keeper(folder.path(), user) {
                Ok(mut keeper) => {
                    let pid = keeper.id();
                    let mut enter = vec!["nsenter".to_owned(), format!("--mount=/proc/{pid}/ns/mnt")];
                    if user {
                        enter.extend([format!("--user=/proc/{pid}/ns/user"), "--preserve-credentials".to_owned()]);
                    }
                    enter.push("--".to_owned());
                    let (at, input) = (folder.path().to_owned(), keeper.stdin.take());
                    return Ok(Self { at, keeper, _input: input, enter, _folder: folder });
                }
                Err(reason) => reasons.push(reason),
            }
        }
        Err(reasons.join("; "))
    }

    fn keeper(at: &Path, user: bool) -> Result<Child, String> {
        let script = format!("mount -t tmpfs -o size={DISK} none '{}' && echo mounted && exec cat", at.display());
        let mut command = Command::new("unshare");
        if user {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--mount", "--", "sh", "-c", &script]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut keeper = command.spawn().map_err(|error| format!("unshare: {error}"))?;
        let mut line = String::new();
        let read = keeper.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
        if matches!(read, Some(Ok(_))) && line.trim() == "mounted" {
            return Ok(keeper);
        }
        let output = keeper.wait_with_output().map_err(|error| error.to_string())?;
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    /// A file on the disk, seen from outside.
    fn outside(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root{}", self.keeper.id(), self.at.display());
        Path::new(&root).join(name)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.keeper.kill());
        drop(self.keeper.wait());
    }
}

/// What was answered 202.
#[derive(Default)]
struct Accepted {
    sent: usize,
    bodies: BTreeSet<String>,
}

impl Accepted {
    /// Posts one webhook and yields the status.
    fn post(&mut self, provider: &mut Client) -> Attempt<u16> {
        self.sent += 1;
        let body = format!("{:06}-{}", self.sent, "x".repeat(BODY));
        let status = provider.post("/a", &body)?;
        if status == 202 {
            self.bodies.insert(body);
        }
        Ok(status)
    }

    /// Posts until one is refused with 503.
    fn fill(&mut self, provider: &mut Client) -> Attempt<()> {
        for _ in 0..4 * DISK / BODY {
            match self.post(provider)? {
                202 => {}
                503 => return Ok(()),
                other => return Err(Fail(format!("ingress answered {other}"))),
            }
        }
        Err(Fail("the disk does not get full".to_owned()))
    }
}

fn health(rig: &Rig) -> Attempt<u16> {
    Ok(rig.client("admin")?.get("/healthz")?.0)
}

#[test]
fn a_full_disk_refuses_says_why_and_recovers() -> Attempt<()> {
    let disk = match Disk::mount() {
        Ok(disk) => disk,
        Err(reason) => {
            println!("skipped: no small disk can be mounted here: {reason}");
            return Ok(());
        }
    };
    fs::write(disk.outside("ballast"), vec![1; BALLAST])?;
    let mut rig = Rig::under(&disk.enter, CONFIG)?;
    rig.db = disk.at.join("queue.db");
    rig.start()?;
    let (mut provider, mut worker) = (rig.client("ingress")?, rig.client("pull")?.token("tok"));
    let mut accepted = Accepted::default();
    assert_eq!(accepted.post(&mut provider)?, 202);
    let held = worker.dequeue("/a", 1, "60s", "0s")?;
    assert_eq!((held.len(), health(&rig)?), (1, 200));

    accepted.fill(&mut provider)?;
    let refused = provider.call("POST", "/a", b"x")?;
    assert_eq!(refused.status, 503);
    assert!(refused.headers.iter().any(|(name, _)| name == "retry-after"), "{:?}", refused.headers);
    await_that("readiness to turn red", || health(&rig).ok().filter(|status| *status == 503))?;
    let said = rig.await_log(&["no space", "queue.db"], 1)?;
    assert!(said.len() < 10, "once, not with every request: {}", said.len());

    // An ack needs no room, and gives none to others by itself.
    assert_eq!(worker.ack("/a", &[&held[0].lease])?, 200);
    accepted.bodies.remove(&held[0].body);

    fs::OpenOptions::new().write(true).open(disk.outside("ballast"))?.set_len(LESS)?;
    await_that("readiness to turn green", || health(&rig).ok().filter(|status| *status == 200))?;
    for _ in 0..20 {
        assert_eq!(accepted.post(&mut provider)?, 202, "{}", rig.log());
    }

    // Full again, killed, started again on the full disk: still there, and acks make room.
    accepted.fill(&mut provider)?;
    rig.server.stop("KILL", PATIENCE)?;
    rig.start()?;
    let mut worker = rig.client("pull")?.token("tok");
    let mut left: BTreeSet<String> = worker.drain("/a", "200ms")?.into_iter().collect();
    // What the killed run could not answer may have been kept; what it accepted must have been.
    let lost: Vec<_> = accepted.bodies.difference(&left).map(|body| body.get(..6)).collect();
    assert_eq!(lost, []);
    left.retain(|body| !accepted.bodies.contains(body));
    assert!(left.len() <= 2, "{} that were refused are there", left.len());
    let mut provider = rig.client("ingress")?;
    await_that("room by acks", || accepted.post(&mut provider).ok().filter(|status| *status == 202))?;
    await_that("readiness to turn green", || health(&rig).ok().filter(|status| *status == 200))?;
    assert_eq!(rig.server.stop("TERM", PATIENCE)?, Some(0));
    Ok(())
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_at_the_start() -> Attempt<()> {
    // A file where the folder should be: refused to root, too.
    let mut rig = Rig::new(CONFIG)?;
    fs::write(rig.dir().join("file"), "")?;
    rig.db = rig.dir().join("file").join("queue.db");
    refused(&mut rig)?;

    let mut rig = Rig::new(CONFIG)?;
    let folder = rig.dir().join("locked");
    fs::create_dir(&folder)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555))?;
    if fs::write(folder.join("probe"), "").is_ok() {
        println!("skipped in part: this user may write everywhere");
        return Ok(());
    }
    rig.db = folder.join("queue.db");
    refused(&mut rig)
}

fn refused(rig: &mut Rig) -> Attempt<()> {
    rig.launch()?;
    assert_eq!(rig.ended()?, 1);
    let db = rig.db.to_string_lossy().into_owned();
    let lines: Vec<String> = rig.log().lines().filter(|line| !line.starts_with('{')).map(str::to_owned).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let folder = rig.db.parent().map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default();
    assert!(lines.iter().all(|line| line.contains(&folder)), "{lines:?}");
    assert_eq!(rig.logged(&["open_queue_failed"]).len(), 1, "{db}: {}", rig.log());
    Ok(())
}
