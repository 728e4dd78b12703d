//! See `hookaido_config::fuzz::values`, which property tests call too.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hookaido_config::fuzz::values(bytes));
