//! The one owner of change: takes commands one after the other and carries them out in full or not at all.
//!
//! Signals, the file watch and the admin API only send. A reload is `load -> plan -> build everything -> exchange`; until the exchange nothing that
//! runs has changed, and the exchange cannot fail.

use std::path::PathBuf;
use std::sync::Arc;

use hookaido_admin::{EndpointChange, EndpointChanged, EndpointError};
use hookaido_config::plan;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::app::{App, settings};
use crate::generation::Generation;
use crate::listeners::Running;
use crate::load::{Loaded, load};
use crate::stop::Signals;
use crate::tasks::noticed;
use crate::{Options, StartError, certificates, listeners, watch};

/// Commands that may wait.
const WAITING: usize = 16;

/// Where commands come in.
pub(crate) type Commands = mpsc::Receiver<Command>;

/// The way to the supervisor.
pub(crate) fn commands() -> (mpsc::Sender<Command>, Commands) {
    mpsc::channel(WAITING)
}

/// Everything that may be asked of a running server.
#[derive(Debug)]
pub(crate) enum Command {
    /// Take the configuration file anew.
    Reload(Trigger),
    /// Change an endpoint in the configuration file, and take that anew. Who asks may have gone when the answer is there.
    Endpoint(EndpointChange, oneshot::Sender<Result<EndpointChanged, EndpointError>>),
    /// Take the files of certificates and CAs anew.
    Certificates,
    /// End.
    Stop,
}

/// Who asks for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    Hangup,
    Watch,
    EndpointPut,
    EndpointDelete,
}

impl Trigger {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hangup => "signal_sighup",
            Self::Watch => "watch",
            Self::EndpointPut => "admin_management_upsert",
            Self::EndpointDelete => "admin_management_delete",
        }
    }
}

impl App {
    /// Lets a generation push, and tells the one before that its time is over. Listeners are the caller's.
    pub(crate) fn activate(&self, generation: Generation) {
        self.queue.set_rules(generation.rules);
        self.dispatcher.apply(generation.push);
        let before = std::mem::replace(&mut *self.pull.lock(), generation.pull.clone());
        if let Some(before) = before {
            before.retire(generation.pull.as_deref());
        }
    }
}

/// Serves until told to stop, then drains.
pub(crate) async fn supervise(
    options: &Options,
    (app, mut commands): (App, Commands),
    running: Running,
    loaded: Loaded,
    signals: Signals,
) {
    app.spawn_commands(options, signals, certificates::files(&loaded.config));
    app.spawn_sweep();
    let dispatcher = tokio_util::task::TaskTracker::new();
    let pushing = app.dispatcher.clone().run(app.stop.clone());
    dispatcher.spawn(noticed("dispatcher", dispatcher.clone(), pushing));
    dispatcher.close();

    let mut present = Present { loaded, number: 1, written: None };
    let place = Place { options, app: &app, running: &running };
    while let Some(command) = commands.recv().await {
        match command {
            Command::Reload(trigger) => present.reload(place, trigger).await,
            Command::Endpoint(change, answer) => {
                let _gone = answer.send(present.change_endpoint(place, &change).await);
            }
            Command::Certificates => certificates::renew(&present.loaded.config, &running).await,
            Command::Stop => break,
        }
    }
    tracing::info!(target: "hookaido", "shutdown_started");
    let drained = drain(&app, &running, &dispatcher);
    tokio::select! {
        () = drained => tracing::info!(target: "hookaido", "shutdown_complete"),
        () = second_stop(&mut commands) => tracing::warn!(target: "hookaido", "shutdown_forced"),
    }
}

impl App {
    /// What sends commands. The signals that were caught first serve until the task breaks, if ever; then they are caught anew.
    fn spawn_commands(&self, options: &Options, signals: Signals, certificates: Vec<PathBuf>) {
        let (first, commands) = (Mutex::new(Some(signals)), self.commands.clone());
        self.keep_running("signals", &self.upkeep, move || {
            let (signals, commands) = (first.lock().take(), commands.clone());
            async move {
                if let Ok(signals) = signals.map_or_else(Signals::catch, Ok) {
                    signals.forward(commands).await;
                }
            }
        });
        if options.watch {
            let (path, commands, stop) = (options.config.clone(), self.commands.clone(), self.stop.clone());
            self.keep_running("watch", &self.stop, move || watch::watch(path.clone(), commands.clone(), stop.clone()));
        }
        let (commands, stop) = (self.commands.clone(), self.stop.clone());
        self.keep_running("certificate_watch", &self.stop, move || {
            watch::watch_certificates(certificates.clone(), commands.clone(), stop.clone())
        });
    }
}

