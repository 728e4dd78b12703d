//! See `hookaido_http::fuzz::proxy_header`, which property tests call too.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hookaido_http::fuzz::proxy_header(bytes));
