use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hookaido_model::{Attempt, AttemptOutcome, State};

use crate::rig::{Message, Rig, exec, open};

struct Script {
    dir: tempfile::TempDir,
}

impl Script {
    fn new(text: &str) -> Self {
        let script = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(script.path(), format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(script.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        script
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("run.sh")
    }

    fn command(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    fn out(&self) -> String {
        self.dir.path().join("out").to_str().unwrap().to_owned()
    }
}

/// Runs a command once for one message and gives the record of it.
async fn run(command: &str, env: &[(&str, &str)], timeout: Duration, message: Message<'_>) -> Attempt {
    let mut rig = Rig::start();
    let mut target = exec(command, env);
    (target.retry.max, target.timeout) = (0, timeout);
    rig.push(open(), 20, vec![target]).await;
    rig.publish(command, message).await;
    rig.tried(1).await;
    rig.stop().await;
    rig.attempts().await.remove(0)
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_command_gets_the_body_and_what_is_known_about_the_message() {
    let script = Script::new("{ cat; echo; env | sort; } > $OUT");
    let headers = [("Content-Type", "text/x"), ("X-Git-Event", "push"), ("X-Multi", "a, b")];
    let message = Message { body: "payload", headers: &headers, id: Some("e1") };
    let env = [("OUT", &*script.out()), ("WORDS", "two words"), ("HOOKAIDO_ATTEMPT", "mine")];
    let attempt = run(&script.command(), &env, LONG, message).await;
    assert_eq!((attempt.status_code, attempt.outcome, attempt.error), (Some(200), AttemptOutcome::Acked, None));
    let out = std::fs::read_to_string(script.out()).unwrap();
    for line in [
        "payload",
        "HOOKAIDO_ROUTE=/hooks/a",
        "HOOKAIDO_EVENT_ID=e1",
        "HOOKAIDO_ATTEMPT=mine",
        "HOOKAIDO_CONTENT_TYPE=text/x",
        "HOOKAIDO_HEADER_CONTENT_TYPE=text/x",
        "HOOKAIDO_HEADER_X_GIT_EVENT=push",
        "HOOKAIDO_HEADER_X_MULTI=a, b",
        "WORDS=two words",
    ] {
        assert!(out.lines().any(|l| l == line), "{line} in {out}");
    }
    assert!(out.contains("\nPATH=") && !out.contains("HOME=") && !out.contains("CARGO"), "{out}");
}

#[tokio::test]
async fn exit_codes_are_statuses() {
    for (text, status) in
        [("exit 3", 500), ("exit 126", 500), ("exit 127", 500), ("exit 75", 503), ("kill -TERM $$", 502)]
    {
        let script = Script::new(text);
        let attempt = run(&script.command(), &[], LONG, Message::default()).await;
        assert_eq!((attempt.status_code, attempt.outcome), (Some(status), AttemptOutcome::Dead), "{text}");
        assert_eq!(attempt.dead_reason.unwrap().as_str(), "max_retries");
        assert!(attempt.error.is_some());
    }
}

#[tokio::test]
async fn a_command_that_cannot_start_is_denied() {
    let script = Script::new("exit 0");
    std::fs::set_permissions(script.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    for command in [
        script.command(),
        format!("{} arg", script.command()),
        "/nowhere/at/all".to_owned(),
        "no-such-command-at-all".to_owned(),
    ] {
        let attempt = run(&command, &[], LONG, Message::default()).await;
        assert_eq!((attempt.status_code, attempt.dead_reason.unwrap().as_str()), (None, "policy_denied"), "{command}");
        assert!(attempt.error.unwrap().starts_with("cannot start the command: "));
    }
}

#[tokio::test]
async fn a_bare_name_is_looked_up_on_the_path() {
    let attempt = run("true", &[], LONG, Message::default()).await;
    assert_eq!(attempt.status_code, Some(200));
}

#[tokio::test]
async fn a_command_may_ignore_its_input_and_talk_a_lot() {
    let script = Script::new("head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; echo more >&2; exit 0");
    let body = "x".repeat(1 << 20);
    let attempt = run(&script.command(), &[], LONG, Message { body: &body, ..Message::default() }).await;
    assert_eq!((attempt.status_code, attempt.error), (Some(200), None));
}

#[tokio::test]
async fn the_time_limit_kills_the_command_and_its_children() {
    let script = Script::new("(sleep 30; echo survived > $OUT) & wait");
    let begun = Instant::now();
    let env = [("OUT", &*script.out())];
    let attempt = run(&script.command(), &env, Duration::from_millis(300), Message::default()).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "standard error closed with the last child");
    assert_eq!((attempt.status_code, attempt.outcome), (Some(408), AttemptOutcome::Dead));
    assert_eq!(attempt.error.as_deref(), Some("the command did not end within 300ms"));
}

#[tokio::test]
async fn a_child_left_behind_does_not_change_the_verdict() {
    for (text, status) in [("sleep 8 & exit 0", 200), ("sleep 8 & exit 3", 500)] {
        let script = Script::new(text);
        let begun = Instant::now();
        let attempt = run(&script.command(), &[], LONG, Message::default()).await;
        assert_eq!(attempt.status_code, Some(status), "{text}");
        assert!(begun.elapsed() < Duration::from_secs(7), "{text}");
    }
}

#[tokio::test]
async fn a_cut_off_command_is_killed_and_its_message_waits() {
    let script = Script::new("echo started > $OUT; exec sleep 30");
    let mut rig = Rig::with(crate::rig::Options { drain: Duration::ZERO, ..Default::default() });
    let command = script.command();
    rig.push(open(), 20, vec![exec(&command, &[("OUT", &*script.out())])]).await;
    rig.publish(&command, Message::default()).await;
    rig.tried(1).await;
    rig.stop().await;
    let message = &rig.messages().await[0];
    assert_eq!((message.state, message.attempt), (State::Queued, 0));
}
