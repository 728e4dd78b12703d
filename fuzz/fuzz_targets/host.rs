//! See `hookaido_ingress::fuzz::host`, which property tests call too.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hookaido_ingress::fuzz::host(bytes));
