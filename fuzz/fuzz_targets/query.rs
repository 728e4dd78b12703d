//! See `hookaido_ingress::fuzz::query`, which property tests call too.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hookaido_ingress::fuzz::query(bytes));
