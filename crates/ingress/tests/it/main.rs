//! Ingress in process, over the memory store.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a test fails by panicking")]

mod auth;
mod flow;
mod forward;
mod limits;
mod nonces;
mod support;
mod vectors;
