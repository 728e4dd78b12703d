//! Commands as targets: the message on standard input, what is known about it in the environment, the exit code as the answer.
//!
//! The environment holds nothing of the server's but `PATH`. A command runs in a process group of its own, which is killed when the
//! time is up or the try is cut off; what it leaves behind after an orderly exit is its own affair.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hookaido_model::config::ExecDelivery;
use hookaido_model::{Content, Envelope};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::time::{Instant, sleep_until, timeout};

use crate::reply::Reply;

/// How much of standard error is kept for the log, in bytes. The rest is read and dropped.
const KEPT: usize = 4096;
/// How long a process that outlives the command may hold standard error open before nobody listens any more.
const LINGERING: Duration = Duration::from_secs(2);
/// `EX_TEMPFAIL` of sysexits.h.
const TEMPORARY_FAILURE: i32 = 75;

/// One command.
#[derive(Debug)]
pub(crate) struct ExecTarget {
    command: Arc<str>,
    env: Vec<(String, String)>,
    path: OsString,
    timeout: Duration,
}

impl ExecTarget {
    /// `path` is the search path that the command gets and is looked up on.
    pub(crate) fn new(exec: &ExecDelivery, path: &OsStr, timeout: Duration) -> Self {
        let env = exec.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { command: Arc::clone(&exec.command), env, path: path.to_owned(), timeout }
    }

    /// One run.
    pub(crate) async fn deliver(&self, envelope: &Envelope, content: &Content) -> Reply {
        let deadline = Instant::now() + self.timeout;
        let mut child = match self.spawn(envelope, content) {
            Ok(child) => child,
            Err(error) if is_passing(&error) => {
                return Reply::unreachable(format!("cannot start the command: {error}"));
            }
            Err(error) => return Reply::denied(format!("cannot start the command: {error}")),
        };
        let group = Group::of(&child);
        let mut stdin = child.stdin.take().map(|pipe| Feed { pipe: Some(pipe), fed: 0 });
        let mut stderr = Talk { pipe: child.stderr.take(), kept: Vec::new() };
        let exit = loop {
            tokio::select! {
                exit = child.wait() => break Some(exit),
                () = feed(&mut stdin, &content.payload) => stdin = None,
                () = stderr.listen(), if stderr.pipe.is_some() => {}
                () = sleep_until(deadline) => break None,
            }
        };
        let Some(exit) = exit else {
            drop(group);
            let killed = timeout(LINGERING, async { tokio::join!(child.wait(), stderr.listen()) });
            // a process that survives this is the kernel's; whatever came on standard error is logged all the same
            let _ = killed.await;
            self.log(envelope, &stderr.kept);
            return Reply::failed(408, format!("the command did not end within {:?}", self.timeout));
        };
        group.disarm();
        let lingers = timeout(LINGERING, stderr.listen()).await.is_err();
        self.log(envelope, &stderr.kept);
        let reply =
            exit.map_or_else(|error| Reply::unreachable(format!("cannot wait for the command: {error}")), judged);
        if lingers && reply.error.is_none() {
            tracing::warn!(
                target: "hookaido", command = &*self.command, event_id = %envelope.id, wait_delay = nanos(LINGERING),
                effect = "delivered; a process that the command started still holds its standard error", "exec_lingering_output"
            );
        }
        reply
    }

    fn spawn(&self, envelope: &Envelope, content: &Content) -> io::Result<Child> {
        let mut command = Command::new(&*self.command);
        command.env_clear().env("PATH", &self.path);
        command.env("HOOKAIDO_ROUTE", &*envelope.lane.route);
        command.env("HOOKAIDO_EVENT_ID", envelope.id.to_string());
        command.env("HOOKAIDO_ATTEMPT", envelope.attempt.to_string());
        for (name, value) in content.headers.pairs().map_err(io::Error::other)? {
            if name.eq_ignore_ascii_case("content-type") {
                command.env("HOOKAIDO_CONTENT_TYPE", &value);
            }
            command.env(variable(&name), value);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true).spawn()
    }

