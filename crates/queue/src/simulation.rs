//! Random work with faults between every two steps, on a clock that stands still, beside an oracle that knows what must be true.
//!
//! Workers that are lost, slow, foreign or answer twice, callers that go away, a process that dies and finds its file again, a disk that
//! fills up, limits that change. After each step nothing that was accepted is lost, no message is held twice, order and counts are right,
//! no message is handed out more often than its route allows. A history that fails is made short before it is shown. Every backend runs
//! this on its [`Site`]; a seed always gives the same history.

mod model;
mod shrink;
mod steps;
mod world;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use self::steps::Step;
use crate::Store;

/// Where a simulated store lives.
pub trait Site: Send {
    /// Opens an empty store, or again what is there; waits for one that is being dropped to let go of it.
    fn open(&mut self) -> Arc<dyn Store>;
    /// Whether what was stored survives the store.
    fn durable(&self) -> bool {
        false
    }
    /// The process dies at this moment: what lies on the disk now is what [`Self::open`] finds, whatever the present store does until it
    /// is dropped.
    fn copy_disk(&mut self) {}
    /// Fills the disk, or makes room. Whether that can be done here.
    fn fill_disk(&mut self, _full: bool) -> bool {
        false
    }
    /// Whether the disk is so small that any operation may be refused for want of room.
    fn is_tight(&self) -> bool {
        false
    }
}

/// Makes new sites, each empty.
pub type Sites<'s> = &'s (dyn Fn() -> Box<dyn Site> + Sync);

/// Something was wrong after a step.
#[derive(Clone, Debug)]
struct Violation {
    /// Which step, from 0.
    at: usize,
    /// What.
    text: String,
    /// The steps until then, with what they came to.
    history: Vec<String>,
}

/// A seed that fails, with the shortest history that was found.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// Steps of the history with what each came to; the last one shows the fault.
    pub history: Vec<String>,
    /// What is wrong after the last one.
    pub violation: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "simulation failed with seed {}; SIMULATION_SEED={} plays it alone", self.seed, self.seed)?;
        for (n, step) in self.history.iter().enumerate() {
            writeln!(f, "{:>4}. {step}", n + 1)?;
        }
        write!(f, "      {}", self.violation)
    }
}

/// Plays a history of `steps` for every seed, on as many threads as there are processors. The number of operations done.
///
/// # Errors
/// A seed whose history showed something wrong.
///
/// # Panics
/// When no runtime can be made.
pub fn run(sites: Sites<'_>, seeds: Range<u64>, steps: usize) -> Result<u64, Box<Failure>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, over) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let failure: Mutex<Option<Failure>> = Mutex::default();
    let work = || {
        while !over.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            if let Some(found) = fails(sites, seed, steps) {
                over.store(true, Ordering::Relaxed);
                failure.lock().get_or_insert(found);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    match failure.into_inner() {
        Some(failure) => Err(Box::new(failure)),
        None => Ok(seeds.end.saturating_sub(seeds.start) * u64::try_from(steps).unwrap_or(u64::MAX)),
    }
}

/// Plays the history of one seed, and looks for a shorter one if it fails.
fn fails(sites: Sites<'_>, seed: u64, steps: usize) -> Option<Failure> {
    let history = steps::history(seed, steps);
    let mut play = |steps: &[Step]| play(sites, steps);
    let first = play(&history)?;
    let shortest = shrink::shrink(history, first, &mut play);
    Some(Failure { seed, history: shortest.history, violation: shortest.text })
}

#[expect(clippy::expect_used, reason = "a test without a runtime cannot go on")]
fn play(sites: Sites<'_>, steps: &[Step]) -> Option<Violation> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(world::play(sites(), steps)).err()
}

#[cfg(test)]
mod tests;
