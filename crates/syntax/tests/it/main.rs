//! Tests over many texts: the recorded corpus, and arbitrary ones.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail loudly")]

mod corpus;
mod properties;
mod support;
