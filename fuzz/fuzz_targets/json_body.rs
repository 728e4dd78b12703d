//! See `hookaido_http::fuzz::json_body`, which property tests call too.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hookaido_http::fuzz::json_body(bytes));
