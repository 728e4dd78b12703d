//! Signals of the system as commands.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::supervisor::{Command, Trigger};

/// Sends a command for each signal. Runs until nobody listens.
pub(crate) async fn signals(commands: mpsc::Sender<Command>) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        let command = tokio::select! {
            _ = hangup.recv() => Command::Reload(Trigger::Hangup),
            _ = terminate.recv() => Command::Stop,
            _ = interrupt.recv() => Command::Stop,
        };
        if commands.send(command).await.is_err() {
            return Ok(());
        }
    }
}
