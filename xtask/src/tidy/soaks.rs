//! Tests that are left out of `cargo test` run in `make soak`: their names hold `soak`, and their package is in its list.

use std::path::{Component, Path};

use anyhow::{Context, Result};

use super::Finding;

/// Packages that `make soak` runs, as the Makefile lists them.
pub(super) struct Soaks {
    packages: Vec<String>,
}

impl Soaks {
    /// Reads the list.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let makefile = std::fs::read_to_string(root.join("Makefile")).context("cannot read Makefile")?;
        Ok(Self::of(&makefile))
    }

    fn of(makefile: &str) -> Self {
        let list = makefile.lines().find_map(|line| line.strip_prefix("SOAK = ")).unwrap_or_default();
        Self { packages: list.split_whitespace().map(str::to_owned).collect() }
    }

    /// Looks at the tests of one file that are ignored.
    pub(super) fn check_file(&self, file: &Path, text: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut lines = (1..).zip(text.lines());
        while let Some((number, line)) = lines.next() {
            if !line.trim_start().starts_with("#[ignore") {
                continue;
            }
            let name = lines.find_map(|(_, line)| line.split_once("fn ")?.1.split('(').next().map(str::to_owned));
            if !name.is_some_and(|name| name.contains("soak")) {
                let message = "nobody runs this test: put `soak` into its name, for `make soak`";
                findings.push(Finding::failure(file, number, message));
            }
            let package = package(file);
            if !self.packages.contains(&package) {
                let message = format!("`make soak` does not run this test: add {package} to `SOAK` in the Makefile");
                findings.push(Finding::failure(file, number, message));
            }
        }
        findings
    }
}

/// The package of a file, by its folder.
fn package(file: &Path) -> String {
    let mut folders = file.components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    match (folders.next(), folders.next()) {
        (Some("crates"), Some(name)) => format!("hookaido-{name}"),
        (Some("tests"), _) => "e2e".to_owned(),
        (first, _) => first.unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_tests_are_run_by_make_soak() {
        let soaks = Soaks::of("CARGO ?= cargo\nSOAK = e2e hookaido-queue\nsoak:\n");
        let found = |file: &str, name: &str| {
            let text = format!("#[test]\n#[ignore = \"soak: long\"]\nasync fn {name}() {{}}\n");
            soaks.check_file(Path::new(file), &text).len()
        };
        assert_eq!(found("tests/tests/a.rs", "soak_it"), 0);
        assert_eq!(found("crates/queue/src/a.rs", "a_soak_it_is"), 0);
        assert_eq!(found("crates/queue/src/a.rs", "slow"), 1);
        assert_eq!(found("crates/pull/src/a.rs", "soak_it"), 1);
        assert_eq!(found("xtask/src/a.rs", "slow"), 2);
    }
}
