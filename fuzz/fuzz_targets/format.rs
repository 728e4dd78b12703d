//! The canonical form of any text is its own canonical form, and means the same.
#![no_main]

use hookaido_config::{FixedEnvironment, compile, format};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(once) = format(bytes) else { return };
    assert_eq!(format(once.as_bytes()).as_deref(), Ok(once.as_str()));
    let environment = FixedEnvironment::default();
    assert_eq!(compile(bytes, &environment).config, compile(once.as_bytes(), &environment).config);
});
