//! Listeners over real sockets.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

mod bind;
mod bodies;
mod clients;
mod drain;
mod framing;
mod front;
mod http2;
mod limits;
mod requests;
mod site;
mod tls;
