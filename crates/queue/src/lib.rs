//! The queue above its backends.
//!
//! Owns the `Store` trait, and all that is the same for every backend.

pub mod store;
