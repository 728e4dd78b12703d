//! Carries out one scenario: its own folder, ports, server and sink, then its steps in order.

use std::collections::HashMap;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use regex_lite::Regex;
use serde_json::Value;
use tempfile::TempDir;

use crate::clock;
use crate::fail::{Attempt, Fail, fail};
use crate::files;
use crate::names::{Names, plain};
use crate::pki;
use crate::ports;
use crate::scenario::{Scenario, lines};
use crate::server::Server;
use crate::settings;
use crate::sink::Sink;
use crate::sse::Stream;
use crate::steps::{self, Background};

/// Listeners that are waited for when the configuration mentions them.
const LISTENERS: [&str; 4] = ["ingress", "pull", "admin", "metrics"];

/// How long the server may take to listen.
const STARTUP: Duration = Duration::from_secs(15);

/// A scenario did not hold.
#[derive(Debug, Clone)]
pub struct Broken {
    /// What was done: the step with its number, or a stage before the first step.
    pub at: String,
    /// What was wrong, line by line.
    pub diffs: Vec<String>,
}

/// A scenario under way.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) binary: &'a Path,
    pub(crate) names: Names,
    /// Dropped before the sink and the folder: nothing may deliver or write any more by then.
    pub(crate) server: Server,
    pub(crate) sink: Option<Sink>,
    pub(crate) streams: HashMap<String, Stream>,
    pub(crate) background: HashMap<String, Background>,
    folder: TempDir,
}

/// Runs a scenario; tried again when another process took one of its ports between choosing and listening.
pub fn scenario(scenario: &Scenario, binary: &Path, keep: bool) -> Result<(), Broken> {
    let taken =
        |broken: &Broken| broken.diffs.iter().any(|line| line.to_lowercase().contains("address already in use"));
    match once(scenario, binary, keep) {
        Err(broken) if taken(&broken) => once(scenario, binary, keep),
        other => other,
    }
}

fn once(scenario: &Scenario, binary: &Path, keep: bool) -> Result<(), Broken> {
    let starting = |Fail(text)| Broken { at: "start".to_owned(), diffs: vec![text] };
    let mut run = Run::new(scenario, binary).map_err(starting)?;
    if keep {
        run.folder.disable_cleanup(true);
    }
    let mut result = run.prepare().map_err(starting).and_then(|()| run.steps());
    if let Err(broken) = &mut result {
        if let Some(code) = run.server.exit_code().filter(|code| *code != 0) {
            broken.diffs.push(format!("server had exited with {code}: {}", run.server.log_tail()));
        }
        if keep {
            broken.diffs.push(format!("its folder is {}", run.names.dir().display()));
        }
    }
    result
}

impl<'a> Run<'a> {
    fn new(scenario: &'a Scenario, binary: &'a Path) -> Attempt<Self> {
        let folder = tempfile::Builder::new().prefix("hookaido-e2e-").tempdir()?;
        Ok(Self {
            scenario,
            binary,
            names: Names::new(&scenario.text, folder.path())?,
            server: Server::new(binary, folder.path()),
            sink: None,
            streams: HashMap::new(),
            background: HashMap::new(),
            folder,
        })
    }

    fn prepare(&mut self) -> Attempt<()> {
        if self.scenario.text.contains("{{sink") {
            self.sink = Some(Sink::start(self.scenario.get("sink"), &self.names)?);
        }
        if self.scenario.flag("pki") {
            pki::write(self.names.dir())?;
        }
        for (name, text) in self.scenario.get("files").and_then(Value::as_object).into_iter().flatten() {
            files::write(self.names.dir(), name, &self.names.expand(&lines(text), 0)?)?;
        }
        if let Some(config) = self.scenario.config() {
            self.write("config", &config)?;
            if self.scenario.get("autostart") != Some(&Value::Bool(false)) {
                self.start()?;
            }
        }
        Ok(())
    }

