//! See `hookaido_auth::fuzz::credentials`, which property tests call too.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hookaido_auth::fuzz::credentials(bytes));
