//! See `hookaido_dispatch::fuzz::location`, which property tests call too.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hookaido_dispatch::fuzz::location(bytes));
