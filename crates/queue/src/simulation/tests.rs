//! The memory store outlives the simulation; a store with a defect does not.

mod broken;

use std::sync::Arc;

use super::*;
use crate::MemoryStore;

struct Memory;

impl Site for Memory {
    fn open(&mut self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }
}

/// The seed that the environment names, or all of them.
fn seeds(all: Range<u64>) -> Range<u64> {
    let named = std::env::var_os("SIMULATION_SEED").and_then(|seed| seed.to_str()?.parse().ok());
    named.map_or(all, |seed: u64| seed..seed + 1)
}

#[test]
fn the_memory_store_outlives_it() {
    run(&|| Box::new(Memory), seeds(0..1_800), 100).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
#[ignore = "soak: takes minutes"]
fn soak_the_memory_store_outlives_millions_of_operations() {
    run(&|| Box::new(Memory), seeds(1_000_000..1_030_000), 150).unwrap_or_else(|failure| panic!("{failure}"));
}