/// Ready when a stop is asked for again.
async fn second_stop(commands: &mut Commands) {
    while let Some(command) = commands.recv().await {
        // Whoever asks for something else is told that the server ends, by dropping what would be the answer.
        if matches!(command, Command::Stop) {
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// Listeners and dispatcher end first, then upkeep, then the queue.
async fn drain(app: &App, running: &Running, dispatcher: &tokio_util::task::TaskTracker) {
    app.admin.set_draining(true);
    app.stop.cancel();
    tokio::join!(listeners::ended(running), dispatcher.wait());
    app.requests.close();
    app.requests.wait().await;
    app.upkeep.cancel();
    if let Err(error) = app.queue.close().await {
        tracing::error!(target: "hookaido", err = %error, "queue_close_failed");
    }
}

/// Where everything happens.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) options: &'a Options,
    pub(crate) app: &'a App,
    pub(crate) running: &'a Running,
}

/// What runs.
pub(crate) struct Present {
    pub(crate) loaded: Loaded,
    number: u64,
    /// Fingerprint of the file as it was written here, until the file watch has seen it.
    pub(crate) written: Option<String>,
}

impl Present {
    async fn reload(&mut self, place: Place<'_>, trigger: Trigger) {
        match self.prepare(place).await {
            // What the watch sees is what was written here, and runs already.
            Ok(loaded) if trigger == Trigger::Watch && self.written.take().as_ref() == Some(&loaded.fingerprint) => {}
            Ok(loaded) => match self.plan(place.app, &loaded).await {
                Ok(Ok(generation)) => self.take(place, loaded, generation, trigger),
                Ok(Err(directives)) => log_restart_required(trigger, &directives),
                Err(error) => log_failed(trigger, &error),
            },
            Err(error) => log_failed(trigger, &error),
        }
    }

    async fn prepare(&self, place: Place<'_>) -> Result<Loaded, StartError> {
        let (path, environment) = (place.options.config.clone(), Arc::clone(&place.app.environment));
        let loaded = tokio::task::spawn_blocking(move || load(&path, &environment)).await;
        loaded.map_err(|error| StartError::Runtime(std::io::Error::other(error)))?
    }

    /// Makes everything that a file needs, or names the directives whose change needs a restart: then nothing may be applied.
    pub(crate) async fn plan(&self, app: &App, loaded: &Loaded) -> Result<Result<Generation, String>, StartError> {
        let plan = plan(&self.loaded.config, &loaded.config);
        let restart: Vec<&str> = plan.needs_restart().collect();
        if !restart.is_empty() {
            return Ok(Err(restart.join(", ")));
        }
        app.build(loaded, self.number + 1).await.map(Ok)
    }

    /// Lets a generation take over. Cannot fail.
    pub(crate) fn take(&mut self, place: Place<'_>, loaded: Loaded, mut generation: Generation, trigger: Trigger) {
        let Place { app, running, .. } = place;
        app.adopt_secrets(&mut generation, &loaded.config);
        running.exchange(&generation);
        app.queue.set_settings(settings(&loaded.config));
        app.activate(generation);
        self.number += 1;
        self.loaded = loaded;
        let trigger = trigger.as_str();
        tracing::info!(target: "hookaido", trigger, generation = self.number, "config_reloaded_ok");
    }
}

pub(crate) fn log_restart_required(trigger: Trigger, directives: &str) {
    let trigger = trigger.as_str();
    tracing::info!(target: "hookaido", trigger, directives, "config_reloaded_restart_required");
}

pub(crate) fn log_failed(trigger: Trigger, error: &StartError) {
    tracing::error!(target: "hookaido", trigger = trigger.as_str(), err = %error, "config_reload_failed");
}