    fn log(&self, envelope: &Envelope, stderr: &[u8]) {
        if !stderr.is_empty() {
            let stderr = String::from_utf8_lossy(stderr);
            tracing::debug!(
                target: "hookaido", command = &*self.command, event_id = %envelope.id, stderr = &*stderr, "exec_stderr"
            );
        }
    }
}

/// `X-Git-Event` is `HOOKAIDO_HEADER_X_GIT_EVENT`.
fn variable(header: &str) -> String {
    let name = header.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    "HOOKAIDO_HEADER_".chars().chain(name).collect()
}

/// Statuses that stand for how a command ended.
fn judged(exit: ExitStatus) -> Reply {
    match (exit.code(), exit.signal()) {
        (Some(0), _) => Reply::answered(200, None),
        (Some(TEMPORARY_FAILURE), _) => Reply::failed(503, format!("the command exited with {TEMPORARY_FAILURE}")),
        (Some(code), _) => Reply::failed(500, format!("the command exited with {code}")),
        (None, Some(signal)) => Reply::failed(502, format!("the command was killed by signal {signal}")),
        (None, None) => Reply::failed(500, "the command ended".to_owned()),
    }
}

/// Whether a start may work the next time: the machine was short of something, or somebody was writing the file.
fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let passing = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::TXTBSY, Errno::INTR, Errno::IO];
    error.raw_os_error().is_some_and(|code| passing.iter().any(|errno| errno.raw_os_error() == code))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The message on its way into the command.
struct Feed {
    pipe: Option<ChildStdin>,
    fed: usize,
}

/// Ready when the command has the whole message, or closed its input, which is its right; never, when there is nothing to feed.
async fn feed(stdin: &mut Option<Feed>, payload: &[u8]) {
    let Some(Feed { pipe: Some(pipe), fed }) = stdin else { return std::future::pending().await };
    while let Some(rest) = payload.get(*fed..).filter(|rest| !rest.is_empty()) {
        match pipe.write(rest).await {
            Ok(0) | Err(_) => return,
            Ok(taken) => *fed += taken,
        }
    }
}

/// Standard error of the command.
struct Talk {
    /// `None` once it is closed.
    pipe: Option<ChildStderr>,
    kept: Vec<u8>,
}

impl Talk {
    /// Reads to the end. May be dropped at any time and called again.
    async fn listen(&mut self) {
        let mut buffer = [0; 4096];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer).await {
                Ok(0) | Err(_) => self.pipe = None,
                Ok(count) => {
                    let room = KEPT.saturating_sub(self.kept.len()).min(count);
                    self.kept.extend_from_slice(buffer.get(..room).unwrap_or_default());
                }
            }
        }
    }
}

/// Kills the command's process group when dropped, unless it ended by itself.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(rustix::process::Pid::from_raw))
    }

    /// The command was waited for: its number may belong to somebody else by now.
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // gone already is as good
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_become_variables() {
        assert_eq!(variable("X-Git-Event"), "HOOKAIDO_HEADER_X_GIT_EVENT");
        assert_eq!(variable("content-type"), "HOOKAIDO_HEADER_CONTENT_TYPE");
        assert_eq!(variable("A=b\0c"), "HOOKAIDO_HEADER_A_B_C");
    }

    #[test]
    fn exits_have_statuses() {
        // wait(2): the exit code is the second byte, a signal the first
        for (raw, status) in
            [(0, 200), (1 << 8, 500), (126 << 8, 500), (127 << 8, 500), (255 << 8, 500), (75 << 8, 503), (15, 502)]
        {
            let reply = judged(ExitStatus::from_raw(raw));
            assert_eq!((reply.status(), reply.error.is_some()), (Some(status), status != 200), "{raw}");
        }
    }
}
