//! An output of lines: a bounded buffer, and a thread that empties it.
//!
//! Writers copy a line into the buffer under a short lock and go on. The thread lets lines gather for a moment, so that a busy log costs
//! a hundred writes a second and not one per line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hookaido_model::config::LogOutput;
use parking_lot::{Condvar, Mutex};

use super::LogError;

/// Bytes that may wait to be written.
const CAPACITY: usize = 1024 * 1024;
/// With this much waiting, the thread no longer lets lines gather.
const PLENTY: usize = CAPACITY / 4;
/// How long lines gather.
const GATHER: Duration = Duration::from_millis(10);
/// How long a closing sink waits for a stuck output.
const PATIENCE: Duration = Duration::from_secs(1);

/// Appends lines to one output.
#[derive(Debug)]
pub(crate) struct Sink {
    shared: Arc<Shared>,
    output: LogOutput,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something for the thread to do.
    work: Condvar,
    /// The thread did something.
    done: Condvar,
    /// Lines that the output did not take.
    failed: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    pushed: u64,
    written: u64,
    urgent: bool,
    reopen: bool,
    closing: bool,
    ended: bool,
}

impl Sink {
    /// Opens the output and starts its thread.
    pub(crate) fn open(output: &LogOutput) -> Result<Self, LogError> {
        let target = Target::open(output).map_err(|source| LogError::open(output, source))?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
            failed: AtomicU64::new(0),
        });
        let (theirs, output) = (Arc::clone(&shared), output.clone());
        let reopened = output.clone();
        let thread = std::thread::Builder::new().name("hookaido-log".to_owned());
        thread.spawn(move || theirs.write_all(target, &reopened)).map_err(LogError::Thread)?;
        Ok(Self { shared, output })
    }

    pub(crate) fn output(&self) -> &LogOutput {
        &self.output
    }

    /// Takes one line with its line feed; `false` when there is no room. `urgent` lines are not kept waiting.
    pub(crate) fn push(&self, line: &[u8], urgent: bool) -> bool {
        let mut state = self.shared.state.lock();
        let waiting = state.waiting.len();
        if waiting + line.len() > CAPACITY {
            return false;
        }
        state.waiting.extend_from_slice(line);
        state.pushed += line.len() as u64;
        state.urgent |= urgent;
        let plenty = waiting < PLENTY && waiting + line.len() >= PLENTY;
        drop(state);
        if waiting == 0 || urgent || plenty {
            self.shared.work.notify_one();
        }
        true
    }

    /// Opens a file anew before the next write.
    pub(crate) fn reopen(&self) {
        self.shared.state.lock().reopen = true;
        self.shared.work.notify_one();
    }

    /// Waits until what was pushed so far is written, at most until `deadline`.
    pub(crate) fn flush(&self, deadline: Instant) {
        let mut state = self.shared.state.lock();
        let target = state.pushed;
        state.urgent = true;
        self.shared.work.notify_one();
        while state.written < target && !state.ended {
            if self.shared.done.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }

    /// Lines that the output did not take.
    pub(crate) fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.state.lock();
        state.closing = true;
        self.shared.work.notify_one();
        while !state.ended {
            if self.shared.done.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }
}

impl Shared {
    /// The thread.
    fn write_all(&self, mut target: Target, output: &LogOutput) {
        let mut taken = Vec::new();
        loop {
            let (reopen, ending) = self.take(&mut taken);
            if reopen {
                // Where the new file cannot be opened, the old one is still better than nothing.
                if let Ok(new) = Target::open(output) {
                    target = new;
                }
            }
            if target.write(&taken).is_err() {
                let lines = taken.iter().filter(|byte| **byte == b'\n').count();
                self.failed.fetch_add(lines as u64, Ordering::Relaxed);
            }
            let mut state = self.state.lock();
            state.written += taken.len() as u64;
            state.ended = ending;
            self.done.notify_all();
            if ending {
                return;
            }
            taken.clear();
        }
    }

    /// Waits for lines and takes them all. Answers whether to open the file anew, and whether these were the last lines.
    fn take(&self, taken: &mut Vec<u8>) -> (bool, bool) {
        let mut state = self.state.lock();
        while state.waiting.is_empty() && !state.closing && !state.reopen {
            self.work.wait(&mut state);
        }
        let gathered = Instant::now() + GATHER;
        while !state.urgent && !state.closing && !state.reopen && state.waiting.len() < PLENTY {
            if self.work.wait_until(&mut state, gathered).timed_out() {
                break;
            }
        }
        state.urgent = false;
        std::mem::swap(&mut state.waiting, taken);
        (std::mem::take(&mut state.reopen), state.closing)
    }
}

/// What is written to.
enum Target {
    Stderr,
    Stdout,
    File(File),
}

impl Target {
    fn open(output: &LogOutput) -> io::Result<Self> {
        Ok(match output {
            LogOutput::Stderr => Self::Stderr,
            LogOutput::Stdout => Self::Stdout,
            LogOutput::File(path) => Self::File(OpenOptions::new().create(true).append(true).open(path)?),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stderr => io::stderr().lock().write_all(bytes),
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
            Self::File(file) => file.write_all(bytes),
        }
    }
}
