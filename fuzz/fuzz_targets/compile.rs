//! Any bytes compile or are refused, without a panic, and a configuration comes exactly if nothing is an error.
#![no_main]

use hookaido_config::{FixedEnvironment, adapt, compile, plan, validate_json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let compiled = compile(bytes, &FixedEnvironment::with_vars([("X", "x-value")]));
    assert_eq!(compiled.config.is_some(), compiled.errors().next().is_none());
    let _report = validate_json(&compiled, "fuzz");
    if let Some(config) = &compiled.config {
        let _json = adapt(config);
        assert!(plan(config, config).is_empty());
    }
});
