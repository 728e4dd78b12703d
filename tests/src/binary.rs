//! The binary under test: the one that `HOOKAIDO_BIN` names, or that of this workspace, built first so that no test
//! ever runs against an old one.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fail::{Attempt, Fail, fail};
use crate::settings;

/// The path of the binary to test.
pub fn locate() -> Attempt<PathBuf> {
    match settings::variable("HOOKAIDO_BIN") {
        Some(path) => std::path::absolute(&path)
            .ok()
            .filter(|path| path.is_file())
            .ok_or_else(|| Fail(format!("no binary {path}"))),
        None => build(),
    }
}

/// Builds with the profile and into the target folder of the running test, which is `PROFILE/deps/scenarios-HASH`.
fn build() -> Attempt<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.parent().filter(|folder| folder.ends_with("deps")).and_then(Path::parent);
    let Some(folder) = folder else { return fail(format!("{} is not in a target folder", test.display())) };
    let (Some(target), Some(profile)) = (folder.parent(), folder.file_name()) else {
        return fail(format!("{} is not in a target folder", test.display()));
    };
    let profile = if profile == "debug" { "dev".into() } else { profile.to_owned() };
    let cargo = settings::variable("CARGO").unwrap_or_else(|| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "hookaido-cli", "--bin", "hookaido", "--profile"]).arg(profile);
    command.arg("--target-dir").arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
    let built = command.status()?;
    if !built.success() {
        return fail("the binary does not build");
    }
    Ok(folder.join(format!("hookaido{}", std::env::consts::EXE_SUFFIX)))
}
