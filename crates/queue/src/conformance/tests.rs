//! The memory store passes; the comparison notices what is wrong.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::MemoryStore;

#[derive(Debug, Default)]
struct Memory;

impl Place for Memory {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }
}

#[tokio::test]
async fn the_memory_store_conforms() {
    run_all(&|| Box::new(Memory)).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn memory_is_equal_to_the_reference(seed: u64, count in 1usize..200) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(compare(&Memory, seed, count));
    }
}

#[tokio::test]
async fn random_operations_reach_every_outcome() {
    let mut all = String::new();
    for seed in 0..50 {
        all.push_str(&trace(&Memory, &random_ops(seed, 200)).await.join("\n"));
    }
    for word in [
        "conflict",
        "full",
        "dropped 1",
        "NotFound",
        "Expired",
        "Foreign",
        "Ok(Settled",
        "reclaimed [(1, 2, 0)]",
        "reclaimed [(1, 1, 1)]",
        "died: true",
        "max_receives: it was",
        "Some(max_receives) ",
        " queued ",
        " leased ",
        " delivered ",
        " dead ",
        " canceled ",
        "no_retry",
        "more: true",
        "attempt 3",
    ] {
        assert!(all.contains(word), "{word}");
    }
}
