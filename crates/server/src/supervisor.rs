//! The one owner of change: takes commands one after the other and carries them out in full or not at all.
//!
//! Signals and the file watch only send. A reload is `load -> plan -> build everything -> exchange`; until the exchange nothing that
//! runs has changed, and the exchange cannot fail.

use std::sync::Arc;

use hookaido_config::plan;
use tokio::sync::mpsc;

use crate::app::{App, settings};
use crate::generation::Generation;
use crate::listeners::Running;
use crate::load::{Loaded, load};
use crate::stop::Signals;
use crate::{Options, listeners, watch};

/// Commands that may wait.
const WAITING: usize = 16;

/// Everything that may be asked of a running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Take the configuration file anew.
    Reload(Trigger),
    /// End.
    Stop,
}

/// Who asks for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    Hangup,
    Watch,
}

impl Trigger {
    fn as_str(self) -> &'static str {
        match self {
            Self::Hangup => "signal_sighup",
            Self::Watch => "watch",
        }
    }
}

impl App {
    /// Lets a generation push, and tells the one before that its time is over. Listeners are the caller's.
    pub(crate) fn activate(&self, generation: Generation) {
        self.dispatcher.apply(generation.push);
        let before = std::mem::replace(&mut *self.pull.lock(), generation.pull.clone());
        if let Some(before) = before {
            before.retire(generation.pull.as_deref());
        }
    }
}

/// Serves until told to stop, then drains.
pub(crate) async fn supervise(options: &Options, app: App, running: Running, loaded: Loaded, signals: Signals) {
    let (sender, mut commands) = mpsc::channel(WAITING);
    app.tasks.spawn(signals.forward(sender.clone()));
    if options.watch {
        app.tasks.spawn(watch::watch(options.config.clone(), sender.clone(), app.stop.clone()));
    }
    let dispatcher = tokio_util::task::TaskTracker::new();
    dispatcher.spawn(app.dispatcher.clone().run(app.stop.clone()));
    dispatcher.close();

    let mut present = Present { loaded, number: 1 };
    while let Some(command) = commands.recv().await {
        match command {
            Command::Reload(trigger) => present.reload(options, &app, &running, trigger).await,
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

/// Ready when a stop is asked for again.
async fn second_stop(commands: &mut mpsc::Receiver<Command>) {
    while let Some(command) = commands.recv().await {
        if command == Command::Stop {
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

/// What runs.
struct Present {
    loaded: Loaded,
    number: u64,
}

impl Present {
    async fn reload(&mut self, options: &Options, app: &App, running: &Running, trigger: Trigger) {
        let trigger = trigger.as_str();
        match self.prepare(options, app).await {
            Ok(Prepared::Restart(directives)) => {
                let directives = directives.join(", ");
                tracing::info!(target: "hookaido", trigger, directives, "config_reloaded_restart_required");
            }
            Ok(Prepared::Ready(loaded, generation)) => {
                running.exchange(&generation);
                app.queue.set_settings(settings(&loaded.config));
                app.activate(*generation);
                self.number += 1;
                self.loaded = *loaded;
                tracing::info!(target: "hookaido", trigger, generation = self.number, "config_reloaded_ok");
            }
            Err(error) => tracing::error!(target: "hookaido", trigger, err = %error, "config_reload_failed"),
        }
    }

    async fn prepare(&self, options: &Options, app: &App) -> Result<Prepared, crate::StartError> {
        let (path, environment) = (options.config.clone(), Arc::clone(&app.environment));
        let loaded = tokio::task::spawn_blocking(move || load(&path, &environment)).await;
        let loaded = loaded.map_err(|error| crate::StartError::Runtime(std::io::Error::other(error)))??;
        let plan = plan(&self.loaded.config, &loaded.config);
        let restart: Vec<String> = plan.needs_restart().map(str::to_owned).collect();
        if !restart.is_empty() {
            return Ok(Prepared::Restart(restart));
        }
        let generation = app.build(&loaded, self.number + 1).await?;
        Ok(Prepared::Ready(Box::new(loaded), Box::new(generation)))
    }
}

enum Prepared {
    /// Directives whose change needs a restart: nothing is applied.
    Restart(Vec<String>),
    Ready(Box<Loaded>, Box<Generation>),
}
