//! `--watch`: notices a changed configuration file by looking at it.
//!
//! Looking is cheap, works on every file system and does not miss a file that an editor replaces.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::supervisor::{Command, Trigger};

const EVERY: Duration = Duration::from_millis(250);

/// What tells one version of a file from the next.
#[derive(PartialEq, Eq, Clone)]
struct Look {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Look {
    fn at(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self { modified: metadata.modified().ok(), length: metadata.len(), inode: metadata.ino() })
    }
}

/// Sends a reload whenever the file has changed and stayed the same for one look, so that half-written files are left alone.
pub(crate) async fn watch(path: PathBuf, commands: mpsc::Sender<Command>, stop: CancellationToken) {
    let mut known = Look::at(&path);
    let mut last = known.clone();
    tracing::info!(target: "hookaido", path = %path.display(), "watching_config");
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let look = Look::at(&path);
        let settled = look == last;
        last.clone_from(&look);
        if look.is_some() && settled && look != known {
            known = look;
            if commands.send(Command::Reload(Trigger::Watch)).await.is_err() {
                return;
            }
        }
    }
}
