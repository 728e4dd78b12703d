//! The `Store` trait, the `Queue` handle above it and the memory store.
