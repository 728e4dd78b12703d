//! The simulation on a file: a process that dies finds what lay on the disk at that moment, a disk that is full has room again.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hookaido_queue::Store;
use hookaido_queue::simulation::{Site, run};

use super::try_open;
use crate::{OpenError, SqliteOptions};

/// Small enough that a history of some dozen steps goes through all that a large one does.
const SMALL: SqliteOptions = SqliteOptions {
    readers: 1,
    cache_bytes: 256 << 10,
    checkpoint_bytes: 64 << 10,
    log_limit_bytes: 256 << 10,
    reserve_bytes: 16 << 10,
    size_limit: None,
    max_waiting: 100,
    max_waiting_bytes: 1 << 20,
    probe_every: Duration::from_millis(1),
};
/// Room for a dozen messages.
const TIGHT: SqliteOptions = SqliteOptions { size_limit: Some(112 << 10), ..SMALL };

struct Disk {
    folder: tempfile::TempDir,
    options: SqliteOptions,
    /// How often the disk was copied; each copy has a folder of its own.
    copies: usize,
    /// Of the present store.
    break_commits: Arc<AtomicBool>,
}

impl Disk {
    fn new(options: SqliteOptions) -> Self {
        // in memory where there is such a place: this is about order, not about power cuts
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { folder: folder.unwrap(), options, copies: 0, break_commits: Arc::default() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(self.copies.to_string()).join("queue.db")
    }
}

impl Site for Disk {
    fn open(&mut self) -> Arc<dyn Store> {
        let patience = Instant::now();
        loop {
            match try_open(&self.file(), &self.options) {
                Ok(store) => {
                    self.break_commits = Arc::clone(&store.shared().break_commits);
                    return store;
                }
                // the writer of the store that was dropped finishes what waited
                Err(OpenError::Locked { .. }) if patience.elapsed() < Duration::from_secs(20) => {
                    std::thread::yield_now()
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn durable(&self) -> bool {
        true
    }

    fn copy_disk(&mut self) {
        let from = self.file();
        self.copies += 1;
        let to = self.file();
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        let log = |file: &Path| file.with_file_name("queue.db-wal");
        // a moment is a time in which the log stays what it is
        loop {
            let before = std::fs::read(log(&from)).unwrap();
            std::fs::copy(&from, &to).unwrap();
            std::fs::write(log(&to), &before).unwrap();
            if std::fs::read(log(&from)).unwrap() == before {
                return;
            }
        }
    }

    fn fill_disk(&mut self, full: bool) -> bool {
        if self.is_tight() {
            return false;
        }
        self.break_commits.store(full, Ordering::Relaxed);
        true
    }

    fn is_tight(&self) -> bool {
        self.options.size_limit.is_some()
    }
}

/// The seed that the environment names, or all of them.
fn seeds(all: Range<u64>) -> Range<u64> {
    let named = std::env::var_os("SIMULATION_SEED").and_then(|seed| seed.to_str()?.parse().ok());
    named.map_or(all, |seed: u64| seed..seed + 1)
}

fn outlives(options: SqliteOptions, all: Range<u64>, steps: usize) {
    run(&|| Box::new(Disk::new(options)), seeds(all), steps).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn the_store_outlives_the_simulation() {
    outlives(SMALL, 0..160, 100);
}

#[test]
fn the_store_outlives_a_small_disk() {
    outlives(TIGHT, 10_000..10_040, 100);
}

#[test]
#[ignore = "soak: takes minutes"]
fn soak_the_store_outlives_a_million_operations() {
    outlives(SMALL, 1_000_000..1_004_500, 200);
    outlives(TIGHT, 2_000_000..2_000_500, 200);
}
