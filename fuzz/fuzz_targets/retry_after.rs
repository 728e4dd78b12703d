//! See `hookaido_dispatch::fuzz::retry_after`, which property tests call too.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hookaido_dispatch::fuzz::retry_after(bytes));
