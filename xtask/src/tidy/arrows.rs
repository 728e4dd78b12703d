//! Who may depend on whom, from `cargo metadata`.
//!
//! A crate depends on lower levels only, the four services know no parser and no concrete store, and a few foreign crates are
//! confined to the one crate that wraps them. Development dependencies are free: tests may put together what the product may not.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Finding;

/// Each crate of the product and its level; arrows point to a lower one.
const LEVELS: &[(&str, u8)] = &[
    ("hookaido-model", 0),
    ("hookaido-syntax", 0),
    ("hookaido-telemetry", 1),
    ("hookaido-config", 2),
    ("hookaido-queue", 2),
    ("hookaido-auth", 2),
    ("hookaido-http", 2),
    ("hookaido-queue-sqlite", 3),
    (SERVICES[0], SERVICE_LEVEL),
    (SERVICES[1], SERVICE_LEVEL),
    (SERVICES[2], SERVICE_LEVEL),
    (SERVICES[3], SERVICE_LEVEL),
    ("hookaido-pull-grpc", 5),
    ("hookaido-server", 5),
    ("hookaido-cli", 6),
];

const SERVICE_LEVEL: u8 = 4;
const SERVICES: [&str; 4] = ["hookaido-ingress", "hookaido-pull", "hookaido-dispatch", "hookaido-admin"];

/// Lower crates that a service must not know all the same.
const HIDDEN_FROM_SERVICES: [&str; 2] = ["hookaido-config", "hookaido-syntax"];

/// A crate that only the listed crates may name.
const CONFINED: &[(&str, &[&str])] = &[
    ("hookaido-queue-sqlite", &["hookaido-server", "hookaido-cli"]),
    ("rusqlite", &["hookaido-queue-sqlite"]),
    ("libsqlite3-sys", &["hookaido-queue-sqlite"]),
    ("nom", &["hookaido-syntax"]),
    ("annotate-snippets", &["hookaido-cli"]),
    ("tonic", &["hookaido-pull-grpc"]),
    ("prost", &["hookaido-pull-grpc"]),
];

/// Members of the workspace that are no part of the product: they may depend on anything.
const TOOLS: [&str; 2] = ["xtask", "e2e"];

/// A member of the workspace with what it depends on, development dependencies left out.
struct Member {
    name: String,
    manifest: PathBuf,
    dependencies: Vec<String>,
}

pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for member in members(root)? {
        let text = std::fs::read_to_string(root.join(&member.manifest)).context("cannot read a manifest")?;
        for (dependency, message) in complaints(&member) {
            findings.push(Finding::failure(&member.manifest, line_of(&text, dependency), message));
        }
    }
    Ok(findings)
}

fn members(root: &Path) -> Result<Vec<Member>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root)
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata wrote no JSON")?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("cargo metadata lists no packages")?;
    packages.iter().map(|package| member(package, root).context("cargo metadata describes a package oddly")).collect()
}

fn member(package: &Value, root: &Path) -> Option<Member> {
    let manifest = Path::new(package.get("manifest_path")?.as_str()?);
    let product = |dependency: &&Value| dependency.get("kind").and_then(Value::as_str) != Some("dev");
    let dependencies = package.get("dependencies")?.as_array()?.iter().filter(product);
    Some(Member {
        name: package.get("name")?.as_str()?.to_owned(),
        manifest: manifest.strip_prefix(root).unwrap_or(manifest).to_owned(),
        dependencies: dependencies.map(|d| Some(d.get("name")?.as_str()?.to_owned())).collect::<Option<_>>()?,
    })
}

fn level(name: &str) -> Option<u8> {
    LEVELS.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, level)| *level)
}

/// What is wrong with a member: the dependency (or the name of the member itself), and why.
fn complaints(member: &Member) -> Vec<(&str, String)> {
    let name = member.name.as_str();
    if TOOLS.contains(&name) {
        return Vec::new();
    }
    let Some(own) = level(name) else {
        let message =
            format!("`{name}` has no level: add it to LEVELS in xtask/src/tidy/arrows.rs and to ARCHITECTURE.md");
        return vec![(name, message)];
    };
    let complain = |d| Some((d, complaint(name, own, d)?));
    let mut found: Vec<_> = member.dependencies.iter().map(String::as_str).filter_map(complain).collect();
    found.dedup();
    found
}

