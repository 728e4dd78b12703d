//! Notices changed files by looking at them: the configuration (`--watch`), certificates and CAs (always).
//!
//! Looking is cheap, works on every file system and does not miss a file that an editor replaces.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::supervisor::{Command, Trigger};

const EVERY: Duration = Duration::from_millis(250);
const EVERY_CERTIFICATE: Duration = Duration::from_millis(500);

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

/// Notices when files have changed and stayed the same for one look, so that half-written ones are left alone. Follows symbolic links, so
/// one that points elsewhere is a change, too.
struct Watched {
    paths: Vec<PathBuf>,
    /// As they were when last taken.
    known: Vec<Option<Look>>,
    last: Vec<Option<Look>>,
}

impl Watched {
    /// Of what is there now, nothing has to be taken.
    fn known(paths: Vec<PathBuf>) -> Self {
        let known = looks(&paths);
        Self { paths, last: known.clone(), known }
    }

    /// What is there has to be taken first.
    fn unknown(paths: Vec<PathBuf>) -> Self {
        let known = vec![None; paths.len()];
        Self { paths, last: known.clone(), known }
    }

    /// Looks again; whether there is something to be taken. While no file is there at all there is not.
    fn changed(&mut self) -> bool {
        let look = looks(&self.paths);
        let settled = look == self.last;
        self.last.clone_from(&look);
        let changed = settled && look != self.known && look.iter().any(Option::is_some);
        if changed {
            self.known = look;
        }
        changed
    }
}

fn looks(paths: &[PathBuf]) -> Vec<Option<Look>> {
    paths.iter().map(|path| Look::at(path)).collect()
}

/// Sends a command whenever the files have changed.
async fn send(
    mut watched: Watched,
    every: Duration,
    to: (mpsc::Sender<Command>, fn() -> Command),
    stop: CancellationToken,
) {
    let (commands, command) = to;
    let mut ticks = tokio::time::interval(every);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if watched.changed() && commands.send(command()).await.is_err() {
            return;
        }
    }
}

/// `--watch`: sends a reload whenever the configuration file has changed.
pub(crate) async fn watch(path: PathBuf, commands: mpsc::Sender<Command>, stop: CancellationToken) {
    tracing::info!(target: "hookaido", path = %path.display(), "watching_config");
    send(Watched::known(vec![path]), EVERY, (commands, || Command::Reload(Trigger::Watch)), stop).await;
}

/// Sends a command whenever a file of a certificate, key or CA has changed. Runs whether `--watch` is given or not: certificates are
/// renewed by other programs, and nobody is there to tell the server.
pub(crate) async fn watch_certificates(paths: Vec<PathBuf>, commands: mpsc::Sender<Command>, stop: CancellationToken) {
    if !paths.is_empty() {
        // They may have changed since they were read; taking the same ones again does nothing.
        send(Watched::unknown(paths), EVERY_CERTIFICATE, (commands, || Command::Certificates), stop).await;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_change_counts_once_it_has_settled() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&a, "1").unwrap();
        fs::write(&b, "1").unwrap();
        let mut watched = Watched::known(vec![a.clone(), b.clone()]);
        assert!(!watched.changed());
        fs::write(&a, "22").unwrap();
        assert!(!watched.changed(), "it may still be written");
        assert!(watched.changed());
        assert!(!watched.changed());
        fs::remove_file(&b).unwrap();
        assert!(!watched.changed() && watched.changed(), "one file is missing");
        fs::remove_file(&a).unwrap();
        assert!(!watched.changed() && !watched.changed(), "all are missing");
        fs::write(&b, "333").unwrap();
        assert!(!watched.changed() && watched.changed());
        let mut watched = Watched::unknown(vec![b]);
        assert!(!watched.changed() && watched.changed() && !watched.changed());
    }

    /// As Kubernetes exchanges the files of a secret: `file -> ..data/file`, `..data -> folder`, and the last link is renamed over.
    #[test]
    fn a_symbolic_link_that_points_elsewhere_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let version = |name: &str| {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("tls.crt"), "same length").unwrap();
            std::os::unix::fs::symlink(name, dir.path().join("..data_tmp")).unwrap();
            fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
        };
        version("..one");
        std::os::unix::fs::symlink("..data/tls.crt", dir.path().join("tls.crt")).unwrap();
        let mut watched = Watched::known(vec![dir.path().join("tls.crt")]);
        version("..two");
        assert!(!watched.changed() && watched.changed());
    }
}
