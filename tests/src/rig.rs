//! One server with its folder and ports, for tests that are written as programs rather than as scenarios.
//!
//! A rig owns what the server needs and survives its restarts. Configurations use the placeholders of scenarios
//! (`{{ingress}}`, `{{pull}}`, ...). Nothing here sleeps: what happens in the server is polled for, with a bound.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::fail::{Attempt, Fail, fail};
use crate::names::Names;
use crate::server::Server;
use crate::sink::Sink;
use crate::{binary, clock, files, ports, settings};

/// How long the server may take to start, to stop, and to do what a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Listeners that are waited for when the configuration has them.
const LISTENERS: [&str; 5] = ["ingress", "pull", "grpc", "admin", "metrics"];

/// A server, its folder and its ports.
#[derive(Debug)]
pub struct Rig {
    /// Ports and placeholders.
    pub names: Names,
    /// Dropped before the folder.
    pub server: Server,
    /// The queue file, which may be elsewhere than in the folder.
    pub db: PathBuf,
    /// What the server logs from; `info` as a rule.
    pub log_level: &'static str,
    /// More variables of the server, from its next start on.
    pub environment: Vec<(String, String)>,
    /// A program and its arguments that run the server; none as a rule.
    prefix: Vec<String>,
    folder: TempDir,
}

impl Rig {
    /// A rig with this configuration, not started yet.
    pub fn new(config: &str) -> Attempt<Self> {
        Self::under(&[], config)
    }

    /// A rig whose server is run by another program: its path and its arguments, to which those of the server are added.
    pub fn under(prefix: &[String], config: &str) -> Attempt<Self> {
        let folder = tempfile::Builder::new().prefix("hookaido-e2e-").tempdir()?;
        let (program, prefix) = match prefix {
            [] => (binary()?, vec![]),
            [program, rest @ ..] => {
                let mut rest = rest.to_vec();
                rest.push(binary()?.to_string_lossy().into_owned());
                (PathBuf::from(program), rest)
            }
        };
        let rig = Self {
            // Every rig may have a receiver.
            names: Names::new(&format!("{config} {{{{sink}}}}"), folder.path())?,
            server: Server::new(&program, folder.path()),
            db: folder.path().join("hookaido.db"),
            log_level: "info",
            environment: vec![],
            prefix,
            folder,
        };
        rig.configure(config)?;
        Ok(rig)
    }

    /// A rig that serves this configuration.
    pub fn started(config: &str) -> Attempt<Self> {
        let mut rig = Self::new(config)?;
        rig.start()?;
        Ok(rig)
    }

    /// The folder that everything is in.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces the configuration file.
    pub fn configure(&self, config: &str) -> Attempt<()> {
        files::write(self.dir(), "config", &files::config_text(&self.names, config, false)?)
    }

    /// Starts the server and waits until it listens.
    pub fn start(&mut self) -> Attempt<()> {
        self.launch()?;
        for name in LISTENERS {
            let Ok(port) = self.names.port(name) else { continue };
            let up = clock::poll(PATIENCE, Duration::from_millis(5), || {
                let listens = TcpStream::connect_timeout(&ports::local(port), Duration::from_secs(1)).is_ok();
                (listens || self.server.exit_code().is_some()).then_some(listens)
            });
            if up != Some(true) {
                let code = self.server.exit_code();
                return fail(format!("{name} does not listen, exit code {code:?}: {}", self.server.log_tail()));
            }
        }
        Ok(())
    }

    /// Starts the server and does not wait.
    pub fn launch(&mut self) -> Attempt<()> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut args = self.prefix.clone();
        args.extend(["run", "--log-level", self.log_level, "--config"].map(str::to_owned));
        args.extend([text(&files::path(self.dir(), "config")), "--db".to_owned(), text(&self.db)]);
        let dir = text(self.dir());
        let environment = [("PATH", settings::search_path()), ("HOME", dir.clone()), ("TMPDIR", dir)];
        let mut environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        environment.extend(self.environment.iter().cloned());
        self.server.start(&args, &environment)
    }

    /// Waits for the server to end by itself and yields its exit code.
    pub fn ended(&mut self) -> Attempt<i32> {
        let code = clock::poll(PATIENCE, Duration::from_millis(5), || self.server.exit_code());
        code.ok_or_else(|| Fail(format!("still running: {}", self.server.log_tail())))
    }

    /// Kills the server and starts it again on the same queue.
    pub fn crash(&mut self) -> Attempt<()> {
        self.server.stop("KILL", PATIENCE)?;
        self.start()
    }

    /// Connects as a client of a listener once something is to be sent.
    pub fn client(&self, listener: &str) -> Attempt<Client> {
        Ok(Client::new(ports::local(self.names.port(listener)?)))
    }

    /// A receiver with these answers on the port of `{{sink}}`.
    pub fn sink(&self, answers: &Value) -> Attempt<Sink> {
        Sink::start(Some(answers), &self.names)
    }

    /// Everything that the server wrote since its last start.
    pub fn log(&self) -> String {
        let read = |stream| self.server.logs(stream).last().and_then(|path| fs::read(path).ok()).unwrap_or_default();
        ["stderr", "stdout"].map(|stream| String::from_utf8_lossy(&read(stream)).into_owned()).concat()
    }

    /// The lines of the log that contain all of these texts.
    pub fn logged(&self, parts: &[&str]) -> Vec<String> {
        let log = self.log();
        let fits = |line: &&str| parts.iter().all(|part| line.contains(part));
        log.lines().filter(fits).map(str::to_owned).collect()
    }

    /// Waits until at least `count` lines contain all of these texts.
    pub fn await_log(&self, parts: &[&str], count: usize) -> Attempt<Vec<String>> {
        let found = clock::poll(PATIENCE, Duration::from_millis(5), || {
            Some(self.logged(parts)).filter(|lines| lines.len() >= count)
        });
        found.ok_or_else(|| Fail(format!("not {count} times {parts:?} in the log: {}", self.server.log_tail())))
    }
}

/// Asks again until there is an answer, within [`PATIENCE`]; `what` tells what was waited for.
pub fn await_that<T>(what: &str, ask: impl FnMut() -> Option<T>) -> Attempt<T> {
    await_within(PATIENCE, what, ask)
}

/// As [`await_that`], within a time of its own.
pub fn await_within<T>(patience: Duration, what: &str, ask: impl FnMut() -> Option<T>) -> Attempt<T> {
    clock::poll(patience, Duration::from_millis(10), ask)
        .ok_or_else(|| Fail(format!("waited {} s in vain: {what}", patience.as_secs())))
}

/// The binary under test, built once a test process.
fn binary() -> Attempt<PathBuf> {
    static BINARY: OnceLock<Attempt<PathBuf>> = OnceLock::new();
    BINARY.get_or_init(binary::locate).clone()
}
