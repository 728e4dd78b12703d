//! The admin API in process, over the memory store.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod access;
mod changes;
mod endpoints;
mod lists;
mod publish;
mod secrets;
mod support;
mod views;
