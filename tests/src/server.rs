//! The server process of a scenario: start, signal, stop, and what it wrote.
//!
//! Every start writes to its own `stdout.N` and `stderr.N` in the folder of the scenario. A process that is still
//! there when this is dropped is killed.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::clock;
use crate::fail::{Attempt, Fail, fail};

/// One server, running or not.
#[derive(Debug)]
pub struct Server {
    binary: PathBuf,
    dir: PathBuf,
    starts: usize,
    child: Option<Child>,
    /// The exit code once it has ended.
    ended: Option<i32>,
}

impl Server {
    /// A server that is not running yet.
    pub fn new(binary: &Path, dir: &Path) -> Self {
        Self { binary: binary.to_owned(), dir: dir.to_owned(), starts: 0, child: None, ended: None }
    }

    /// Runs the binary with these arguments and nothing else in its environment.
    pub fn start(&mut self, args: &[String], environment: &[(String, String)]) -> Attempt<()> {
        self.starts += 1;
        self.ended = None;
        let mut command = Command::new(&self.binary);
        command.args(args).current_dir(&self.dir).env_clear().envs(environment.iter().cloned());
        command.stdin(Stdio::null());
        command.stdout(File::create(self.log("stdout", self.starts))?);
        command.stderr(File::create(self.log("stderr", self.starts))?);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// The exit code of the server if it has ended by itself or was stopped; minus the signal that killed it.
    pub fn exit_code(&mut self) -> Option<i32> {
        if let Some(Ok(Some(status))) = self.child.as_mut().map(Child::try_wait) {
            self.child = None;
            self.ended = Some(code_of(status));
        }
        self.ended
    }

    /// Most memory that a running server has held so far, in bytes; where the system tells.
    pub fn peak_memory(&self) -> Option<u64> {
        self.memory("VmHWM:")
    }

    /// Memory that a running server holds now, in bytes; where the system tells.
    pub fn resident(&self) -> Option<u64> {
        self.memory("VmRSS:")
    }

    fn memory(&self, name: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.as_ref()?.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// The process id of a running server.
    pub fn pid(&mut self) -> Option<u32> {
        self.exit_code();
        self.child.as_ref().map(Child::id)
    }

    /// Sends a signal to a running server.
    pub fn signal(&mut self, name: &str) -> Attempt<()> {
        let signal = signal_called(name)?;
        if self.exit_code().is_some() {
            return Ok(());
        }
        let Some(child) = &self.child else { return fail("no server is running") };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let sent = pid.map(|pid| kill_process(pid, signal));
        match sent {
            Some(Ok(())) => Ok(()),
            other => fail(format!("cannot send {name}: {other:?}")),
        }
    }

    /// Stops the server with a signal and yields its exit code; null if it never ran.
    pub fn stop(&mut self, signal: &str, within: Duration) -> Attempt<Option<i32>> {
        if self.child.is_none() {
            return Ok(self.ended);
        }
        self.signal(signal)?;
        let ended = clock::poll(within, Duration::from_millis(2), || self.exit_code());
        if ended.is_none() {
            self.kill();
            return fail(format!("server did not stop within {} s", within.as_secs()));
        }
        Ok(ended)
    }

    /// The files that a stream of the server went to, oldest first.
    pub fn logs(&self, stream: &str) -> Vec<PathBuf> {
        (1..=self.starts).map(|start| self.log(stream, start)).collect()
    }

    /// The end of what the server wrote since its last start.
    pub fn log_tail(&self) -> String {
        let read = |stream| fs::read(self.log(stream, self.starts)).unwrap_or_default();
        let text = ["stderr", "stdout"].map(|stream| String::from_utf8_lossy(&read(stream)).into_owned()).concat();
        let skipped = text.trim().chars().count().saturating_sub(700);
        text.trim().chars().skip(skipped).collect()
    }

    fn log(&self, stream: &str, start: usize) -> PathBuf {
        self.dir.join(format!("{stream}.{start}"))
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            self.ended = child.wait().ok().map(code_of);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An exit code; minus the signal if one killed the process.
pub fn code_of(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|signal| -signal)).unwrap_or(-1)
}

fn signal_called(name: &str) -> Attempt<Signal> {
    Ok(match name {
        "TERM" => Signal::TERM,
        "INT" => Signal::INT,
        "HUP" => Signal::HUP,
        "QUIT" => Signal::QUIT,
        "KILL" => Signal::KILL,
        "STOP" => Signal::STOP,
        "CONT" => Signal::CONT,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        other => return Err(Fail(format!("unknown signal {other}"))),
    })
}
