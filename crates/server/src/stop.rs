//! Signals of the system as commands.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::supervisor::{Command, Trigger};

/// The signals that mean something. From when this exists on they wait for [`Signals::forward`] instead of ending the process.
pub(crate) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Sends a command for each signal. Runs until nobody listens.
    pub(crate) async fn forward(mut self, commands: mpsc::Sender<Command>) {
        loop {
            let command = tokio::select! {
                _ = self.hangup.recv() => Command::Reload(Trigger::Hangup),
                _ = self.terminate.recv() => Command::Stop,
                _ = self.interrupt.recv() => Command::Stop,
            };
            if commands.send(command).await.is_err() {
                return;
            }
        }
    }
}
