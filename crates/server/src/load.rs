//! A configuration file, read and compiled, with everything refused that cannot run.

use std::path::Path;

use hookaido_config::{ProcessEnvironment, compile, fingerprint, unsupported, without_grpc};
use hookaido_model::config::Config;
use hookaido_syntax::{Diagnostic, Tree};

use crate::StartError;

/// A file that can run.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// SHA-256 of the file, in hex.
    pub(crate) fingerprint: String,
    /// Doubtful things in it.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Reads and compiles. Blocks for as long as the file and the files it refers to take.
pub(crate) fn load(path: &Path, environment: &ProcessEnvironment) -> Result<Loaded, StartError> {
    Ok(understand(path, &read(path)?, environment)?.0)
}

/// The same for a start, with or without the gRPC worker API. A reload need not ask: `grpc_listen` changes with a restart only.
pub(crate) fn load_first(path: &Path, environment: &ProcessEnvironment, grpc: bool) -> Result<Loaded, StartError> {
    let (loaded, tree) = understand(path, &read(path)?, environment)?;
    match without_grpc(&loaded.config, &tree).filter(|_| !grpc) {
        None => Ok(loaded),
        Some(missing) => {
            let mut diagnostics = loaded.warnings;
            diagnostics.push(missing);
            Err(StartError::Config { path: path.display().to_string(), tree: Box::new(tree), diagnostics })
        }
    }
}

/// Reads the file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|source| StartError::Read { path: path.display().to_string(), source })
}

/// Compiles what stands, or is about to stand, in the file.
pub(crate) fn understand(
    path: &Path,
    bytes: &[u8],
    environment: &ProcessEnvironment,
) -> Result<(Loaded, Tree), StartError> {
    let compiled = compile(bytes, environment);
    let mut diagnostics = compiled.diagnostics;
    if let Some(config) = compiled.config {
        let missing = unsupported(&config, &compiled.tree);
        if missing.is_empty() {
            let loaded = Loaded { config, fingerprint: fingerprint(bytes), warnings: diagnostics };
            return Ok((loaded, compiled.tree));
        }
        diagnostics.extend(missing);
    }
    Err(StartError::Config { path: path.display().to_string(), tree: Box::new(compiled.tree), diagnostics })
}

/// Says what is doubtful, once for each thing.
pub(crate) fn log_warnings(loaded: &Loaded) {
    for warning in &loaded.warnings {
        tracing::warn!(target: "hookaido", code = warning.code, warning = %warning.message, "config_warning");
    }
    tracing::info!(target: "hookaido", "config_ok");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_grpc_a_grpc_listener_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Hookaido.conf");
        let text = "pull_api { auth token raw:t grpc_listen :1 }\n/a { pull { path /a } }";
        std::fs::write(&path, text).unwrap();
        let load = |grpc| load_first(&path, &ProcessEnvironment::default(), grpc);
        assert!(load(true).is_ok());
        let Err(StartError::Config { diagnostics, .. }) = load(false) else { panic!("it cannot run") };
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
        let told: Vec<_> = errors.map(|diagnostic| (diagnostic.code, &*diagnostic.message)).collect();
        assert_eq!(told, [("E0901", "`grpc_listen` cannot run here: this program was built without gRPC")]);
        std::fs::write(&path, text.replace("grpc_listen :1", "")).unwrap();
        assert!(load(false).is_ok());
    }
}
