//! See `hookaido_http::fuzz::framing`, which property tests call too.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hookaido_http::fuzz::framing(bytes));
