//! Drives the real binary over real sockets.
//!
//! `tests/scenarios/**.json` says what must happen: a configuration, steps against a running server, and what each
//! step must see. `harness` picks the files, runs several at a time and judges the results by `manifest`; `run`
//! carries one out. Sockets are blocking and the bytes on them are our own, because the scenarios are about exactly
//! those bytes. Nothing here knows how the server works inside.

pub mod authority;
pub mod binary;
pub mod client;
pub mod clock;
pub mod conn;
pub mod expect;
pub mod fail;
pub mod files;
pub mod frames;
pub mod grpc;
pub mod harness;
pub mod http;
pub mod ledger;
pub mod load;
pub mod manifest;
pub mod matching;
pub mod names;
pub mod pki;
pub mod ports;
pub mod report;
pub mod rig;
pub mod run;
pub mod scenario;
pub mod server;
pub mod settings;
pub mod sign;
pub mod sink;
pub mod sse;
pub mod step;
mod steps;
pub mod tls;
