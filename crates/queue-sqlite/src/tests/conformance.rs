//! The suite that every backend passes, on a file that is closed and opened on the way.

use std::path::PathBuf;
use std::sync::Arc;

use hookaido_queue::Store;
use hookaido_queue::conformance::{Place, compare, run_all};
use proptest::prelude::*;

use super::open;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("queue.db")
    }
}

impl Place for Folder {
    fn open(&self) -> Arc<dyn Store> {
        open(&self.file())
    }

    fn durable(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn the_store_conforms() {
    run_all(&|| Box::new(Folder::new())).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_operations_equal_the_reference(seed: u64, count in 1usize..200) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(compare(&Folder::new(), seed, count));
    }
}
