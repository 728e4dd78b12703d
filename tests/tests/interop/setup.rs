//! Installs published libraries below the target folder, once; later runs find them there.

use std::fs;
use std::path::{Path, PathBuf};

use e2e::fail::{Attempt, Fail, fail};

use crate::tool::{Ran, Tool, script};

/// Versions that these checks were written against.
const STRIPE: &str = "stripe==16.1.0";
const GRPC: [&str; 2] = ["grpcio==1.85.3", "grpcio-tools==1.85.1"];
const OCTOKIT: &str = "@octokit/webhooks-methods@6.0.0";

/// `TARGET/interop`; the test program is `TARGET/PROFILE/deps/interop-HASH`.
fn folder() -> Attempt<PathBuf> {
    let test = std::env::current_exe()?;
    let Some(target) = test.ancestors().nth(3) else { return fail("the test program is in no target folder") };
    let folder = target.join("interop");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A Python that can import Stripe's library.
pub(crate) fn stripe() -> Attempt<PathBuf> {
    python("venv", "import stripe", &[STRIPE])
}

/// A Python that can import Google's gRPC library, and the folder of the code made from the `.proto` file.
pub(crate) fn grpc() -> Attempt<(PathBuf, PathBuf)> {
    let python = python("venv-grpc", "import grpc, grpc_tools", &GRPC)?;
    let (stubs, protos) = (folder()?.join("grpc"), "crates/pull-grpc/proto");
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(protos);
    fs::create_dir_all(&stubs)?;
    let target = |option: &str| format!("--{option}={}", stubs.display());
    let compile = Tool::new(&python).args(["-m", "grpc_tools.protoc", "-I"]).arg(&protos);
    let compile = compile.args([target("python_out"), target("grpc_python_out")]);
    worked(compile.arg("hookaido/worker/v1/worker.proto").run())?;
    Ok((python, stubs))
}

/// A Python in an environment of its own, in which `import` works.
fn python(environment: &str, import: &str, packages: &[&str]) -> Attempt<PathBuf> {
    let venv = folder()?.join(environment);
    let python = venv.join("bin/python");
    let usable = || Tool::new(&python).args(["-c", import]).run().is_ok_and(|ran| ran.code == 0);
    if !usable() {
        worked(Tool::new("python3").args(["-m", "venv", "--clear"]).arg(&venv).within(60).run())?;
        let options = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
        let limits = ["--retries", "1", "--timeout", "10", "--only-binary", ":all:"];
        let install = Tool::new(&python).args(options).args(limits).arg("--cache-dir").arg(venv.join("cache"));
        worked(install.args(packages).within(180).run())?;
    }
    if usable() { Ok(python) } else { fail(format!("`{import}` does not work")) }
}

/// The script that signs with GitHub's library, next to that library.
pub(crate) fn octokit() -> Attempt<PathBuf> {
    let home = folder()?.join("node");
    fs::create_dir_all(&home)?;
    if !home.join("node_modules/@octokit/webhooks-methods/package.json").is_file() {
        let options = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-save", "--fetch-retries", "0"];
        let install = Tool::new("npm").arg("install").arg("--prefix").arg(&home).args(options).arg(OCTOKIT);
        let install = install.arg("--cache").arg(home.join("cache"));
        worked(install.within(60).run())?;
    }
    let signer = home.join("github_sign.mjs");
    fs::copy(script("github_sign.mjs"), &signer)?;
    Ok(signer)
}

fn worked(ran: Attempt<Ran>) -> Attempt<()> {
    let ran = ran?;
    if ran.code == 0 {
        return Ok(());
    }
    // The first error names the cause; what follows is advice and paths.
    let told = ran.told();
    let error =
        ran.err.lines().find(|line| line.starts_with("ERROR") || line.starts_with("npm error")).unwrap_or(&told);
    Err(Fail(error.trim().to_owned()))
}
