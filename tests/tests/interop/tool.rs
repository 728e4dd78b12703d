//! Runs a program of another language: arguments as they are, never through a shell, and never without a time limit.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use e2e::clock;
use e2e::fail::{Attempt, Fail, fail};
use e2e::server::code_of;

/// How a program ended and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// What it printed, without white space at the ends; a failure if it ended badly.
    pub(crate) fn printed(self) -> Attempt<String> {
        if self.code == 0 { Ok(self.out.trim().to_owned()) } else { fail(self.told()) }
    }

    /// The code and the end of what it said, for a report.
    pub(crate) fn told(&self) -> String {
        let text = format!("{}\n{}", self.out.trim(), self.err.trim());
        let skipped = text.chars().count().saturating_sub(600);
        format!("exit code {}: {}", self.code, text.chars().skip(skipped).collect::<String>().trim())
    }
}

/// One program to run.
#[derive(Debug)]
pub(crate) struct Tool {
    command: Command,
    input: Vec<u8>,
    within: Duration,
}

impl Tool {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self { command: Command::new(program), input: vec![], within: Duration::from_secs(20) }
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.args([arg])
    }

    pub(crate) fn input(mut self, bytes: &[u8]) -> Self {
        self.input = bytes.to_vec();
        self
    }

    pub(crate) fn within(mut self, seconds: u64) -> Self {
        self.within = Duration::from_secs(seconds);
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Attempt<Ran> {
        let name = self.command.get_program().to_string_lossy().into_owned();
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().map_err(|error| Fail(format!("{name} does not start: {error}")))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        thread::scope(|scope| {
            scope.spawn(|| stdin.map(|mut pipe| pipe.write_all(&self.input)));
            let out = scope.spawn(|| stdout.map(drain).unwrap_or_default());
            let err = scope.spawn(|| stderr.map(drain).unwrap_or_default());
            let ended = clock::poll(self.within, Duration::from_millis(5), || child.try_wait().transpose());
            if ended.is_none() {
                drop(child.kill());
                drop(child.wait());
            }
            let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
            match ended {
                Some(status) => Ok(Ran { code: code_of(status?), out, err }),
                None => fail(format!("{name} did not end within {} s: {out}{err}", self.within.as_secs())),
            }
        })
    }
}

fn drain(mut pipe: impl std::io::Read) -> String {
    let mut bytes = vec![];
    drop(pipe.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Why a program cannot be used; nothing if it can.
pub(crate) fn lacking(programs: &[&str], version: &str) -> Option<String> {
    programs.iter().find_map(|program| match Tool::new(program).arg(version).run() {
        Ok(ran) if ran.code == 0 => None,
        Ok(ran) => Some(format!("{program} does not run: {}", ran.told())),
        Err(Fail(why)) => Some(why),
    })
}

/// A script of `tests/interop`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(name)
}

/// `openssl dgst -sha256` of some bytes in hex, keyed if there is a key.
pub(crate) fn openssl_sha256(key: Option<&str>, bytes: &[u8]) -> Attempt<String> {
    let keyed = key.map(|key| ["-hmac", key]).into_iter().flatten();
    let printed = Tool::new("openssl").args(["dgst", "-sha256"]).args(keyed).input(bytes).run()?.printed()?;
    let hex = printed.rsplit(' ').next().unwrap_or_default();
    if hex.len() == 64 { Ok(hex.to_owned()) } else { fail(format!("openssl dgst printed {printed:?}")) }
}

/// What curl sends and where.
#[derive(Debug)]
pub(crate) struct Post<'a> {
    pub(crate) url: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: &'a [u8],
    pub(crate) options: Vec<String>,
}

impl Post<'_> {
    /// curl's exit code, the status (`000` without one) and the HTTP version, as `0 202 2`.
    pub(crate) fn send(&self, dir: &Path) -> Attempt<String> {
        let file = dir.join("body");
        File::create(&file)?.write_all(self.body)?;
        let mut data = std::ffi::OsString::from("@");
        data.push(&file);
        let headers = self.headers.iter().flat_map(|header| ["-H", header]);
        let fixed = ["-q", "-s", "-o", "/dev/null", "--noproxy", "*", "--max-time", "10"];
        let tool = Tool::new("curl").args(fixed).args(["-w", "%{http_code} %{http_version}", "-H", "Expect:"]);
        let ran = tool.args(headers).args(&self.options).arg("--data-binary").arg(data).arg(&self.url).run()?;
        Ok(format!("{} {}", ran.code, ran.out.trim()))
    }
}

/// A failure that says what was seen instead.
pub(crate) fn want(what: &str, wanted: &str, seen: &str) -> Attempt<()> {
    if wanted == seen { Ok(()) } else { fail(format!("{what}: wanted {wanted:?}, saw {seen:?}")) }
}
