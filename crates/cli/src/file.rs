//! Which configuration file is meant, and its bytes.

use std::path::{Path, PathBuf};

/// Looked for in this order when no file is named.
const DEFAULTS: [&str; 2] = ["./Hookaido.conf", "./Hookaidofile"];

/// The file that was named, else the first default that exists, else the first default.
pub(crate) fn choose(named: Option<&Path>) -> PathBuf {
    let default = || DEFAULTS.iter().map(PathBuf::from).find(|path| path.exists());
    named.map(Path::to_path_buf).or_else(default).unwrap_or_else(|| PathBuf::from(DEFAULTS[0]))
}

/// The bytes of a file, or a sentence that names it and says what is wrong.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read the configuration file {}: {error}", path.display()))
}
