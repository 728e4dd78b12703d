//! What the environment says about a test run.

/// A variable of this process, if it is set to something.
#[expect(clippy::disallowed_methods, reason = "test settings come from the environment; the server gets a clean one")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The search path handed to the server and its helpers.
pub fn search_path() -> String {
    variable("PATH").unwrap_or_else(|| "/usr/bin:/bin".to_owned())
}
