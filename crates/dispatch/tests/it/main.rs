//! The dispatcher over the memory store, against small servers on loopback.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and spawn their servers without a tracker"
)]

mod delivery;
mod egress;
mod exec;
mod lifecycle;
mod logs;
mod redirects;
mod retry;
mod rig;
mod sharing;
mod sink;
mod trouble;