    fn steps(&mut self) -> Result<(), Broken> {
        let limit = self.scenario.get("limit_ms").and_then(Value::as_u64).unwrap_or(60_000);
        let end = Instant::now() + Duration::from_millis(limit);
        for (i, step) in self.scenario.steps.iter().enumerate() {
            let diffs = if Instant::now() > end {
                vec!["scenario took too long".to_owned()]
            } else {
                steps::carry_out(self, step).unwrap_or_else(|Fail(text)| vec![text])
            };
            if !diffs.is_empty() {
                let what = crate::matching::short(&step.summary(), 200);
                return Err(Broken { at: format!("step {i} {what}"), diffs });
            }
        }
        Ok(())
    }

    /// Writes a file, the configuration with the listeners it leaves out.
    pub(crate) fn write(&self, name: &str, text: &str) -> Attempt<()> {
        let text = match name {
            "config" => files::config_text(&self.names, text, self.scenario.flag("bare_config"))?,
            _ => self.names.expand(text, 0)?,
        };
        files::write(self.names.dir(), name, &text)
    }

    /// A clean environment with what the scenario and the step add to it.
    pub(crate) fn environment(&self, of_step: Option<&Value>) -> Attempt<Vec<(String, String)>> {
        let dir = self.names.dir().to_string_lossy().into_owned();
        let own = [("PATH", settings::search_path()), ("HOME", dir.clone()), ("TMPDIR", dir), ("LANG", "C".to_owned())];
        let mut variables: Vec<_> = own.map(|(name, value)| (name.to_owned(), value)).into();
        for source in [self.scenario.get("env"), of_step] {
            for (name, value) in source.and_then(Value::as_object).into_iter().flatten() {
                variables.push((name.clone(), self.names.expand(&plain(value), 0)?));
            }
        }
        Ok(variables)
    }

    /// Starts the server and waits until it listens.
    pub(crate) fn start(&mut self) -> Attempt<()> {
        let extra = self.scenario.get("args").and_then(Value::as_array).into_iter().flatten();
        let extra: Vec<String> = extra.map(|arg| self.names.expand(&plain(arg), 0)).collect::<Attempt<_>>()?;
        let has = |option: &str| extra.iter().any(|arg| arg == option);
        let in_dir = |name: &str| files::path(self.names.dir(), name).to_string_lossy().into_owned();
        let mut args = vec!["run".to_owned(), "--config".to_owned(), in_dir("config")];
        if !has("--db") && !self.scenario.flag("no_db") {
            args.extend(["--db".to_owned(), in_dir("hookaido.db")]);
        }
        if !has("--log-level") {
            args.extend(["--log-level".to_owned(), "error".to_owned()]);
        }
        args.extend(extra);
        let environment = self.environment(None)?;
        self.server.start(&args, &environment)?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Attempt<()> {
        let end = Instant::now() + STARTUP;
        for name in self.awaited() {
            let address = ports::local(self.names.port(&name)?);
            loop {
                if let Some(code) = self.server.exit_code() {
                    let tail = self.server.log_tail();
                    return fail(format!("server exited with {code} before {name} was ready: {tail}"));
                }
                if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                    break;
                }
                if Instant::now() > end {
                    return fail(format!("listener {name} did not come up: {}", self.server.log_tail()));
                }
                clock::pause(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    fn awaited(&self) -> Vec<String> {
        match self.scenario.get("ready") {
            Some(Value::Array(names)) => names.iter().map(plain).collect(),
            Some(Value::String(name)) if name == "none" => vec![],
            Some(Value::String(name)) => vec![name.clone()],
            _ => {
                let config = self.scenario.config().unwrap_or_default();
                let mentioned = |name: &&str| {
                    Regex::new(&format!(r"\{{\{{{name}(_port)?\}}\}}")).is_ok_and(|re| re.is_match(&config))
                };
                LISTENERS.iter().filter(|name| mentioned(name)).map(|name| (*name).to_owned()).collect()
            }
        }
    }
}