fn complaint(name: &str, own: u8, dependency: &str) -> Option<String> {
    if let Some((_, allowed)) = CONFINED.iter().find(|(confined, _)| *confined == dependency)
        && !allowed.contains(&name)
    {
        let allowed = allowed.join("` and `");
        return Some(format!("only `{allowed}` may depend on `{dependency}`: use what they offer instead"));
    }
    if own == SERVICE_LEVEL && HIDDEN_FROM_SERVICES.contains(&dependency) {
        return Some(format!(
            "`{name}` is a service and must not know `{dependency}`: take the compiled form from `hookaido-model`"
        ));
    }
    match level(dependency) {
        Some(other) if other >= own => Some(format!(
            "`{name}` (level {own}) must not depend on `{dependency}` (level {other}): arrows point to a lower level; \
             move what both need further down"
        )),
        _ => None,
    }
}

/// Line of a manifest that names a dependency, for people to click on.
fn line_of(manifest: &str, dependency: &str) -> usize {
    let names = |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with([' ', '.', '=']));
    manifest.lines().position(|line| names(line.trim_start())).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints_about(name: &str, dependencies: &[&str]) -> Vec<String> {
        let member = Member {
            name: name.to_owned(),
            manifest: PathBuf::new(),
            dependencies: dependencies.iter().map(ToString::to_string).collect(),
        };
        complaints(&member).into_iter().map(|(dependency, _)| dependency.to_owned()).collect()
    }

    #[test]
    fn arrows_point_to_a_lower_level() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("hookaido-config", &["hookaido-model", "hookaido-syntax", "serde"], &[]),
            ("hookaido-model", &["hookaido-syntax"], &["hookaido-syntax"]),
            ("hookaido-pull", &["hookaido-queue", "hookaido-ingress"], &["hookaido-ingress"]),
            ("hookaido-admin", &["hookaido-config", "hookaido-syntax"], &["hookaido-config", "hookaido-syntax"]),
            ("hookaido-dispatch", &["hookaido-queue-sqlite"], &["hookaido-queue-sqlite"]),
            ("hookaido-server", &["hookaido-queue-sqlite", "hookaido-cli"], &["hookaido-cli"]),
            ("hookaido-server", &["hookaido-pull", "hookaido-pull-grpc"], &["hookaido-pull-grpc"]),
            ("hookaido-pull-grpc", &["hookaido-pull", "hookaido-http", "tonic", "prost"], &[]),
            ("hookaido-pull", &["tonic"], &["tonic"]),
            ("hookaido-queue", &["rusqlite", "nom"], &["rusqlite", "nom"]),
            ("hookaido-cli", &["annotate-snippets", "hookaido-server"], &[]),
            ("hookaido-new", &[], &["hookaido-new"]),
            ("e2e", &["rusqlite", "hookaido-cli"], &[]),
        ];
        for (name, dependencies, want) in table {
            assert_eq!(complaints_about(name, dependencies), *want, "{name}");
        }
    }

    #[test]
    fn metadata_tells_what_the_product_depends_on() {
        let members = members(crate::root().unwrap()).unwrap();
        let syntax = members.iter().find(|member| member.name == "hookaido-syntax").unwrap();
        assert_eq!(syntax.manifest, Path::new("crates/syntax/Cargo.toml"));
        assert!(syntax.dependencies.iter().any(|name| name == "nom"));
        assert!(!syntax.dependencies.iter().any(|name| name == "proptest"), "development dependencies are free");
    }

    #[test]
    fn a_finding_points_at_the_line_of_the_dependency() {
        assert_eq!(line_of("[dependencies]\nnom-extra = 1\nnom.workspace = true\n", "nom"), 3);
        assert_eq!(line_of("[dependencies]\n", "nom"), 1);
    }
}
