//! See `hookaido_http::fuzz::forwarded`, which property tests call too.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hookaido_http::fuzz::forwarded(bytes));
