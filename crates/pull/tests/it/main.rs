//! The pull API in process, over the memory store.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod calls;
mod reload;
mod streams;
mod support;
mod tokens;
mod waits;
