//! `cargo codegen`: the Rust code of the gRPC service, written from its `.proto` file and committed.
//!
//! The compiler of `.proto` files is built only with the feature `codegen`, and never by a plain build. Without it, tidy still sees when
//! the `.proto` file has changed and the code has not: the code names the SHA-256 of the file that it was written from.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::tidy::Finding;

const PROTO: &str = "crates/pull-grpc/proto/hookaido/worker/v1/worker.proto";
const CODE: &str = "crates/pull-grpc/src/generated.rs";

/// Writes the code, or only compares it.
#[cfg(feature = "codegen")]
pub(crate) fn run(root: &Path, compare: bool) -> Result<ExitCode> {
    let code = generate(root)?;
    let path = root.join(CODE);
    if !compare {
        std::fs::write(&path, code).with_context(|| format!("cannot write {}", path.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    if std::fs::read_to_string(&path).unwrap_or_default() == code {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{CODE} is not what {PROTO} says: run `cargo codegen`");
    Ok(ExitCode::FAILURE)
}

#[cfg(not(feature = "codegen"))]
pub(crate) fn run(_: &Path, _: bool) -> Result<ExitCode> {
    anyhow::bail!("this xtask was built without the feature `codegen`: run `cargo codegen`")
}

#[cfg(feature = "codegen")]
fn generate(root: &Path) -> Result<String> {
    let include = root.join("crates/pull-grpc/proto");
    let descriptors = protox::compile([root.join(PROTO)], [include]).context("the .proto file is not valid")?;
    let folder = std::env::temp_dir().join(format!("hookaido-codegen-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let written = tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .btree_map(".")
        .bytes(".")
        .out_dir(&folder)
        .compile_fds(descriptors)
        .context("no code can be written")
        .and_then(|()| Ok(std::fs::read_to_string(folder.join("hookaido.worker.v1.rs"))?));
    let file = folder.join("generated.rs");
    let head = format!(
        "//! Messages and service of `worker.proto`. Written by `cargo codegen`; do not edit.\n//! proto-sha256: {}\n\n",
        digest(root)?
    );
    let formatted = written.and_then(|code| formatted(root, &file, &(head + &with_reasons(&code))));
    std::fs::remove_dir_all(&folder)?;
    formatted
}

/// Says why lints are off, as everywhere else.
#[cfg(feature = "codegen")]
fn with_reasons(code: &str) -> String {
    let module = code.replace("clippy::let_unit_value,\n", "clippy::let_unit_value,\n reason = \"generated\"\n");
    module.replace("#[allow(non_camel_case_types)]", "#[allow(non_camel_case_types, reason = \"generated\")]")
}

/// The code as `cargo fmt` writes it.
#[cfg(feature = "codegen")]
fn formatted(root: &Path, file: &Path, code: &str) -> Result<String> {
    std::fs::write(file, code)?;
    let mut rustfmt = std::process::Command::new("rustfmt");
    rustfmt.args(["--edition", "2024", "--config-path"]).arg(root.join("rustfmt.toml")).arg(file);
    anyhow::ensure!(rustfmt.status().context("rustfmt does not run")?.success(), "rustfmt failed");
    Ok(std::fs::read_to_string(file)?)
}

/// A finding if the code was written from another `.proto` file.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let code = std::fs::read_to_string(root.join(CODE)).unwrap_or_default();
    if code.contains(&format!("proto-sha256: {}\n", digest(root)?)) {
        return Ok(Vec::new());
    }
    Ok(vec![Finding::failure(&PathBuf::from(CODE), 1, format!("{PROTO} has changed: run `cargo codegen`"))])
}

fn digest(root: &Path) -> Result<String> {
    let proto = std::fs::read(root.join(PROTO)).with_context(|| format!("cannot read {PROTO}"))?;
    Ok(Sha256::digest(proto).iter().map(|byte| format!("{byte:02x}")).collect())
}
